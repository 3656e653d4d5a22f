"""What a server can, and what the description of a collection says; the schemas themselves are tested on Milvus."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from destination_milvus.collection import Collection, Column
from destination_milvus.config.models import Config, parse_config
from destination_milvus.milvus.columns import ColumnChoice
from destination_milvus.milvus.description import collection_of, computed_fields
from destination_milvus.milvus.existing import schema_problems, warn_of_what_is_missing
from destination_milvus.milvus.schema import full_text_field, new_partition_key, typed_columns
from destination_milvus.milvus.server import Server


def config(**indexing: object) -> Config:
    """A configuration with these keys of `indexing`."""
    return parse_config(
        {
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 1000},
            "indexing": {"host": "http://h:19530", "collection": "c", "auth": {"mode": "no_auth"}, **indexing},
        }
    )


def server(version: str, *, embedded: bool = False) -> Server:
    """A server of a version."""
    return Server("Milvus at h:19530", version, embedded=embedded)


def collection(**parts: Any) -> Collection:
    """A collection with these parts beside the usual fields."""
    return Collection("pk", auto_id=False, vector_field="vector", text_field="text", name="c", **parts)


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ("v2.3.5", False),
        ("2.4.15", False),
        ("v2.5.0-beta", True),
        ("2.10.1", True),
        ("3.0.0", True),
        ("milvus_lite-3.2.2", True),
        ("Zilliz Cloud Vector Database(Compatible with Milvus 2.4)", False),
        ("Zilliz Cloud Vector Database(Compatible with Milvus 2.5)", True),
        ("master-20251101-0c5ba1e", False),
        ("", False),
    ],
)
def test_full_text_search_begins_with_2_5(version: str, can: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A server that cannot, or does not tell its version, has a collection without it and one line that says why."""
    wanted = config(full_text_search=True)
    assert full_text_field(wanted, server(version)) == ("sparse" if can else None)
    assert len(caplog.messages) == (0 if can else 1)
    assert can or (version or "unknown") in caplog.text


def test_nobody_hears_of_a_search_that_nobody_wants(caplog: pytest.LogCaptureFixture) -> None:
    """Off by default, on any server and in any collection, without a word."""
    caplog.set_level(logging.DEBUG)
    assert full_text_field(config(), server("v2.6.1")) is None
    assert full_text_field(config(), server("v2.3.5")) is None
    assert typed_columns(config(), server("v2.3.5"), CHOICE) == ()
    warn_of_what_is_missing(config(), collection())
    wanted = config(full_text_search=True, indexed_metadata_fields=["a"], partition_key="stream")
    warn_of_what_is_missing(
        wanted, collection(full_text_field="sparse", columns={"a": NUMBER}, partition_key="_ab_stream")
    )
    assert not caplog.messages


NUMBER, LIST = Column("a", "INT64"), Column("b", "ARRAY", "VARCHAR")
CHOICE = ColumnChoice((NUMBER, LIST), ('"c" (objects)',))
FIELDS = config(indexed_metadata_fields=["a", "b", "c"])


