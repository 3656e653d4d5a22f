from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from destination_milvus.errors import InternalError
from destination_milvus.protocol.messages import Message, Record, State, StreamStatus, acknowledged, parse_line

SECRET = "s3cret"  # noqa: S105 - content that no message may repeat


def line(message: object) -> bytes:
    return json.dumps(message).encode()


def record(**parts: Any) -> bytes:
    return line({"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": 1, **parts}})


def parsed_state(state: dict[str, Any], **around: Any) -> State:
    message = parse_line(line({"type": "STATE", "state": state, **around}), 1)
    assert isinstance(message, State)
    return message


# --- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, Record("s", None, {}, 1)),
        ({"namespace": ""}, Record("s", None, {}, 1)),
        ({"namespace": None, "meta": None}, Record("s", None, {}, 1)),
        ({"namespace": "n"}, Record("s", "n", {}, 1)),
        ({"emitted_at": 1.9}, Record("s", None, {}, 1)),
        ({"emitted_at": "1700000000000"}, Record("s", None, {}, 1_700_000_000_000)),
        ({"data": {"id": 1, "x": None}}, Record("s", None, {"id": 1, "x": None}, 1)),
        ({"meta": {"changes": [{"field": "f"}]}}, Record("s", None, {}, 1, ({"field": "f"},))),
        ({"meta": {"changes": None}}, Record("s", None, {}, 1)),
        ({"meta": {"changes": ["?", {"field": "f"}]}}, Record("s", None, {}, 1, ({"field": "f"},))),
        ({"unknown": 1}, Record("s", None, {}, 1)),
    ],
)
def test_a_record_is_read_with_whatever_its_source_makes_of_the_protocol(
    parts: dict[str, Any], expected: Record
) -> None:
    assert parse_line(record(**parts), 1) == expected


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"NaN", "nan"),
        (b"-Infinity", "-inf"),
        (b"99999999999999999999", "99999999999999999999"),
        (b"-123456789012345678901234567890", "-123456789012345678901234567890"),
        (b"9007199254740993", "9007199254740993"),
        (rb'"\ud83d"', "\ud83d"),
        (b'"\xed\xa0\xbd"', "\ud83d"),
        (b"1e400", "1E+400"),
        (b"-1e-400", "-1E-400"),
        (b"1234567890123456.01", "1234567890123456.01"),
        (b"20240101123456.7890122", "20240101123456.7890122"),
        (b"0.1234567890123456789E-5", "0.000001234567890123456789"),
        (b"1234567890123457e10", "1.234567890123457e+25"),
        (b"0.10000000000000000000", "0.1"),
        (b"1E5", "100000.0"),
        (b"1e99999999999999999999", "inf"),
        (b"-" + b"7" * 5_000, "-" + "7" * 5_000),
    ],
    ids=lambda value: str(value)[:30],
)
def test_values_that_strict_json_refuses_or_rounds_are_kept(written: bytes, value: str) -> None:
    message = parse_line(b'{"type":"RECORD","record":{"stream":"s","emitted_at":1,"data":{"v":%b}}}' % written, 1)
    assert isinstance(message, Record)
    assert str(message.data["v"]) == value


def test_a_number_too_deep_to_be_compared_is_read_exactly() -> None:
    """Orjson writes 254 levels, and reads more."""
    content = b'{"type":"RECORD","record":{"stream":"s","emitted_at":1,"data":{"v":%b}}}'
    message = parse_line(content % (b"[" * 400 + b"1234567890123456.01" + b"]" * 400), 1)
    assert isinstance(message, Record)
    value = message.data["v"]
    while isinstance(value, list):
        (value,) = value
    assert value == Decimal("1234567890123456.01")


digits = st.text("0123456789", min_size=1, max_size=25)
whole_numbers = digits.map(lambda text: text.lstrip("0") or "0")
exponents = st.tuples(st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 420).map(str)).map("".join)
numbers_as_written = st.tuples(
    st.sampled_from(["", "-"]), whole_numbers, st.just("") | digits.map(".{}".format), st.just("") | exponents
).map("".join)
"""Every form of a number in JSON."""


@given(
    st.lists(numbers_as_written | st.text(' ,:e"\\é19.-[{', max_size=20).map(json.dumps), max_size=6),
    st.sampled_from([",", ", ", " ,\t"]),
)
@example(["1234567890123456.01", '"1,2:3"', "1234567890123456789012345678"], ", ")
@example([repr(10.0 ** -(exponent / 7)) for exponent in range(120)], ",")
@example(["0.000012345678901234567", '"caf\\u00e9, 12"', "5.0E-5"], ", ")
def test_every_number_is_the_one_that_is_written(items: list[str], separator: str) -> None:
    """In whatever form, as long as it may be, beside whatever texts: what is read equals it, digit for digit."""
    content = f'{{"type":"RECORD","record":{{"stream":"s","emitted_at":1,"data":{{"v":[{separator.join(items)}]}}}}}}'
    message = parse_line(content.encode(), 1)
    assert isinstance(message, Record)
    for written, read in zip(items, message.data["v"], strict=True):
        if written.startswith('"'):
            assert read == json.loads(written)
        else:
            assert Decimal(str(read)) == Decimal(written)


