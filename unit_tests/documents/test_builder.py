"""Records become text, context and metadata; what cannot be stored is mended and told."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus.collection import Column
from destination_milvus.config.processing import Processing
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.metadata import FieldChange
from destination_milvus.documents.partition import Partition
from destination_milvus.documents.paths import FieldPath
from destination_milvus.documents.text import clean
from destination_milvus.fields import PARTITION

NAMES = st.text("a_.*\0\ud800é", max_size=3)
TEXTS = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["", "a, b", "x\r\ny", "\0", "😀"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=6)

TICKET = {
    "id": 35436,
    "subject": "Printer on fire",
    "description": "It burns.\r\n\r\nSince this morning.",
    "tags": ["hardware", "urgent"],
    "user": {"name": "Ann", "address": {"city": "Graz"}, "phone": None},
    "users": [{"name": "Bea"}, {"name": "Cem"}, {"age": 4}],
    "satisfied": False,
    "score": 0.5,
    "empty": "",
    "nothing": None,
}


def builder(**options: Any) -> DocumentBuilder:
    names = ("reserved", "protected", "omitted", "metadata_bytes", "columns", "partition")
    given_by_caller = {name: options.pop(name) for name in names if name in options}
    return DocumentBuilder.configured(Processing.model_validate({"chunk_size": 1000, **options}), **given_by_caller)


def text(data: dict[str, Any], **options: Any) -> str:
    return builder(**options).build(data, 0).document.text


def metadata(data: dict[str, Any], **options: Any) -> dict[str, Any]:
    return dict(builder(**options).build(data, 0).document.metadata)


def changes(data: dict[str, Any], **options: Any) -> list[tuple[str, str, str]]:
    return [(change.field, change.change, change.reason) for change in builder(**options).build(data, 0).changes]


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", [(("id",), 35436)]),
        ("user.address.city", [(("user", "address", "city"), "Graz")]),
        ("users.*.name", [(("users", 0, "name"), "Bea"), (("users", 1, "name"), "Cem")]),
        ("users.1.name", [(("users", 1, "name"), "Cem")]),
        ("user.*", [(("user", "name"), "Ann"), (("user", "address"), {"city": "Graz"}), (("user", "phone"), None)]),
        ("user.na*", [(("user", "name"), "Ann")]),
        ("tags.[01]", [(("tags", 0), "hardware"), (("tags", 1), "urgent")]),
        ("users.3.name", []),
        ("users.-1.name", []),
        ("users.x", []),
        ("users.²", []),
        ("subject.x", []),
        ("subject.*", []),
        ("missing", []),
        ("nothing.x", []),
        ("", []),
    ],
)
def test_a_path_selects_what_it_names(path: str, found: list[Any]) -> None:
    assert FieldPath.parse(path).select(TICKET) == found


def test_a_field_whose_name_is_the_whole_path_goes_first() -> None:
    data = {"user.name": "literal", "user": {"name": "nested"}, "a.*": 1, "a": {"b": 2}}
    assert FieldPath.parse("user.name").select(data) == [(("user.name",), "literal")]
    assert FieldPath.parse("a.*").select(data) == [(("a.*",), 1)]


@given(RECORDS, st.lists(NAMES, min_size=1, max_size=3).map(".".join))
def test_a_path_finds_values_where_it_says(data: dict[str, Any], path: str) -> None:
    for at, value in FieldPath.parse(path).select(data):
        found: Any = data
        for key in at:
            found = found[key]
        assert found is value


# --- text -------------------------------------------------------------------------------------------------------------


def test_all_fields_are_text_where_none_is_chosen() -> None:
    assert text(TICKET) == (
        "id: 35436\n\n"
        "subject: Printer on fire\n\n"
        "description:\nIt burns.\n\nSince this morning.\n\n"
        "tags: hardware, urgent\n\n"
        "user:\n  name: Ann\n  address:\n    city: Graz\n\n"
        "users:\n  - name: Bea\n  - name: Cem\n  - age: 4\n\n"
        "satisfied: false\n\n"
        "score: 0.5"
    )


def test_chosen_fields_are_text_in_the_order_chosen() -> None:
    chosen = ["users.*.name", "subject", "user.address.city", "missing", "subject"]
    assert text(TICKET, text_fields=chosen) == (
        "users.0.name: Bea\n\nusers.1.name: Cem\n\nsubject: Printer on fire\n\nuser.address.city: Graz"
    )


def test_without_names_values_stand_alone() -> None:
    chosen = ["subject", "tags", "satisfied"]
    assert text(TICKET, text_fields=chosen, include_field_names=False) == (
        "Printer on fire\n\nhardware, urgent\n\nfalse"
    )


def test_mapped_names_are_the_names_in_the_text() -> None:
    mappings = [{"from_field": "subject", "to_field": "title"}, {"from_field": "user.name", "to_field": "requester"}]
    assert text({"subject": "S"}, field_name_mappings=mappings) == "title: S"
    assert text(TICKET, field_name_mappings=mappings, text_fields=["user.name"]) == "requester: Ann"


def test_items_with_commas_or_lines_of_their_own_get_a_line_each() -> None:
    assert text({"a": ["x, y", "z"]}) == "a:\n  - x, y\n  - z"
    assert text({"a": ["x\ny", None, "", "z"]}) == "a:\n  - x\n    y\n  - z"
    assert text({"a": [[1, 2], [3]]}) == "a:\n  - 1, 2\n  - 3"


@pytest.mark.parametrize("value", [None, "", "  \n", [], {}, [None, ""], {"x": None}, {"x": [{}]}, math.nan, -math.inf])
def test_nothing_is_no_text(value: Any) -> None:
    document = builder(context_fields=["a"]).build({"a": value}, 0).document
    assert (document.text, document.context) == ("", "")


def test_markdown_in_a_field_keeps_its_headings_at_the_start_of_lines() -> None:
    assert "\n# Title\n" in text({"body": "# Title\n\nText"})


def test_bookkeeping_is_neither_text_nor_metadata() -> None:
    data = {
        "id": 1,
        "_airbyte_raw_id": "r",
        "_airbyte_meta": {},
        "_ab_cdc_lsn": 7,
        "_ab_cdc_deleted_at": None,
        "v": [1.0],
    }
    assert text(data, omitted=["v"]) == "id: 1"
    assert metadata(data, omitted=["v"]) == {"id": 1, "_ab_cdc_lsn": 7}
    assert text(data, omitted=["v"], text_fields=["*", "_ab_cdc_lsn"]).startswith("id: 1\n\n_ab_cdc_lsn: 7")
    assert "r" not in text(data, text_fields=["*"])


def test_bookkeeping_that_is_asked_for_by_name_is_given() -> None:
    data = {"id": 1, "_airbyte_raw_id": "r", "v": 5}
    chosen = ["_airbyte_raw_id", "v"]
    assert metadata(data, metadata_fields=chosen, omitted=["v"]) == {"_airbyte_raw_id": "r", "v": 5}


@pytest.mark.parametrize(
    ("omitted", "data", "rest"),
    [
        ("v", {"id": 1, "v": [0.5]}, {"id": 1}),
        ("p.v", {"id": 1, "p": {"v": [0.5], "title": "Fire"}}, {"id": 1, "p": {"title": "Fire"}}),
        ("p.0.v", {"p": [{"v": [0.5], "title": "Fire"}, {"v": 7}]}, {"p": [{"title": "Fire"}, {"v": 7}]}),
        ("p.1", {"p": ["Fire", [0.5], "!"]}, {"p": ["Fire", None, "!"]}),
        ("p.v", {"p.v": [0.5], "p": {"v": "other"}}, {"p": {"v": "other"}}),
        ("p.v", {"p": "Fire"}, {"p": "Fire"}),
    ],
)
def test_of_an_object_around_the_vector_only_the_vector_is_left_out(
    omitted: str, data: dict[str, Any], rest: dict[str, Any]
) -> None:
    """A record that brings its vector along keeps all else, however deep the vector lies; the record is not altered."""
    before = json.dumps(data)
    assert metadata(data, omitted=[omitted]) == rest
    assert "0.5" not in text(data, omitted=[omitted])
    assert text(data, omitted=[omitted]) == text(rest)
    assert metadata(data, omitted=[omitted], metadata_fields=["*"]) == metadata(rest, metadata_fields=["*"])
    assert metadata(data, omitted=[omitted], metadata_fields=["p"]) == metadata(rest, metadata_fields=["p"])
    assert json.dumps(data) == before


def test_a_vector_that_is_asked_for_by_its_path_is_given() -> None:
    """Who names the vector itself among the fields wants it there."""
    data = {"p": {"v": [0.5], "title": "Fire"}}
    assert metadata(data, omitted=["p.v"], metadata_fields=["p.v", "p.title"]) == {"p.v": [0.5], "p.title": "Fire"}
    assert text(data, omitted=["p.v"], text_fields=["p.v"]) == "p.v: 0.5"


# --- context ----------------------------------------------------------------------------------------------------------


def test_context_is_values_alone_and_left_out_of_the_text() -> None:
    document = (
        builder(context_fields=["subject", "user.name"])
        .build({"subject": "Fire", "user": {"name": "Ann"}, "body": "B"}, 0)
        .document
    )
    assert document.context == "Fire\nAnn"
    # the object around the name stays whole
    assert document.text == "user:\n  name: Ann\n\nbody: B"


def test_context_that_a_chunk_may_shorten_stays_in_the_text() -> None:
    data = {"subject": "long " * 100, "body": "B"}
    document = builder(context_fields=["subject"], chunk_size=100).build(data, 0).document
    assert document.context in document.text


def test_a_record_with_nothing_but_context_is_still_found() -> None:
    document = builder(context_fields=["subject"], text_fields=["body"]).build({"subject": "Fire"}, 0).document
    assert (document.text, document.context) == ("Fire", "")


# --- HTML -------------------------------------------------------------------------------------------------------------

HTML = """<h1>Reset</h1><p>Hold <b>both</b> keys, see <a href="https://example.com/k?a=1&amp;b=2">keys</a>.</p>
<pre><code class="language-sh">reset  --hard
# not a heading</code></pre>
<table><tr><th>Key</th><th>Does</th></tr><tr><td>F1</td><td>Help</td></tr></table>
<ul><li>one</li><li>two</li></ul><script>alert(1)</script><style>p {}</style>
<img src="data:image/png;base64,AAAA" alt="photo"><svg><path d="M0"/></svg>"""


def test_html_becomes_markdown() -> None:
    converted = text({"body": HTML}, html_fields=["body"], include_field_names=False)
    assert converted.startswith("# Reset\n\nHold **both** keys, see [keys](https://example.com/k?a=1&b=2).")
    assert "```sh\nreset  --hard\n# not a heading\n```" in converted
    assert "| Key | Does |" in converted
    assert "| F1 | Help |" in converted
    assert "- one\n- two" in converted
    assert "photo" in converted
    assert not {"alert", "base64", "<", "p {}"} & {
        word for word in ("alert", "base64", "<", "p {}") if word in converted
    }


def test_html_inside_objects_is_converted_and_the_record_left_alone() -> None:
    data = {
        "comments": [{"body": "<b>x</b>"}, {"body": None}, {"body": 1}],
        "title": "<b>y</b>",
        "n": {"body": "<i>z</i>"},
    }
    before = json.dumps(data)
    document = builder(html_fields=["comments.*.body", "n.body"], context_fields=["n.body"]).build(data, 0).document
    assert "- body: **x**" in document.text
    assert "title: <b>y</b>" in document.text
    assert document.context == "*z*"
    assert document.metadata["comments"][0]["body"] == "<b>x</b>"
    assert json.dumps(data) == before


@pytest.mark.parametrize("html", ["", "<p></p>", "<p>&nbsp;</p>", "<br><br>", "<!-- nothing -->"])
def test_empty_html_is_no_text(html: str) -> None:
    assert text({"body": html}, html_fields=["body"]) == ""


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_all_fields_but_nulls_are_metadata_where_none_is_chosen() -> None:
    assert metadata(TICKET) == {name: value for name, value in TICKET.items() if value is not None}


def test_chosen_metadata_is_stored_under_its_path() -> None:
    """As the existing connector does: several values of one path are a list."""
    chosen = ["id", "user.name", "users.*.name", "users.2.*", "missing", "nothing"]
    expected = {"id": 35436, "user.name": "Ann", "users.*.name": ["Bea", "Cem"], "users.2.*": 4}
    assert metadata(TICKET, metadata_fields=chosen) == expected


def test_mappings_rename_metadata() -> None:
    mappings = [
        {"from_field": "a", "to_field": "b"},
        {"from_field": "b", "to_field": "a"},
        {"from_field": "c", "to_field": "d"},
        {"from_field": "a", "to_field": "ignored"},
    ]
    assert metadata({"a": 1, "b": 2, "c": 3, "d": 4}, field_name_mappings=mappings) == {"b": 1, "a": 2, "d": 3}


def test_names_of_the_collection_get_an_underscore() -> None:
    data = {"text": 1, "text_": 2, "pk": 3, "": 4, "_": 5, "a\0": 6, "a": 7}
    stored = metadata(data, reserved=["text", "pk", "$meta"])
    assert stored == {"text__": 1, "text_": 2, "pk_": 3, "__": 4, "_": 5, "a_": 6, "a": 7}


def test_what_is_no_number_is_nulled_and_what_is_too_large_a_text() -> None:
    data = {
        "nan": math.nan,
        "deep": {"inf": [math.inf, 1]},
        "big": 2**63,
        "small": -(2**63),
        "true": True,
        "n": [2**64],
        "cents": Decimal("1234567890123456.01"),
    }
    assert metadata(data) == {
        "deep": {"inf": [None, 1]},
        "big": "9223372036854775808",
        "small": -(2**63),
        "true": True,
        "n": ["18446744073709551616"],
        "cents": "1234567890123456.01",
    }
    assert text({"cents": data["cents"]}) == "cents: 1234567890123456.01"
    assert changes(data) == [
        ("nan", "NULLED", "DESTINATION_TYPECAST_ERROR"),
        ("deep", "NULLED", "DESTINATION_TYPECAST_ERROR"),
        ("big", "TRUNCATED", "DESTINATION_TYPECAST_ERROR"),
        ("n", "TRUNCATED", "DESTINATION_TYPECAST_ERROR"),
        ("cents", "TRUNCATED", "DESTINATION_TYPECAST_ERROR"),
    ]


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_what_is_nested_without_end_is_cut_off(kind: str) -> None:
    value: Any = "core"
    for _ in range(900):
        value = [value] if kind == "list" else {"a": value}
    data = {"id": 1, "deep": value}
    orjson.dumps(metadata(data))
    assert changes(data) == [("deep", "NULLED", "DESTINATION_FIELD_SIZE_LIMITATION")]
    assert "core" not in text(data)


def test_the_largest_values_give_way_first() -> None:
    data = {"id": 1, "body": "é" * 40_000, "raw": {"x": "y" * 20_000}, "note": "n" * 300}
    stored = metadata(data)
    assert len(orjson.dumps(stored)) <= 60_000
    assert set(stored) == set(data)
    assert "é" * 15_000 < stored["body"] < data["body"]
    assert {name: stored[name] for name in ("id", "raw", "note")} == {
        name: data[name] for name in ("id", "raw", "note")
    }
    assert changes(data) == [("body", "TRUNCATED", "DESTINATION_RECORD_SIZE_LIMITATION")]


def test_what_cannot_be_shortened_is_dropped() -> None:
    data = {"id": 1, "raw": ["y" * 70_000], "short": "s" * 120}
    assert metadata(data) == {"id": 1, "short": "s" * 120}
    assert changes(data) == [("raw", "NULLED", "DESTINATION_RECORD_SIZE_LIMITATION")]
    assert metadata(data, metadata_bytes=40) == {"id": 1}


def test_protected_fields_are_never_shortened() -> None:
    data = {"key": "k" * 59_000, "at": {"id": "i" * 900}, "body": "b" * 58_000, "text": "t" * 50}
    options: dict[str, Any] = {
        "protected": ["key", "at", "text"],
        "reserved": ["text"],
        "field_name_mappings": [{"from_field": "key", "to_field": "number"}],
        "metadata_fields": ["key", "at.id", "body", "text"],
    }
    stored = metadata(data, **options)
    assert stored == {"number": "k" * 59_000, "at.id": "i" * 900, "text_": "t" * 50}
    assert changes(data, **options) == [("body", "NULLED", "DESTINATION_RECORD_SIZE_LIMITATION")]


def test_a_change_is_an_item_of_airbytes_list() -> None:
    change = FieldChange("body", "TRUNCATED", "DESTINATION_RECORD_SIZE_LIMITATION")
    assert change.as_json() == {
        "field": "body",
        "change": "TRUNCATED",
        "reason": "DESTINATION_RECORD_SIZE_LIMITATION",
    }


# --- any record -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("a\0b", "ab"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83db", "a\ufffdb"),
        ("\ude00", "\ufffd"),
        ("\ud83d\0\ude00", "😀"),
        ("\ufeffé", "\ufeffé"),
        ("plain", "plain"),
    ],
)
def test_half_characters_and_nul_are_mended(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned


@given(TEXTS)
def test_clean_text_stays_clean(dirty: str) -> None:
    cleaned = clean(dirty)
    assert cleaned.encode().decode() == cleaned == clean(cleaned)
    assert "\0" not in cleaned


@settings(deadline=None, max_examples=200)
@given(
    RECORDS,
    st.lists(st.sampled_from(["a", "a.*", "*", "a_", "*.a", "é"]), max_size=3),
    st.frozensets(NAMES, max_size=3),
    st.integers(2, 120),
    st.booleans(),
)
def test_any_record_gives_a_row_that_milvus_takes(
    data: dict[str, Any], paths: list[str], reserved: frozenset[str], size: int, named: bool
) -> None:
    options: dict[str, Any] = {"text_fields": paths, "metadata_fields": paths, "context_fields": paths[:1]}
    before = repr(data)
    built = builder(
        **options, include_field_names=named, html_fields=paths[1:], reserved=reserved, metadata_bytes=size
    ).build(data, 5, array("f", [1.0]))
    document = built.document
    encoded = orjson.dumps(document.metadata)
    assert len(encoded) <= size
    assert b"\\u0000" not in encoded
    assert not reserved & set(document.metadata)
    assert "" not in document.metadata
    assert None not in document.metadata.values()
    assert "\0" not in (document.text + document.context).encode().decode()
    assert document.emitted_at == 5
    assert document.vector == array("f", [1.0])
    assert repr(data) == before


@given(RECORDS)
def test_no_field_is_lost_without_a_note(data: dict[str, Any]) -> None:
    """As many fields are stored as are not null, but for those that are told."""
    built = builder().build(data, 0)
    gone = {change.field for change in built.changes} - set(built.document.metadata)
    assert len(built.document.metadata) + len(gone) == sum(value is not None for value in data.values())


def test_the_converter_is_imported_where_html_fields_are_set_alone() -> None:
    program = (
        "import sys\n"
        "from destination_milvus.documents.builder import DocumentBuilder\n"
        "assert DocumentBuilder().build({'body': '<b>x</b>'}, 0).document.text == 'body: <b>x</b>'\n"
        "assert 'html_to_markdown' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- columns and partitions -------------------------------------------------------------------------------------------

COLUMNS = {"n": Column("n", "INT64"), "s": Column("s", "VARCHAR", max_bytes=3), "other": Column("other", "BOOL")}


def test_metadata_takes_the_types_of_its_columns() -> None:
    """What fits stays, also of another type of JSON; all other metadata stays as it is."""
    data = {"n": 7.0, "s": "é", "dynamic": [1, "a"]}
    assert metadata(data, columns=COLUMNS) == {"n": 7, "s": "é", "dynamic": [1, "a"]}
    assert changes(data, columns=COLUMNS) == []


def test_what_a_column_cannot_hold_is_null_or_cut_and_told() -> None:
    """In Airbyte's words for it, in the order of the record."""
    data = {"s": "long", "n": "seven", "dynamic": 1}
    assert metadata(data, columns=COLUMNS) == {"s": "lon", "dynamic": 1}
    assert changes(data, columns=COLUMNS) == [
        ("s", "TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION"),
        ("n", "NULLED", "DESTINATION_TYPECAST_ERROR"),
    ]