@pytest.mark.parametrize(
    ("where", "columns", "told"),
    [
        (server("v2.6.0"), (NUMBER, LIST), ["c"]),
        (server("milvus_lite-3.2.2", embedded=True), (NUMBER,), ["b", "c"]),
        (server("v2.4.9"), (), ["2.4.9"]),
        (server(""), (), ["unknown"]),
    ],
)
def test_columns_are_made_where_they_can_be_null_and_have_an_index(
    where: Server, columns: tuple[Column, ...], told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """All other fields stay dynamic, and one line names them or the server."""
    assert typed_columns(FIELDS, where, CHOICE) == columns
    [line] = caplog.messages
    assert all(name in line for name in told)


def test_a_choice_that_a_server_can_keep_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    """Columns for all fields of the list: nothing to say."""
    assert typed_columns(FIELDS, server("v2.5.0"), ColumnChoice((NUMBER,), ())) == (NUMBER,)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("by", "version", "field"),
    [
        ("none", "v2.3.5", None),
        ("stream", "v2.5.1", "_ab_stream"),
        ("namespace", "v2.5.1", "_ab_partition"),
        ("tenant", "milvus_lite-3.2.2", "_ab_partition"),
        ("stream", "v2.4.23", None),
        ("tenant", "", None),
    ],
)
def test_partitions_are_made_where_updated_rows_are_found(
    by: str, version: str, field: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that would hide them has none, and one line that says so."""
    assert new_partition_key(config(partition_key=by), server(version)) == field
    assert len(caplog.messages) == (0 if field or by == "none" else 1)


def test_each_option_that_a_collection_lacks_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line an option, with what the collection has instead."""
    wanted = config(full_text_search=True, indexed_metadata_fields=["a", "b"], partition_key="namespace")
    warn_of_what_is_missing(wanted, collection(columns={"a": NUMBER}, partition_key="tenant"))
    text, fields, partition = caplog.messages
    assert "indexing.full_text_search" in text
    assert "for b of indexing.indexed_metadata_fields" in fields
    assert 'partition key "tenant"' in partition
    caplog.clear()
    warn_of_what_is_missing(config(partition_key="f"), collection())
    assert "without a partition key" in caplog.text


class _Type:
    """As pymilvus' DataType: an enumeration of names."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_the_columns_of_a_collection_are_read_from_its_description() -> None:
    """Also those that somebody else made: their types and limits, and whether they must have a value."""
    text, array, json_ = _Type("VARCHAR"), _Type("ARRAY"), _Type("JSON")
    fields = [
        {"name": "pk", "type": text, "params": {"max_length": 32}, "is_primary": True},
        {"name": "vector", "type": _Type("FLOAT_VECTOR"), "params": {"dim": 4}},
        {"name": "status", "type": text, "params": {"max_length": "20"}, "nullable": True},
        {"name": "tenant", "type": _Type("INT64"), "params": {}, "is_partition_key": True},
        {"name": "level", "type": _Type("INT8"), "default_value": 3},
        {"name": "tags", "type": array, "element_type": text, "params": {"max_length": 9, "max_capacity": 4}},
        {"name": "more", "type": json_, "nullable": True},
    ]
    found = collection_of({"fields": fields}, config())
    assert found.partition_key == "tenant"
    assert found.full_text_field is None
    assert list(found.columns.values()) == [
        Column("status", "VARCHAR", max_bytes=20),
        Column("tenant", "INT64", required=True),
        Column("level", "INT8"),
        Column("tags", "ARRAY", "VARCHAR", max_bytes=9, capacity=4, required=True),
        Column("more", None),
    ]


def test_computed_fields_are_found_by_function_and_by_flag() -> None:
    """Servers describe functions; the flag of a field counts where a description has no functions."""
    fields = [{"name": "pk"}, {"name": "text"}, {"name": "sparse", "is_function_output": True}]
    bm25 = {"name": "f", "input_field_names": ["text"], "output_field_names": ["sparse"]}
    assert computed_fields({"fields": fields}) == {"sparse": ()}
    assert computed_fields({"fields": fields, "functions": [bm25]}) == {"sparse": ("text",)}
    assert computed_fields({"fields": fields[:2], "functions": []}) == {}


def field(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A field as pymilvus describes it."""
    limits = {name: more.pop(name) for name in ("max_length",) if name in more}
    return {"name": name, "type": _Type(kind), "params": limits, **more}


KEY = field("pk", "VARCHAR", is_primary=True, max_length=32)
VECTOR = field("vector", "FLOAT_VECTOR")
TEXT = field("text", "VARCHAR", max_length=65_535)
HASH = field("_ab_fingerprint", "VARCHAR", max_length=32)


def described(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The description of a collection with these fields beside key and vector."""
    return {"fields": [KEY, VECTOR, *fields], "enable_dynamic_field": True, **more}


OMITTED = config().model_copy(update={"omit_raw_text": True})
NAMED = config()
NAMED = NAMED.model_copy(update={"processing": NAMED.processing.model_copy(update={"metadata_fields": ["id"]})})


@pytest.mark.parametrize(
    "description",
    [
        described(),
        described(TEXT, HASH),
        described({**TEXT, "nullable": True}),
        described(field("text", "VARCHAR", max_length=256)),
        described(field("status", "VARCHAR", max_length=10)),
        described(TEXT, HASH, field("status", "VARCHAR", max_length=10, nullable=True)),
        described(TEXT, field("sparse", "SPARSE_FLOAT_VECTOR", is_function_output=True)),
        described(field("_ab_record_id", "VARCHAR", max_length=256), field("_ab_chunk", "INT64")),
        described(field("level", "INT8", default_value=3), field("more", "FLOAT_VECTOR", nullable=True)),
        {**described(), "fields": [field("id", "INT64", is_primary=True), VECTOR], "auto_id": True},
    ],
)
def test_a_collection_that_takes_the_rows_has_no_problem(description: dict[str, Any]) -> None:
    """Columns for metadata are the records' business, as long as nothing keeps records from filling them."""
    assert list(schema_problems(description, config())) == []


@pytest.mark.parametrize(
    ("description", "wanted", "told"),
    [
        ({**described(), "fields": [field("pk", "INT64", is_primary=True), VECTOR]}, config(), "neither a VARCHAR"),
        ({**described(), "fields": [{**KEY, "params": {"max_length": 31}}, VECTOR]}, config(), "shorter than 32"),
        (described(enable_dynamic_field=False), config(), "no dynamic field"),
        (described(), config(vector_field="v"), 'no vector field "v" (indexing.vector_field)'),
        (described(field("v", "FLOAT16_VECTOR")), config(vector_field="v"), "no vector of 32-bit floats"),
        (described(field("text", "JSON")), config(), '"text" (indexing.text_field) is no VARCHAR'),
        (described(field("text", "VARCHAR", max_length=255)), config(), "holds 255 bytes, too few"),
        (described(TEXT), OMITTED, "omit_raw_text"),
        (described(TEXT, HASH), config(text_field="body"), 'its field "text" takes no null'),
        (described(TEXT), NAMED.model_copy(update={"indexing": config(text_field="b").indexing}), "metadata_fields"),
        (described(field("status", "INT64", is_partition_key=True)), NAMED, "processing.metadata_fields leaves it out"),
        (described(field("more", "FLOAT_VECTOR")), config(), 'its vector field "more" takes no null'),
        (described(field("_ab_stream", "VARCHAR", max_length=64)), config(), 'stream" is no VARCHAR of at least 256'),
        (described(field("_ab_text_hash", "INT64")), config(), '"_ab_text_hash" is no VARCHAR of at least 32'),
        (described(field("_ab_extracted_at", "INT32")), config(), '"_ab_extracted_at" is no INT64'),
    ],
)
def test_each_field_that_keeps_rows_out_is_named(description: dict[str, Any], wanted: Config, told: str) -> None:
    """With the option, where one decides."""
    assert any(told in problem for problem in schema_problems(description, wanted))


def test_chunks_that_are_larger_than_the_column_of_the_text_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """One line, and none where they fit or where no text is stored."""
    narrow = described(field("text", "VARCHAR", max_length=3_999))
    warn_of_what_is_missing(config(), collection_of(narrow, config()))
    assert "about 4,000 bytes" in caplog.text
    assert "holds 3,999" in caplog.text
    caplog.clear()
    warn_of_what_is_missing(config(), collection_of(narrow, OMITTED))
    warn_of_what_is_missing(config(), collection_of(described(), config()))
    assert not caplog.messages


@pytest.mark.parametrize(("given", "seconds"), [({}, 0), ({"collection.ttl.seconds": "-1"}, 0), (None, 0)])
def test_a_collection_that_keeps_its_rows_makes_no_noise(
    given: dict[str, str] | None, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No property, or one that says never."""
    found = collection_of(described(properties=given), config())
    assert found.ttl_seconds == seconds
    warn_of_what_is_missing(config(), found)
    assert not caplog.messages


def test_a_collection_that_forgets_its_rows_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """One line with the property and its seconds."""
    found = collection_of(described(properties={"collection.ttl.seconds": "86400"}), config())
    warn_of_what_is_missing(config(), found)
    [line] = caplog.messages
    assert "86,400 seconds" in line
    assert "collection.ttl.seconds" in line


def test_a_text_that_may_be_null_can_be_left_out() -> None:
    """An existing collection serves `omit_raw_text` where its text takes nulls."""
    assert list(schema_problems(described({**TEXT, "nullable": True}), OMITTED)) == []


ENGLISH = {"analyzer_params": {"type": "english"}}
BY_LOCALE = {
    "multi_analyzer_params": {"analyzers": {"default": {"type": "english"}}, "by_field": "locale", "alias": {}}
}


@pytest.mark.parametrize(
    ("params", "analyzer", "by_field"),
    [
        ({"analyzer_params": '{"type": "english"}'}, ENGLISH, None),
        (ENGLISH, ENGLISH, None),
        ({"multi_analyzer_params": json.dumps(BY_LOCALE["multi_analyzer_params"])}, BY_LOCALE, "locale"),
        ({"analyzer_params": "no JSON"}, {}, None),
        ({"analyzer_params": "[]"}, {}, None),
        ({"analyzer_params": "{}"}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_collection_tells_its_analyzer(
    params: dict[str, Any], analyzer: dict[str, Any], by_field: str | None
) -> None:
    """As JSON in a text, as servers write it, or read already; what cannot be read is nobody's."""
    found = collection_of(described({**TEXT, "params": params}), config())
    assert (found.analyzer, found.analyzer_field) == (analyzer, by_field)


def test_another_analyzer_in_the_configuration_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """With both; dictionaries are cut short. The same one, and one that nobody asked for, make no noise."""
    wanted = config(full_text_search=True, full_text_analyzer={"mode": "language", "language": "english"})
    warn_of_what_is_missing(wanted, collection(full_text_field="sparse", analyzer=ENGLISH))
    warn_of_what_is_missing(config(), collection(full_text_field="sparse", analyzer=ENGLISH))
    warn_of_what_is_missing(config(full_text_search=True), collection(full_text_field="sparse"))
    assert not caplog.messages
    long = {"analyzer_params": {"tokenizer": {"type": "jieba", "dict": ["word"] * 1000}}}
    warn_of_what_is_missing(wanted, collection(full_text_field="sparse", analyzer=long))
    [line] = caplog.messages
    assert "indexing.full_text_analyzer" in line
    assert '{"type": "english"}' in line
    assert "jieba" in line
    assert len(line) < 1000


def test_a_version_is_compared_by_as_many_numbers_as_it_tells() -> None:
    """Three of a server; two of Zilliz Cloud, which is the newest of them. None where it tells none."""
    assert server("v2.5.11").is_from(2, 5, 11)
    assert not server("v2.5.4-hotfix").is_from(2, 5, 11)
    assert server("Zilliz Cloud Vector Database(Compatible with Milvus 2.5)").is_from(2, 5, 11)
    assert not server("").is_from(2, 3)
    untold = Server("h", "2.5.0", told=False)
    assert untold.can_search_full_text
    assert not untold.has_nullable_columns
    assert not untold.keeps_partitions
    assert untold.named_version == "does not tell its version"