@pytest.mark.parametrize("kind", ["LOG", "CONTROL", "SPEC", "DESTINATION_CATALOG", "WHAT_COMES_NEXT", None, 7])
def test_messages_that_do_not_concern_a_destination_are_passed_over(kind: object) -> None:
    assert parse_line(line({"type": kind, "record": 1}), 1) is None


@pytest.mark.parametrize("trace", ["ERROR", "ESTIMATE", "ANALYTICS", None])
def test_other_traces_are_passed_over(trace: object) -> None:
    assert parse_line(line({"type": "TRACE", "trace": {"type": trace}}), 1) is None


@pytest.mark.parametrize("blank", [b"", b"  \t", b"\r"])
def test_blank_lines_are_passed_over(blank: bytes) -> None:
    assert parse_line(blank, 1) is None


def test_a_stream_status_is_read() -> None:
    status = {"stream_descriptor": {"name": "s", "namespace": ""}, "status": "COMPLETE"}
    message = parse_line(line({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": status}}), 1)
    assert message == StreamStatus("s", None, "COMPLETE")


# --- what is no message -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"not json " + SECRET.encode(),
        b'"' + SECRET.encode() + b'"',
        b'["' + SECRET.encode() + b'"]',
        b'{"type":"RECORD","record":{"stream":"s","data":{"x":"' + SECRET.encode(),
        b"{" + SECRET.encode() + b"}",
        b'{"x":' + b"[" * 100_000,
        b'{"n":1234567890123456789,"x":' + b"[" * 100_000,
        b'{"n":' + b"1" * 5_000 + b"]",
        b"\xff\xfe" + SECRET.encode(),
        b'{"type":"RECORD","record":{"data":"' + b"\xff" + SECRET.encode() + b'"}}',
    ],
)
def test_a_line_that_is_no_json_object_is_an_error_with_its_number_and_without_its_content(content: bytes) -> None:
    with pytest.raises(InternalError, match=r"^Line 17 of the input is not valid JSON") as caught:
        parse_line(content, 17)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "RECORD"},
        {"type": "RECORD", "record": None},
        {"type": "RECORD", "record": SECRET},
        {"type": "RECORD", "record": {"stream": SECRET, "data": {}}},
        {"type": "RECORD", "record": {"stream": [SECRET], "data": {}, "emitted_at": 1}},
        {"type": "RECORD", "record": {"stream": "s", "namespace": [SECRET], "data": {}, "emitted_at": 1}},
        {"type": "RECORD", "record": {"stream": "s", "data": [SECRET], "emitted_at": 1}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": SECRET}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": float("inf")}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": float("nan")}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": 2**63}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": 1, "meta": [SECRET]}},
        {"type": "RECORD", "record": {"stream": "s", "data": {}, "emitted_at": 1, "meta": {"changes": 1}}},
        {"type": "STATE"},
        {"type": "STATE", "state": SECRET},
        {"type": "STATE", "state": {"type": "STREAM"}},
        {"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": 1}}}},
        {"type": "TRACE", "trace": None},
        {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": {"status": SECRET}}},
    ],
)
def test_a_message_without_its_parts_is_an_error_with_its_number_and_without_its_content(message: object) -> None:
    with pytest.raises(InternalError, match=r"^Line 17 of the input is not a valid Airbyte message") as caught:
        parse_line(line(message), 17)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.integers(-(10**30), 10**30) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS = ["type", "record", "state", "trace", "stream", "data", "emitted_at", "meta", "stream_descriptor", "name"]


@st.composite
def nearly_messages(draw: st.DrawFn) -> Any:
    """Messages of the right outline with any value in any place."""
    kinds = st.sampled_from(["RECORD", "STATE", "TRACE", "STREAM", "STREAM_STATUS", "LOG"])
    inner = st.dictionaries(st.sampled_from(PARTS), kinds | json_values, max_size=5)
    outer = st.dictionaries(st.sampled_from(PARTS), kinds | inner, max_size=4)
    return draw(json_values | outer)


