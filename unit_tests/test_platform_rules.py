"""Each rule of the platform can fail: transcripts with one breach, told to the judge that the integration tests use."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from devtools.platform_rules import (
    END_RULES,
    LINE_RULES,
    Breach,
    Judge,
    StoredRecord,
    answers_every_state,
    counts_every_record,
    counts_in_doubles,
    does_not_call_incomplete_complete,
    ends_with_its_error,
    exits_as_the_platform_reads_it,
    explains_its_error,
    gives_back_what_was_sent,
    is_durable,
    keeps_standard_error_empty,
    keeps_the_id,
    leaves_the_state_alone,
    require_source_line,
    says_what_a_destination_says,
    tells_why_it_failed,
)

CATALOG = {
    "streams": [
        {"stream": {"name": "s", "namespace": "n"}, "destination_sync_mode": "append_dedup", "primary_key": [["id"]]},
        {"stream": {"name": "log"}, "destination_sync_mode": "append"},
    ]
}
COUNTED = {"streams": [{**CATALOG["streams"][0], "generation_id": 2, "minimum_generation_id": 2}]}
"""A catalog of a platform that counts generations."""
STORED = StoredRecord("n_s", "n_s_1", "2", whole=True)


def record(key: int, version: str = "2", **data: Any) -> str:
    data = {"id": key, "updated_at": version, **data}
    return json.dumps({"type": "RECORD", "record": {"stream": "s", "namespace": "n", "data": data, "emitted_at": 1}})


def logged(version: str) -> str:
    data = {"updated_at": version}
    return json.dumps({"type": "RECORD", "record": {"stream": "log", "data": data, "emitted_at": 1}})


def state(number: int, **parts: Any) -> dict[str, Any]:
    body = {"stream_descriptor": {"name": "s", "namespace": "n"}, "stream_state": {"cursor": 1}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": body, "id": number, **parts}}


def answer(number: int, records: float = 1.0, **parts: Any) -> bytes:
    return json.dumps(state(number, destinationStats={"recordCount": records}, **parts)).encode()


def error(message: str = "It failed.", kind: str | None = "system_error", **parts: Any) -> bytes:
    body = {"message": message, "failure_type": kind, **parts}
    return json.dumps({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": body}}).encode()


def status(word: str) -> str:
    body = {"stream_descriptor": {"name": "s", "namespace": "n"}, "status": word}
    return json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": body}})


def heard(*sent: str | dict[str, Any], catalog: dict[str, Any] = CATALOG) -> Judge:
    judge = Judge(catalog)
    for line in sent:
        judge.sent(line if isinstance(line, str) else json.dumps(line))
    return judge


SENTENCE = b'{"type": "LOG", "log": {"level": "INFO", "message": "hello"}}'

BREACHES_OF_A_LINE: Sequence[tuple[Callable[..., Any], Judge, bytes]] = [
    (says_what_a_destination_says, heard(), b'{"type": "RECORD", "record": {}}'),
    (says_what_a_destination_says, heard(), b'{"level": "INFO"}'),
    (says_what_a_destination_says, heard(), b'{"type": "LOG", "log": {"level": "SHOUT", "message": "hello"}}'),
    (gives_back_what_was_sent, heard(), answer(1, 0.0)),
    (keeps_the_id, heard(state(1), state(2)), answer(2, 0.0)),
    (keeps_the_id, heard(state(1)), answer(1, 0.0).replace(b'"id": 1, ', b"")),
    (keeps_the_id, heard(state(1)), answer(1, 0.0).replace(b'"id": 1', b'"id": 1.0')),
    (leaves_the_state_alone, heard(state(1)), answer(1, 0.0).replace(b'"cursor": 1', b'"cursor": 1.0')),
    (leaves_the_state_alone, heard(state(1)), answer(1, 0.0, extra=None)),
    (leaves_the_state_alone, heard(state(1, sourceStats={"recordCount": 1.0})), answer(1, 0.0)),
    (counts_in_doubles, heard(state(1)), answer(1, 0)),
    (counts_in_doubles, heard(state(1)), answer(1, -1.0)),
    (counts_in_doubles, heard(state(1)), json.dumps(state(1)).encode()),
    (counts_in_doubles, heard(state(1)), json.dumps(state(1, destinationStats={"rejectedRecordCount": 1.0})).encode()),
    (counts_every_record, heard(record(1), record(2), state(1)), answer(1, 1.0)),
    (counts_every_record, heard(record(1), logged("1"), state(1)), answer(1, 2.0)),
    (explains_its_error, heard(), error(" ")),
    (explains_its_error, heard(), error("Traceback (most recent call last)")),
    (explains_its_error, heard(), error(kind=None)),
    (explains_its_error, heard(), error(stream_descriptor={"name": "n_s"})),
]


@pytest.mark.parametrize(
    ("rule", "judge", "line"), BREACHES_OF_A_LINE, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_line_that_breaks_a_rule_is_a_breach_of_it(rule: Callable[..., Any], judge: Judge, line: bytes) -> None:
    with pytest.raises(Breach) as caught:
        judge.received(line)
    assert str(caught.value).startswith(str(rule.__doc__).splitlines()[0])


@pytest.mark.parametrize("line", [b"hello", b"[]", b"1", b'{"type": "LOG", "log": NaN}', b"{", b"\xff"])
def test_a_line_that_is_no_json_object_is_a_breach(line: bytes) -> None:
    with pytest.raises(Breach, match="Every line is a JSON object"):
        heard().received(line)


def test_anything_after_the_error_is_a_breach() -> None:
    judge = heard()
    judge.received(error(stream_descriptor={"name": "s", "namespace": "n"}))
    with pytest.raises(Breach, match=str(ends_with_its_error.__doc__)):
        judge.received(SENTENCE)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ([record(1)], []),
        ([record(1)], [StoredRecord("n_s", "n_s_1", "1", whole=True)]),
        ([record(1)], [StoredRecord("n_s", "n_s_1", "2", whole=False)]),
        ([record(1)], [StoredRecord("s", "n_s_1", "2", whole=True)]),
        ([record(1, _ab_cdc_deleted_at="now")], [STORED]),
        ([record(1, "1"), record(1)], [StoredRecord("n_s", "n_s_1", "1", whole=True)]),
        ([logged("1"), logged("1")], [StoredRecord("log", "log_x", "1", whole=True)]),
    ],
    ids=["absent", "an older version", "in part", "another stream", "not deleted", "the first version", "one of two"],
)
def test_a_state_before_its_records_are_stored_is_a_breach(sent: list[str], stored: list[StoredRecord]) -> None:
    judge = heard(*sent, {"type": "STATE", "state": {"type": "GLOBAL", "id": 1}})
    stats = {"recordCount": float(len(sent))}
    line = json.dumps({"type": "STATE", "state": {"type": "GLOBAL", "id": 1, "destinationStats": stats}}).encode()
    with pytest.raises(Breach, match=str(is_durable.__doc__)):
        judge.received(line, stored)


@pytest.mark.parametrize(
    ("sent", "after", "stored"),
    [
        ([record(1)], [], [STORED]),
        ([record(1, "1")], [record(1)], [STORED]),
        ([record(1)], [record(1, _ab_cdc_deleted_at="now")], []),
        ([record(1)], [record(1, "3")], [StoredRecord("n_s", "n_s_1", "2", whole=False)]),
        ([record(1, _ab_cdc_deleted_at="now")], [], []),
        ([record(1)], [record(2)], [STORED]),
    ],
    ids=["stored", "newer already", "deleted already", "newer on its way", "deleted", "what follows is not awaited"],
)
def test_what_is_sent_meanwhile_may_be_there_or_not(
    sent: list[str], after: list[str], stored: list[StoredRecord]
) -> None:
    judge = heard(*sent, state(1), *after)
    assert judge.received(answer(1), stored)["type"] == "STATE"


@pytest.mark.parametrize(
    ("rule", "judge", "lines", "exit_code", "stderr"),
    [
        (exits_as_the_platform_reads_it, heard(), [error()], 2, ""),
        (keeps_standard_error_empty, heard(), [], 0, "Traceback"),
        (tells_why_it_failed, heard(), [], 1, ""),
        (tells_why_it_failed, heard(), [error()], 0, ""),
        (answers_every_state, heard(state(1), state(2)), [answer(1, 0.0)], 0, ""),
        (answers_every_state, heard(state(1), status("INCOMPLETE")), [error()], 1, ""),
        (answers_every_state, heard(state(1), catalog=COUNTED), [error()], 1, ""),  # its source has failed
        (does_not_call_incomplete_complete, heard(record(1), catalog=COUNTED), [], 0, ""),
        (does_not_call_incomplete_complete, heard(status("INCOMPLETE")), [], 0, ""),
        (does_not_call_incomplete_complete, heard(status("COMPLETE")), [], 0, ""),  # and no word of the stream "log"
    ],
)
def test_an_end_that_breaks_a_rule_is_a_breach_of_it(
    rule: Callable[..., Any], judge: Judge, lines: list[bytes], exit_code: int, stderr: str
) -> None:
    for line in lines:
        judge.received(line)
    with pytest.raises(Breach) as caught:
        judge.ended(exit_code, stderr)
    assert str(caught.value).startswith(str(rule.__doc__).splitlines()[0])


def test_a_sync_that_keeps_to_the_rules_breaks_none() -> None:
    judge = heard("hello", record(1), logged("1"), state(1), {"type": "STATE", "state": {"data": {}, "id": 2}}, "{}")
    judge.received(SENTENCE)
    judge.received(answer(1), [STORED, StoredRecord("log", "random", "1", whole=True)])
    judge.received(b'{"type": "STATE", "state": {"data": {}, "id": 2, "destinationStats": {"recordCount": 1.0}}}')
    judge.ended(0, "")


def test_a_failure_may_leave_states_unanswered() -> None:
    judge = heard(state(1), status("COMPLETE"), catalog=COUNTED)
    judge.received(error())
    judge.ended(1, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "Every line is a JSON object"),
        ('{"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}', "A source that reads says"),
        ('{"type": "LOG", "log": {"level": "SHOUT", "message": "hello"}}', "keeps to the models"),
        (record(1).replace('"s"', '"t"'), "speaks of the streams"),
        (json.dumps(state(1)).replace('"s"', '"t"'), "speaks of the streams"),
        (status("COMPLETE").replace('"s"', '"t"'), "speaks of the streams"),
    ],
)
def test_a_source_is_judged_too(line: str, words: str) -> None:
    with pytest.raises(Breach, match=words):
        require_source_line(CATALOG, line)


def test_a_source_that_keeps_to_the_rules_breaks_none() -> None:
    for line in (SENTENCE.decode(), record(1), json.dumps(state(1)), status("RUNNING")):
        require_source_line(CATALOG, line)


def test_every_rule_is_a_sentence_that_is_tested_here() -> None:
    for rule in (*LINE_RULES, *END_RULES):
        assert str(rule.__doc__).splitlines()[0].endswith("."), rule
        assert rule.__name__ in globals(), f"{rule} has no breach"
