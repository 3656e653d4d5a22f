"""`backfill`: files leave the rows that `write` makes of the same records, however they are written and wherever."""

from __future__ import annotations

import gzip
import json
import logging
import random
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from destination_milvus.backfill.commands import backfill
from destination_milvus.backfill.display import PlainOutput
from destination_milvus.config.models import parse_config
from destination_milvus.errors import BadRecord, ConfigError, DestinationError, ModelMismatch, TransientError
from destination_milvus.fields import CHUNK, EXTRACTED_AT, FINGERPRINT, GENERATION
from devtools.airbyte_files import FORMS, Form, lines_of, streams_of, write_lines
from devtools.backends import SHORT_CHUNKS, Backend, config
from devtools.connector import catalog, record, status, stream, write
from integration_tests.shared import SharedCollection, places, shared_collection

STREAMS = Path(__file__).with_name("streams")
TICKETS = catalog(stream("tickets"))
NOW = 1_767_312_000_000


def is_history(folder: Path) -> bool:
    """Whether a conformance stream is a history of records, which its last sync completes."""
    expected = [json.loads(path.read_text()) for path in folder.glob("*.expected.json")]
    return not any("error" in each for each in expected) and not list(folder.glob("*.catalog.json"))


HISTORIES = sorted(path.parent for path in STREAMS.glob("*/catalog.json") if is_history(path.parent))


@pytest.fixture(scope="module", params=places("own", "auto_id"))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection on each backend in each layout."""
    yield from shared_collection(request, tmp_path_factory)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    """Milvus Lite in a folder of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    yield backend
    backend.release()


def run(conf: Mapping[str, Any], configured: Mapping[str, Any], *inputs: Path | str, **options: Any) -> None:
    """A backfill in this process."""
    engine = {"engine": "local", "ray_address": None, "workers": None}
    arguments = {
        **engine,
        "stream": None,
        "generation": None,
        "dry_run": False,
        "input": list(map(str, inputs)),
        **options,
    }
    backfill(Namespace(**arguments), parse_config(conf), configured, PlainOutput())


def settings(shared: SharedCollection, processing: Mapping[str, Any] = SHORT_CHUNKS) -> dict[str, Any]:
    """A configuration for a shared collection."""
    return config(shared.backend, processing=processing, indexing={"collection": shared.name})


def fingerprints(shared: SharedCollection) -> list[str]:
    """Of all records; each is made of text, metadata, generation and settings."""
    heads = [row for row in shared.rows() if row[CHUNK] == 0]
    return sorted(head[FINGERPRINT] for head in heads)


def files_of(folder: Path, syncs: Sequence[Sequence[str]], form: Form) -> Path:
    """A history as files: of messages one a sync, else one a sync and stream, as Airbyte's path template has them."""
    number = 0
    for day, messages in enumerate(syncs, 1):
        if form == "messages":
            write_lines(folder / f"{day}.jsonl", messages)
            continue
        for (name, namespace), lines in streams_of(messages).items():
            place = folder / (namespace or "") / name / f"2026_01_{day:02}_{NOW}_0.jsonl.gz"
            write_lines(place, lines_of(lines, form, first=number))
            number += len(lines)
    return folder


def summary(caplog: pytest.LogCaptureFixture) -> str:
    """The last line that counts."""
    return [line for line in caplog.messages if " complete: " in line][-1]


every_history = pytest.mark.parametrize("behaviour", HISTORIES, ids=lambda behaviour: behaviour.name)