@given(nearly_messages() | st.binary(max_size=30))
@example({"type": "RECORD", "record": {"stream": {}, "data": {}, "emitted_at": 0}})
def test_whatever_comes_is_a_message_or_nothing_or_an_internal_error(value: Any) -> None:
    content = value if isinstance(value, bytes) else line(value)
    with contextlib.suppress(InternalError):
        message: Message | None = parse_line(content, 1)
        hash((getattr(message, "name", None), getattr(message, "namespace", None)))


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "stream"),
    [
        ({"type": "STREAM", "stream": {"stream_descriptor": {"name": "s", "namespace": "n"}}}, ("s", "n")),
        ({"type": "STREAM", "stream": {"stream_descriptor": {"name": "s", "namespace": ""}}}, ("s", None)),
        ({"type": "STREAM", "stream": {"stream_descriptor": {"name": "s"}}, "global": None}, ("s", None)),
        ({"type": "GLOBAL", "global": {"stream_states": []}}, None),
        ({"type": "LEGACY", "data": {"cursor": 1}}, None),
        ({"data": {"cursor": 1}}, None),
    ],
)
def test_a_state_belongs_to_one_stream_or_to_all(state: dict[str, Any], stream: tuple[str, str | None] | None) -> None:
    assert parsed_state(state).stream == stream


def test_a_state_comes_back_with_its_id_and_every_key_nobody_knows() -> None:
    """The platform adds an `id` that the protocol's own models drop, and fails when it does not come back."""
    state = {
        "type": "GLOBAL",
        "global": {"shared_state": {"lsn": 12345678901234567890123}, "stream_states": []},
        "global_": None,
        "id": 7,
        "sourceStats": {"recordCount": 3.0},
        "new in 2030": [1.5, "é", "\ud800", True],
    }
    answer = json.loads(acknowledged(parsed_state(state, extra={"x": 1}), records=3))
    assert answer == {
        "type": "STATE",
        "state": {**state, "destinationStats": {"recordCount": 3.0}},
        "extra": {"x": 1},
    }


@pytest.mark.parametrize(
    ("came", "leaves"),
    [
        (
            b'{"type":"STATE","state":{"data":{"at":20240101123456.7890122}}}',
            b'{"type":"STATE","state":{"data":{"at":20240101123456.7890122},@}}',
        ),
        (
            b'{"type":"STATE","state":{"data":{"at":1e400,"x":[NaN,-0.0,1E5,%b]}}}' % (b"7" * 5_000),
            b'{"type":"STATE","state":{"data":{"at":1e400,"x":[NaN,-0.0,1E5,%b]},@}}' % (b"7" * 5_000),
        ),
        (
            rb'{"type":"STATE","state":{"data":{"a":1,"a":2,"\u0061":"\ud83d\/"}}}',
            rb'{"type":"STATE","state":{"data":{"a":1,"a":2,"\u0061":"\ud83d\/"},@}}',
        ),
        (
            b' { "state" : { "data" : { } , "id" : 7 } , "type" : "STATE" , "more" : { } }\r',
            b'{ "state" : { "data" : { } , "id" : 7,@ } , "type" : "STATE" , "more" : { } }',
        ),
        (b'{"state":{},"type":"STATE"}', b'{"state":{@},"type":"STATE"}'),
        (
            b'{"type":"STATE","state":{"destinationStats":{"recordCount":9},"data":1}}',
            b'{"type":"STATE","state":{@,"data":1}}',
        ),
        (
            b'{"type":"STATE","state":1,"state":{"data":{"state":{}}}}',
            b'{"type":"STATE","state":1,"state":{"data":{"state":{}},@}}',
        ),
        (
            '{"type":"STATE","state":{"data":"é '.encode() + b'\xed\xa0\xbd"}}',
            '{"type":"STATE","state":{"data":"é '.encode() + rb'\ud83d",@}}',
        ),
    ],
    ids=["digits", "forms", "names twice", "blanks", "empty", "own stats", "the last counts", "half a character"],
)
def test_a_state_comes_back_byte_for_byte(came: bytes, leaves: bytes) -> None:
    """But for the counts, in the place of the `@`: numbers keep the digits and the form in which they came."""
    state = parse_line(came, 1)
    assert isinstance(state, State)
    assert acknowledged(state, records=2) == leaves.replace(b"@", b'"destinationStats":{"recordCount":2.0}')


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_the_content_of_a_state_is_never_altered(data: dict[str, Any]) -> None:
    """Not its 64-bit integers nor larger ones, NaN, half characters, nor the order of its keys."""
    state = {"type": "LEGACY", "data": data}
    answer = acknowledged(parsed_state(state), records=0)
    assert b"\n" not in answer
    body = json.loads(answer)["state"]
    del body["destinationStats"]
    assert json.dumps(body) == json.dumps(state)


def test_the_counts_are_doubles_and_stats_of_the_source_s_making_are_replaced() -> None:
    state = parsed_state({"type": "GLOBAL", "destinationStats": {"recordCount": 99.0}})
    answer = acknowledged(state, records=2, rejected=1)
    assert b'"recordCount":2.0' in answer
    assert json.loads(answer)["state"]["destinationStats"] == {"recordCount": 2.0, "rejectedRecordCount": 1.0}


def test_the_rejected_are_left_out_where_there_are_none() -> None:
    """The key is newer than most platforms."""
    stats = json.loads(acknowledged(parsed_state({"data": {}}), records=0))["state"]["destinationStats"]
    assert stats == {"recordCount": 0.0}
