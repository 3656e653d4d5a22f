"""`destination-milvus preview` as a process: a pipe and files, text, tables and JSON, and against a collection."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import Backend, config
from devtools.connector import arguments, catalog, environment, record, state, stream, write

TICKETS = catalog(stream("tickets"))
HOSTILE = "\x1b[31mred\u202e"


def lines(*numbers: int, word: str = "printer") -> list[str]:
    """Tickets of 7 tokens, and the state behind them."""
    return [*(record({"id": number, "body": f"The {word} is on fire"}) for number in numbers), state(1)]


def conf(backend: Backend | None = None, **sections: Any) -> dict[str, Any]:
    """A configuration; without a Milvus, of a server that nobody can reach."""
    processing = {"chunk_size": 50, "text_fields": ["body"], "include_field_names": False}
    if backend is not None:
        return config(backend, processing=processing, **sections)
    indexing = {"host": "http://127.0.0.1:1", "collection": "c", "auth": {"mode": "no_auth"}}
    return {"embedding": {"mode": "fake"}, "processing": processing, "indexing": indexing, **sections}


def line_of(folder: Path, raw: Mapping[str, Any], configured: Mapping[str, Any], options: Sequence[str]) -> list[str]:
    return [*arguments(folder, "preview", raw, configured), *options]


def run(
    folder: Path,
    *options: str | Path,
    raw: Mapping[str, Any] | None = None,
    configured: Mapping[str, Any] = TICKETS,
    said: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """A preview to its end."""
    return subprocess.run(
        line_of(folder, raw or conf(), configured, list(map(str, options))),
        input="".join(line + "\n" for line in said),
        capture_output=True, text=True, check=False, timeout=120, env=environment(),
    )  # fmt: skip


def report(folder: Path, *options: str | Path, **more: Any) -> dict[str, Any]:
    """What a preview tells programs."""
    done = run(folder, "--json", *options, **more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def sentence(folder: Path, *options: str | Path, **more: Any) -> str:
    """Why a preview failed, in one line."""
    done = run(folder, *options, **more)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_pipe_is_told_as_text_and_nothing_is_reached(tmp_path: Path) -> None:
    """Counts, sizes, costs, examples and warnings; what a terminal would act upon is made harmless."""
    said = [*lines(1, 2, 2), record({"body": "no key"}), record({"id": 3}), record({"id": 4, "body": HOSTILE})]
    done = run(tmp_path, "--price", "1000", "--examples", "2", said=said)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = done.stdout.splitlines()
    assert told[0].split()[:2] == ["stream", "records"]
    assert told[1].split()[:6] == ["tickets", "6", "0", "1", "1", "4"]
    assert 'Bad: Stream "tickets", a record without a key' in done.stdout
    assert "tickets: chunks by tokens" in done.stdout
    assert "tokens are embedded (counted in cl100k), which cost 0.0" in done.stdout
    assert "--- tickets_1, chunk 1 of 1\nThe printer is on fire\n" in done.stdout
    assert "Warning: tickets: 1 records have a key that came before" in done.stdout
    assert told[-1] == "Nothing was embedded or written."
    every = run(tmp_path, "--examples", "9", said=said).stdout
    assert "red" in every
    assert "\x1b" not in every
    assert "\u202e" not in every


def test_a_terminal_gets_tables(tmp_path: Path) -> None:
    """Drawn by rich: the same words, with bars of blocks."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        line_of(tmp_path, conf(), TICKETS, []),
        stdin=subprocess.PIPE, stdout=follower, stderr=subprocess.PIPE, env=environment(COLUMNS="160", TERM="xterm"),
    )  # fmt: skip
    os.close(follower)
    _, stderr = process.communicate("".join(line + "\n" for line in lines(1, 2)).encode(), timeout=120)
    shown = bytearray()
    try:
        while more := os.read(leader, 65_536):
            shown += more
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert process.returncode == 0, stderr
    text = shown.decode()
    assert "█" in text
    assert "without text" in text
    assert "Nothing was embedded or written." in text


def test_costs_follow_price_limits_and_what_was_left_unread(tmp_path: Path) -> None:
    """A sample of a pipe is extrapolated by `--total`, one of a plain file by its size, of a packed one not at all."""
    embedding = {"mode": "openai", "openai_key": "sk-planted", "model": "text-embedding-3-small"}
    raw = conf(embedding=embedding, advanced={"tokens_per_minute": 100})
    whole = report(tmp_path, "--price", "2", raw=raw, said=lines(*range(100)))
    assert (whole["records"], whole["is_sample"], whole["extrapolated_by"]) == (100, False, 1)
    [tickets] = whole["streams"]
    tokens = tickets["tokens"]
    assert whole["cost"]["tokens"] == tokens
    assert whole["cost"]["money"] == pytest.approx(2 * tokens / 1_000_000)
    assert whole["cost"]["seconds"] == pytest.approx(60 * tokens / 100)
    assert (whole["cost"]["requests"], whole["cost"]["vector_bytes"]) == (1, 100 * 1536 * 4)

    named = report(tmp_path, "--requests-per-minute", "1", "--tokens-per-minute", "1000000", raw=raw, said=lines(1))
    assert named["cost"]["seconds"] == 60

    sample = report(tmp_path, "--records", "10", "--total", "1000", said=lines(*range(100)))
    assert (sample["records"], sample["is_sample"], sample["cost"]["rows"]) == (10, True, 1000)

    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.gz"
    content = "".join(line + "\n" for line in lines(*range(10_000, 10_100))[:-1])
    plain.write_text(content)
    packed.write_bytes(gzip.compress(content.encode()))
    by_size = report(tmp_path, "--records", "10", "--input", plain)
    assert by_size["cost"]["rows"] == pytest.approx(100, abs=2)
    unknown = report(tmp_path, "--records", "10", "--input", packed)
    assert (unknown["is_sample"], unknown["cost"]["rows"]) == (True, 10)
    for path, words in ((packed, "is not known (--total)"), (plain, "about 10.0 times as many records")):
        assert words in run(tmp_path, "--records", "10", "--input", path).stdout