@every_history
def test_a_backfill_leaves_the_rows_of_write(
    shared: SharedCollection, behaviour: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Fingerprints included, of every conformance stream that is a history; a second one embeds and writes nothing."""
    require_the_rows_of_write(shared, behaviour, "data", tmp_path, caplog)


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "data"])
@every_history
def test_every_form_leaves_the_rows_of_write(
    shared: SharedCollection, behaviour: Path, form: Form, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As above, on one backend: forms differ before anything is written."""
    require_the_rows_of_write(shared, behaviour, form, tmp_path, caplog)


def require_the_rows_of_write(
    shared: SharedCollection, behaviour: Path, form: Form, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The body of the two tests."""
    caplog.set_level(logging.INFO, "airbyte")
    configured = json.loads((behaviour / "catalog.json").read_text())
    own = behaviour / "processing.json"
    processing = {**SHORT_CHUNKS, **(json.loads(own.read_text()) if own.exists() else {})}
    syncs = [path.read_text().splitlines() for path in sorted(behaviour.glob("*.jsonl"))]
    for messages in syncs:
        assert shared.sync(configured, messages, processing).error is None
    expected, marks = shared.records(), fingerprints(shared)
    shared.wipe()
    if not any(map(streams_of, syncs)) and form != "messages":
        return  # an empty sync is no file
    for _ in range(2):
        run(settings(shared, processing), configured, files_of(tmp_path, syncs, form))
        assert [json.dumps(each) for each in shared.records()] == [json.dumps(each) for each in expected]
        assert fingerprints(shared) == marks
        if form == "messages" and any(each["destination_sync_mode"] == "append" for each in configured["streams"]):
            return  # nothing tells them from others
    assert "0 new or changed" in summary(caplog)
    assert "0 chunks written, 0 texts embedded" in summary(caplog)


def history(seed: int, versions: int) -> list[str]:
    """A history of twenty records with updates, deletions, and records that come back."""
    chance = random.Random(seed)  # noqa: S311 - equal seeds, equal histories
    lines = []
    for number in range(versions):
        data: dict[str, Any] = {"id": chance.randrange(20)}
        if chance.random() < 0.2:
            data["_ab_cdc_deleted_at"] = "2026-01-02T00:00:00Z"
        else:
            data["body"] = "\n".join(f"line {chance.randrange(30)} of text" for _ in range(chance.randrange(4)))
            data["status"] = chance.choice(["new", "open", None])
        lines.append(record(data, emitted_at=NOW + number))
    return lines


@pytest.mark.parametrize("seed", range(6))
def test_a_generated_history_leaves_the_rows_of_write(
    shared: SharedCollection, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In files whose records do not come in order, too; then a sync of what is newest embeds and writes nothing."""
    caplog.set_level(logging.INFO, "airbyte")
    lines = history(seed, 150)
    assert shared.sync(TICKETS, lines).error is None
    expected, marks = shared.records(), fingerprints(shared)
    shared.wipe()
    shuffled = list(enumerate(lines))
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - as above
    for number in range(3):
        part = shuffled[50 * number : 50 * number + 50]
        write_lines(
            tmp_path / "tickets" / f"{number}.jsonl.gz",
            [lines_of([line], "data", first=place)[0] for place, line in part],
        )
    run(settings(shared), TICKETS, tmp_path / "tickets")
    assert shared.records() == expected
    assert fingerprints(shared) == marks
    newest = {json.loads(line)["record"]["data"]["id"]: line for line in lines}
    assert shared.sync(TICKETS, newest.values()).error is None
    assert "0 new or changed" in summary(caplog)
    assert "0 texts embedded" in summary(caplog)
    run(settings(shared), TICKETS, tmp_path / "tickets")
    assert "0 chunks written, 0 texts embedded" in summary(caplog)


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_the_newest_version_is_that_of_the_log_where_records_have_its_position(
    shared: SharedCollection, tmp_path: Path
) -> None:
    """Whatever the times say: a log is read again after a failure."""
    texts = (
        {"body": "first", "_ab_cdc_lsn": 7},
        {"body": "last", "_ab_cdc_lsn": 12},
        {"body": "again", "_ab_cdc_lsn": 9},
    )
    lines = [record({"id": 1, **data}, emitted_at=NOW + number) for number, data in enumerate(texts)]
    gone = {"id": 2, "_ab_cdc_lsn": 20, "_ab_cdc_deleted_at": "2026-01-02"}
    lines += [record(gone, emitted_at=NOW), record({"id": 2, "_ab_cdc_lsn": 19, "body": "before"}, emitted_at=NOW + 9)]
    run(settings(shared), TICKETS, write_lines(tmp_path / "tickets/1.jsonl", lines_of(lines, "data")))
    assert [each["chunks"] for each in shared.records()] == [["last"]]


# --- generations and sync modes ---------------------------------------------------------------------------------------


def versions(folder: Path, generation: int, *keys: int) -> None:
    """A file of a generation, with these records."""
    lines = [record({"id": key, "body": f"of {generation}"}, emitted_at=NOW + generation) for key in keys]
    write_lines(
        folder / f"tickets/{generation}.jsonl", lines_of(lines, "data", generation=generation, first=100 * generation)
    )


@pytest.mark.parametrize("place", places("own"), indirect=True)
@pytest.mark.parametrize("mode", ["append_dedup", "overwrite"])
def test_superseded_generations_are_left_out_and_what_was_stored_before_is_swept(
    shared: SharedCollection, mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As at the end of a refresh that removes; the records carry the generation of the catalog."""
    caplog.set_level(logging.INFO, "airbyte")
    ids = {"generation_id": 2, "minimum_generation_id": 0, "sync_id": 1}
    before = catalog(stream("tickets", "append_dedup", **ids))
    assert shared.sync(before, [record({"id": 9, "body": "old"}), status("COMPLETE")]).error is None
    for generation, keys in ((2, (1, 2)), (3, (2, 3))):
        versions(tmp_path, generation, *keys)
    configured = catalog(stream("tickets", mode, **{**ids, "generation_id": 3, "minimum_generation_id": 3}))
    run(settings(shared), configured, tmp_path / "tickets")
    assert [(each["chunks"], each["generation"]) for each in shared.records()] == [(["of 3"], 3), (["of 3"], 3)]
    assert "2 records of superseded generations" in caplog.text


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_a_refresh_that_retains_loads_all_generations(shared: SharedCollection, tmp_path: Path) -> None:
    """The newest version of a record is then the one of the newest generation."""
    for generation, keys in ((2, (1, 2)), (3, (2, 3))):
        versions(tmp_path, generation, *keys)
    run(settings(shared), TICKETS, tmp_path / "tickets")
    assert [each["chunks"] for each in shared.records()] == [["of 2"], ["of 3"], ["of 3"]]


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_an_overwrite_without_generations_takes_the_newest_one_of_the_files(
    shared: SharedCollection, tmp_path: Path
) -> None:
    """What was stored goes, and a second run leaves the same records."""
    overwrite = catalog(stream("tickets", "overwrite"))
    shared.sync(overwrite, [record({"id": 9, "body": "old"})])
    for generation, keys in ((2, (1, 2)), (3, (2, 3))):
        versions(tmp_path, generation, *keys)
    for _ in range(2):
        run(settings(shared), overwrite, tmp_path / "tickets")
        assert [each["chunks"] for each in shared.records()] == [["of 3"], ["of 3"]]
    mixed = lines_of([record({"id": 4, "body": "x"})], "data", generation=4)
    with (tmp_path / "tickets/3.jsonl").open("a") as file:
        file.write("".join(line + "\n" for line in mixed))
    with pytest.raises(ConfigError, match=r"3\.jsonl, line 3, is of generation 4, .* mixed inside files"):
        run(settings(shared), overwrite, tmp_path / "tickets")


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_the_generation_can_be_that_of_the_connection_that_goes_on(
    shared: SharedCollection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its next sync finds everything unchanged."""
    caplog.set_level(logging.INFO, "airbyte")
    versions(tmp_path, 3, 1, 2)
    run(settings(shared), TICKETS, tmp_path / "tickets", generation=8)
    assert {each["generation"] for each in shared.records()} == {8}
    goes_on = catalog(stream("tickets", generation_id=8, minimum_generation_id=0, sync_id=2))
    shared.sync(goes_on, [record({"id": key, "body": "of 3"}) for key in (1, 2)])
    assert [row[EXTRACTED_AT] for row in shared.rows()] == [NOW + 3, NOW + 3]
    run(settings(shared), catalog(stream("tickets", "overwrite")), tmp_path / "tickets", generation=9)
    assert {row[GENERATION] for row in shared.rows()} == {9}


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_records_without_a_key_are_stored_once_where_files_tell_who_they_are(
    shared: SharedCollection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By Airbyte's own id; without one the command says beforehand that a repetition doubles."""
    caplog.set_level(logging.INFO, "airbyte")
    append = catalog(stream("tickets", "append"))
    lines = [record({"id": 1, "body": "same"}), record({"id": 1, "body": "same"})]
    told = write_lines(tmp_path / "tickets/1.jsonl", lines_of(lines, "data"))
    for _ in range(2):
        run(settings(shared), append, told)
        assert len(shared.records()) == 2
    assert "0 chunks written, 0 texts embedded" in summary(caplog)
    assert "are stored twice" not in caplog.text
    untold = write_lines(tmp_path / "messages.jsonl", lines)
    run(settings(shared), append, untold)
    assert len(shared.records()) == 4
    assert "Nothing in the input tells the records of tickets" in caplog.text


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_what_a_failing_source_has_printed_takes_nothing_out(shared: SharedCollection, tmp_path: Path) -> None:
    """A stream that it began and did not end; one that it does not name is none that is empty."""
    configured = catalog(stream("tickets", "overwrite"), stream("articles", "overwrite"))
    ends = [status("COMPLETE", name) for name in ("tickets", "articles")]
    shared.sync(configured, [record({"id": 1, "body": "old"}), record({"id": 1, "body": "old"}, "articles"), *ends])
    broken_off = write_lines(tmp_path / "1.jsonl", [status("RUNNING"), record({"id": 2, "body": "new"})])
    with pytest.raises(TransientError, match='did not complete: "tickets"'):
        run(settings(shared), configured, broken_off)
    assert len(shared.records()) == 3
    whole = write_lines(tmp_path / "2.jsonl", [record({"id": 2, "body": "new"}), status("COMPLETE")])
    run(settings(shared), configured, whole)
    assert [each["chunks"] for each in shared.records()] == [["old"], ["new"]]


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_of_messages_one_stream_can_be_chosen(
    shared: SharedCollection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are passed over and counted."""
    caplog.set_level(logging.INFO, "airbyte")
    lines = [record({"id": 1, "body": "x"}), record({"id": 1, "body": "y"}, "articles"), status("COMPLETE", "articles")]
    path = write_lines(tmp_path / "1.jsonl", lines)
    run(settings(shared), catalog(stream("tickets"), stream("articles")), path, stream="tickets")
    assert [each["stream"] for each in shared.records()] == ["tickets"]
    assert "1 records of other streams" in caplog.text
    with pytest.raises(DestinationError, match='A record of the stream "articles" came, which is not in the'):
        run(settings(shared), TICKETS, path)


# --- Parquet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ms", "UTC"), pa.timestamp("us")], ids=str)
def test_parquet_has_a_column_for_each_field(
    shared: SharedCollection, kind: pa.DataType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With Airbyte's columns, times as numbers or as such, or without; nulls are absent fields."""
    caplog.set_level(logging.INFO, "airbyte")
    columns = {
        "_airbyte_raw_id": ["a", "b", "c"],
        "_airbyte_extracted_at": [NOW, NOW + 1, NOW + 2],
        "_airbyte_generation_id": [1, 1, 1],
        "_airbyte_meta": [{"sync_id": 1, "changes": []}] * 3,
        "id": [1, 2, 1],
        "body": ["one", "two", "one again"],
        "status": ["new", None, "open"],
    }
    (tmp_path / "tickets").mkdir()
    times = pa.array([NOW, NOW + 1, NOW + 2], pa.timestamp("ms", "UTC"))
    stored = pa.table({**columns, "_airbyte_extracted_at": times.cast(kind)})
    parquet.write_table(stored, tmp_path / "tickets/1.parquet")
    for _ in range(2):
        run(settings(shared), TICKETS, tmp_path / "tickets/1.parquet")
        found = [(each["chunks"], each["metadata"]) for each in shared.records()]
        assert found == [(["one again"], {"id": 1, "status": "open"}), (["two"], {"id": 2})]
    assert "0 texts embedded" in summary(caplog)
    plain = pa.table({name: values for name, values in columns.items() if not name.startswith("_")})
    parquet.write_table(plain, tmp_path / "plain.parquet")
    run(settings(shared), TICKETS, tmp_path / "plain.parquet", stream="tickets")
    assert "2 unchanged" in summary(caplog)


# --- bad input --------------------------------------------------------------------------------------------------------

GOOD = lines_of([record({"id": number, "body": f"text {number}"}) for number in (1, 2)], "data")
TEXT = "PLANTED-TEXT"
"""Stands in files, and in no message."""


def damaged(kind: str) -> bytes:
    """The content of a file that is not whole."""
    whole = gzip.compress("".join(line + "\n" for line in lines_of(history(1, 400), "data")).encode())
    text = "".join(line + "\n" for line in GOOD)
    return {
        "a gzip that is cut off": whole[: len(whole) // 2],
        "a gzip with a hole": whole[:500] + bytes(300) + whole[800:],
        "a line that is cut off": (text + GOOD[0].replace("text 1", TEXT)[:-8]).encode(),
        "a broken line": f'{text}{{"{TEXT}\n{GOOD[0]}\n'.encode(),
        "a line that is a list": f'{text}["{TEXT}"]\n'.encode(),
        "a line of another form": f'{text}{{"id": 1, "body": "{TEXT}"}}\n'.encode(),
        "a table of CSV": f"id,body\n1,{TEXT}\n".encode(),
        "Avro": b"Obj\x01" + TEXT.encode(),
        "Parquet that is cut off": b"PAR1" + TEXT.encode(),
        "messages among records": f"{text}{record({'id': 3, 'body': TEXT})}\n".encode(),
    }[kind]


SENTENCES = {
    "a gzip that is cut off": r"bad\.jsonl ends in the middle of line \d+: it was not written to its end",
    "a gzip with a hole": r"bad\.jsonl is damaged behind line \d+: it does not unpack as gzip",
    "a line that is cut off": r"bad\.jsonl ends in the middle of line 3: it was not written to its end",
    "a broken line": r"bad\.jsonl, line 3, is no JSON object",
    "a line that is a list": r"bad\.jsonl, line 3, is no JSON object",
    "a line of another form": r"bad\.jsonl, line 3, is no record .* neither _airbyte_extracted_at nor",
    "a table of CSV": r"bad\.jsonl, line 1, is no JSON object",
    "Avro": r"bad\.jsonl is Avro, which is not read",
    "Parquet that is cut off": r"bad\.jsonl is no whole Parquet file",
    "messages among records": r"bad\.jsonl, line 3, is no record .* neither _airbyte_extracted_at nor",
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_file_that_is_not_whole_is_named_with_its_line(lite: Backend, tmp_path: Path, kind: str) -> None:
    """Before anything is written, where the stream deduplicates; never with its text."""
    path = tmp_path / "tickets" / "bad.jsonl"
    write_lines(path, [])
    path.write_bytes(damaged(kind))
    with pytest.raises(DestinationError, match=SENTENCES[kind]) as raised:
        run(config(lite), TICKETS, path)
    assert TEXT not in raised.value.message
    assert not Path(lite.host).exists()


@pytest.mark.parametrize("place", places("own")[:1], indirect=True)
def test_what_comes_before_a_broken_line_is_stored_where_no_version_replaces_another(
    shared: SharedCollection, tmp_path: Path
) -> None:
    """In Append; once the line is mended, the same command completes it."""
    append = catalog(stream("tickets", "append"))
    path = write_lines(tmp_path / "tickets/1.jsonl", [*GOOD, '{"half'])
    with pytest.raises(ConfigError, match=r"1\.jsonl, line 3, is no JSON object"):
        run(settings(shared), append, path)
    assert len(shared.records()) == 2
    write_lines(path, [*GOOD, *lines_of([record({"id": 3, "body": "x"})], "data", first=2)])
    run(settings(shared), append, path)
    assert len(shared.records()) == 3


def test_an_empty_file_is_named_and_passed_over(
    lite: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing, or gzip of nothing."""
    caplog.set_level(logging.INFO, "airbyte")
    for name, content in (("0.jsonl", b""), ("1.jsonl.gz", b""), ("2.jsonl.gz", gzip.compress(b""))):
        write_lines(tmp_path / "tickets" / name, [])
        (tmp_path / "tickets" / name).write_bytes(content)
    write_lines(tmp_path / "tickets/3.jsonl", GOOD)
    run(config(lite), TICKETS, tmp_path / "tickets")
    assert len([line for line in caplog.messages if line.endswith("is empty.")]) == 3
    assert "2 committed" in summary(caplog)


def test_what_cannot_be_is_refused_before_anything_is_read(lite: Backend, tmp_path: Path) -> None:
    """A pattern that means nothing; a file of no stream, of another one, or of two kinds."""
    conf = config(lite)
    good = write_lines(tmp_path / "tickets/1.jsonl", GOOD)
    with pytest.raises(ConfigError, match=r"--input .*nothing/\*\.gz matches no file"):
        run(conf, TICKETS, tmp_path / "nothing/*.gz")
    with pytest.raises(ConfigError, match=r"--input http://host/x: http:// cannot be read"):
        run(conf, TICKETS, "http://host/x")
    with pytest.raises(ConfigError, match=r"Nothing in the path of .* says of which stream .* \(articles\)"):
        run(conf, catalog(stream("articles")), good)
    with pytest.raises(ConfigError, match=r'is of the stream "tickets", as its path says, and --stream is "articles"'):
        run(conf, catalog(stream("tickets"), stream("articles")), good, stream="articles")
    with pytest.raises(ConfigError, match=r'--stream "users" is not in the catalog, which has tickets'):
        run(conf, TICKETS, good, stream="users")
    messages = write_lines(tmp_path / "messages.jsonl", [record({"id": 1})])
    with pytest.raises(ConfigError, match=r"holds messages of a source, and .* what a destination wrote"):
        run(conf, TICKETS, good, messages)
    bad = write_lines(
        tmp_path / "bad.jsonl", [record({"id": 1}), '{"type": "RECORD", "record": {"stream": "tickets"}}']
    )
    with pytest.raises(ConfigError, match=r"bad\.jsonl, line 2, is no valid message of a source"):
        run(conf, TICKETS, bad)
    assert not Path(lite.host).exists()


def test_a_column_that_parquet_lacks_is_named(lite: Backend, tmp_path: Path) -> None:
    """That of the key; a field that is only text or metadata may be absent, as in any record."""
    (tmp_path / "tickets").mkdir()
    parquet.write_table(pa.table({"body": ["x"]}), tmp_path / "tickets/1.parquet")
    with pytest.raises(ConfigError, match=r'1\.parquet has no column "id", which is in the primary key of the stream'):
        run(config(lite), TICKETS, tmp_path / "tickets")
    parquet.write_table(pa.table({"id": [1], "body": [b"\xff"]}), tmp_path / "tickets/1.parquet")
    with pytest.raises(ConfigError, match=r"1\.parquet, row 1: it has a column of bytes that are no text"):
        run(config(lite), TICKETS, tmp_path / "tickets")


def test_a_record_without_its_key_is_named_by_file_and_line(
    lite: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the command, or is skipped, as `bad_records` says."""
    caplog.set_level(logging.INFO, "airbyte")
    lines = lines_of([record({"id": None, "body": TEXT})], "data", first=2)
    path = write_lines(tmp_path / "tickets/1.jsonl", [*GOOD, *lines])
    with pytest.raises(BadRecord, match=r'1\.jsonl, line 3: Stream "tickets", a record without a key') as raised:
        run(config(lite), TICKETS, path)
    assert raised.value.stream == ("tickets", None)
    run(config(lite, advanced={"bad_records": "skip"}), TICKETS, path)
    assert "Skipped a record. " in caplog.text
    assert "1.jsonl, line 3: " in caplog.text
    assert "2 committed" in summary(caplog)
    assert TEXT not in caplog.text


def test_a_collection_of_another_model_is_refused(lite: Backend, tmp_path: Path) -> None:
    """As by a sync, before anything is written."""
    conf = config(lite)
    write(conf, TICKETS, [record({"id": 1, "body": "x"})])
    other = {**conf, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 1536}}
    path = write_lines(tmp_path / "tickets/1.jsonl", GOOD)
    with pytest.raises(ModelMismatch, match="holds vectors of the model fake"):
        run(other, TICKETS, path)


# --- what it would cost -----------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_leaves_nothing(lite: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records, deletions, bad ones and tokens of what is newest; neither a collection nor a database is made."""
    gone = {"id": 2, "_ab_cdc_deleted_at": "2026-01-02"}
    lines = [
        *(record({"id": number, "body": "some words"}) for number in (1, 1, 2, 3)),
        record(gone),
        record({"body": "x"}),
    ]
    path = write_lines(tmp_path / "tickets/1.jsonl", lines_of([*lines, record({"id": 4})], "data"))
    conf = config(lite, processing={"text_fields": ["body"]}, advanced={"tokens_per_minute": 5})
    run(conf, TICKETS, path, dry_run=True)
    told = capsys.readouterr().err
    assert "tickets        5          1             1    1       2       8" in told
    assert 'line 6: Stream "tickets", a record without a key' in told
    assert "2 older versions of records" in told
    assert "At most 8 tokens" in told
    assert "At 5 tokens a minute (advanced.tokens_per_minute) that takes 1 min." in told
    assert not Path(lite.host).exists()
