"""Inputs of a sync as files of protocol lines: tickets of about 100 words of real text, and long articles."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from benchmarks.installing import paragraphs, work_folder
from devtools import connector

WORDS = 100
ARTICLE_PARAGRAPHS = 26
ARTICLE_WORDS = 80
EXTRACTED_AT = 1_767_312_000_000
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")


@dataclass(frozen=True)
class Tickets:
    """A file of tickets."""

    records: int
    state_every: int = 500
    """Records between two states; 0 for one state at the end."""
    changed_text: float = 0.0
    """Share of records with another text than in the file without changes."""
    changed_metadata: float = 0.0
    only_changed_text: bool = False
    """Leave out the records whose text is the same as without changes."""

    def path(self) -> Path:
        """The file, written at the first call."""
        return _written(self, self._lines())

    def _lines(self) -> Iterator[str]:
        texts = itertools.cycle(_texts(WORDS))
        for number in range(self.records):
            text = next(texts)
            if _chosen(number, self.changed_text):
                text = f"Changed: {text}"
            elif self.only_changed_text:
                continue
            status = STATUSES[number % 6] if not _chosen(number, self.changed_metadata) else "archived"
            yield connector.record(_ticket(number, text, status), "tickets")
            if self.state_every and (number + 1) % self.state_every == 0 and number + 1 < self.records:
                yield connector.state(number, "tickets")
        yield connector.state(self.records, "tickets")


@dataclass(frozen=True)
class Files:
    """A folder of what another destination has left of tickets, each in two versions if they are `repeated`."""

    records: int
    files: int = 8
    repeated: bool = False

    def path(self) -> Path:
        """The folder, written at the first call."""
        folder = work_folder() / f"Files-{'-'.join(map(str, astuple(self)))}" / "tickets"
        if not folder.exists():
            partial = folder.with_name("partial")
            partial.mkdir(parents=True, exist_ok=True)
            for number in range(self.files):
                with gzip.open(partial / f"{number}.jsonl.gz", "wt", compresslevel=1) as sink:
                    sink.writelines(f"{line}\n" for line in self._lines(number))
            partial.rename(folder)
        return folder

    def _lines(self, file: int) -> Iterator[str]:
        texts = itertools.islice(itertools.cycle(_texts(WORDS)), file, None, self.files)
        for number, text in zip(range(file, self.records, self.files), texts, strict=False):
            for version in range(1 + self.repeated):
                columns = {"_airbyte_raw_id": f"{number}-{version}", "_airbyte_extracted_at": EXTRACTED_AT + version}
                yield json.dumps({**columns, "_airbyte_data": _ticket(number, text, STATUSES[(number + version) % 6])})


@dataclass(frozen=True)
class Articles:
    """A file of articles of about 20 chunks of 200 tokens; in an edited one a single paragraph differs."""

    records: int
    edited: bool = False

    def path(self) -> Path:
        """The file, written at the first call."""
        return _written(self, self._lines())

    def _lines(self) -> Iterator[str]:
        texts = _texts(ARTICLE_WORDS)
        for number in range(self.records):
            body = list(itertools.islice(texts, ARTICLE_PARAGRAPHS))
            if self.edited:
                place = random.Random(number).randrange(ARTICLE_PARAGRAPHS)  # noqa: S311 - equal runs
                body[place] = "This paragraph was rewritten. " + " ".join(reversed(body[place].split()))
            text = {"title": body[0][:60], "body": "\n\n".join(body)}
            yield connector.record({"id": number, **text, "updated_at": "2026-01-02T00:00:00Z"}, "articles")
        yield connector.state(self.records, "articles")


def catalog(stream: str) -> Path:
    """A configured catalog with one stream, Incremental | Append + Deduped."""
    path = work_folder() / f"catalog-{stream}.json"
    path.write_text(json.dumps(connector.catalog(connector.stream(stream, cursor_field=["updated_at"]))))
    return path


def _written(content: Tickets | Articles, lines: Iterator[str]) -> Path:
    path = work_folder() / f"{'-'.join(map(str, (type(content).__name__, *astuple(content))))}.jsonl"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("w") as sink:
            sink.writelines(f"{line}\n" for line in lines)
        partial.rename(path)
    return path


def _texts(words: int) -> Iterator[str]:
    """Stretches of so many words of real text, one after the other."""
    stream = (word for paragraph in paragraphs() for word in paragraph.split())
    while stretch := list(itertools.islice(stream, words)):
        yield " ".join(stretch)


def _chosen(number: int, share: float) -> bool:
    """Whether a record is one of a share, spread evenly."""
    return int((number + 1) * share) > int(number * share)


def _ticket(number: int, text: str, status: str) -> dict[str, Any]:
    return {
        "id": 10_000 + number,
        "subject": f"Ticket {number}",
        "description": text,
        "status": status,
        "priority": ("low", "normal", "high", "urgent")[number % 4],
        "type": "incident",
        "organization_id": 360_033_549_136 + number % 500,
        "requester_id": 361_000_000_000 + number % 5_000,
        "tags": ["benchmark", f"tag_{number % 20}"],
        "url": f"https://example.zendesk.com/api/v2/tickets/{10_000 + number}.json",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
    }