def test_files_are_read_as_backfill_reads_them(tmp_path: Path) -> None:
    """The newest version of a key, and the same numbers as a dry run."""
    path = tmp_path / "messages.jsonl"
    path.write_text("".join(line + "\n" for line in [*lines(1, 2), *lines(2, word="screen")]))
    [tickets] = report(tmp_path, "--input", path)["streams"]
    assert (tickets["records"], tickets["chunks"]) == (2, 2)
    dry = subprocess.run(
        [*arguments(tmp_path, "backfill", conf(), TICKETS), "--dry-run", "--input", str(path)],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip
    assert f"At most {tickets['tokens']:,} tokens are embedded" in dry.stderr


@pytest.fixture
def filled(backend: Backend) -> dict[str, Any]:
    """A collection with three tickets."""
    raw = conf(backend)
    write(raw, TICKETS, lines(1, 2, 3))
    backend.release()
    return raw


def test_against_a_collection_the_difference_is_told(filled: dict[str, Any], tmp_path: Path) -> None:
    """New, changed and unchanged, and only texts whose vectors are not stored; the collection stays as it is."""
    raw = filled
    metadata_only = record({"id": 1, "body": "The printer is on fire", "status": "new"})
    said = [metadata_only, *lines(2), *lines(3, word="screen"), *lines(4, 5, word="phone"), record({"id": 6})]
    told = report(tmp_path, "--against", raw=raw, said=said)
    [tickets] = told["streams"]
    found = tickets["collection"]
    assert {name: found[name] for name in ("new", "changed", "unchanged", "texts")} == {
        "new": 2, "changed": 2, "unchanged": 1, "texts": 2,
    }  # fmt: skip
    assert told["cost"]["tokens"] == found["tokens"] < tickets["tokens"]
    again = report(tmp_path, "--against", raw=raw, said=said)
    assert again == told
    assert "in the collection" in run(tmp_path, "--against", raw=raw, said=said).stdout


def test_against_what_is_not_there_or_of_another_model_is_a_sentence(filled: dict[str, Any], tmp_path: Path) -> None:
    """The option is named; nothing is created."""
    raw = filled
    missing = {**raw, "indexing": {**raw["indexing"], "collection": "other"}}
    assert 'has no collection "other" to compare with' in sentence(tmp_path, "--against", raw=missing, said=lines(1))
    other = {**raw, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 1536}}
    assert "holds vectors of the model fake" in sentence(tmp_path, "--against", raw=other, said=lines(1))


def test_bad_input_is_a_sentence(tmp_path: Path) -> None:
    """Nothing that came, no stream, numbers that cannot be, a line that is none, nobody to compare with."""
    assert "No record came" in sentence(tmp_path)
    assert "No record came" in sentence(tmp_path, said=[state(1)])
    assert "The catalog has no stream" in sentence(tmp_path, configured={"streams": []}, said=lines(1))
    for options in (("--price", "-1"), ("--price", "nan"), ("--records", "0"), ("--total", "0"), ("--examples", "-1")):
        assert f"{options[0]} is {options[1]}" in sentence(tmp_path, *options, said=lines(1)).replace(".0,", ",")
    assert "Line 2 of the input is not valid JSON" in sentence(tmp_path, said=[lines(1)[0], "no JSON"])
    assert "matches no file" in sentence(tmp_path, "--input", tmp_path / "absent")
    assert "127.0.0.1" in sentence(tmp_path, "--against", said=lines(1))


def test_what_comes_is_not_held(tmp_path: Path) -> None:
    """A hundred times the input takes hardly more memory; the peak is what the system says of the process."""

    def peak(records: int) -> int:
        path = tmp_path / "many.jsonl"
        path.write_text(
            "".join(record({"id": n, "body": f"The printer {n} is on fire"}) + "\n" for n in range(records))
        )
        with path.open("rb") as stdin:
            process = subprocess.Popen(
                line_of(tmp_path, conf(), TICKETS, ["--json"]),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                env=environment(),
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss

    assert peak(50_000) - peak(500) < 20_000  # kB