@pytest.mark.parametrize(
    ("partition", "value"),
    [
        (Partition("shop"), "shop"),
        (Partition(), ""),
        (Partition.by_field("id", {}), "35436"),
        (Partition.by_field("subject", {}), "Printer on fire"),
        (Partition.by_field("satisfied", {}), "false"),
        (Partition.by_field("tags", {}), ""),
        (Partition.by_field("user", {}), ""),
        (Partition.by_field("nothing", {}), ""),
        (Partition.by_field("no such", {}), ""),
    ],
)
def test_a_record_has_one_partition(partition: Partition, value: str) -> None:
    """That of its stream or of a field, as a text; one for all records without a value that could decide."""
    assert metadata(TICKET, partition=partition)[PARTITION] == value


@pytest.mark.parametrize(
    ("data", "options", "value"),
    [
        ({"org": {"id": 7}}, {}, "7"),
        ({"org": {"id": 7}}, {"metadata_fields": ["org"]}, "7"),
        ({"org": {"id": 7}}, {"metadata_fields": ["org.id"]}, "7"),
        ({"org.id": "whole", "org": {"id": 7}}, {}, "whole"),
        ({"org": [{"id": 7}, {"id": 8}]}, {}, ""),
        ({"org": {"id": [7]}}, {}, ""),
        ({"org": {"id": None}}, {}, ""),
        ({"org": {"id": 2**70}}, {}, str(2**70)),
        ({"org": {"id": "a\0\ud83d\ude00\ud800"}}, {}, "a😀\ufffd"),
        ({"org": {"id": math.nan}}, {}, ""),
        ({"o": 7}, {"field_name_mappings": [{"from_field": "o", "to_field": "org.id"}]}, "7"),
        ({"o": {"i": 7}}, {"field_name_mappings": [{"from_field": "o.i", "to_field": "org.id"}]}, "7"),
        ({"p": 7}, {"field_name_mappings": [{"from_field": name, "to_field": "org.id"} for name in "op"]}, "7"),
        ({"org": {"id": 7}}, {"field_name_mappings": [{"from_field": "o", "to_field": "org.id"}]}, ""),
    ],
)
def test_a_partition_is_found_by_its_path(data: dict[str, Any], options: dict[str, Any], value: str) -> None:
    """A value inside an object decides as one at the top does, whether or not it is metadata of its own."""
    sources = Processing.model_validate({"chunk_size": 1000, **options}).sources
    partition = Partition.by_field("org.id", sources)
    assert metadata(data, partition=partition, **options)[PARTITION] == value


def test_a_partition_is_that_of_the_value_that_is_stored() -> None:
    """A filter by the field and one by the partition agree: what a column makes of a value counts."""
    columns = {"n": Column("n", "INT64")}
    assert metadata({"n": 7.0}, columns=columns, partition=Partition.by_field("n", {})) == {"n": 7, PARTITION: "7"}
    assert metadata({"n": "x"}, columns=columns, partition=Partition.by_field("n", {})) == {PARTITION: ""}


def test_a_collection_without_partitions_is_not_told_of_any() -> None:
    assert PARTITION not in metadata(TICKET)


def test_a_long_value_decides_by_its_beginning() -> None:
    """The partition key has a limit of its own; the field keeps its value."""
    long = "é" * 1_000
    stored = metadata({"tenant": long}, partition=Partition.by_field("tenant", {}))
    assert stored == {"tenant": long, PARTITION: "é" * 512}
