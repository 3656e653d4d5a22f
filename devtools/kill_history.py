"""What a campaign of kills plays and judges: a source whose state is a position in a log of changes. No IO."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias

from devtools.connector import record, state, status, stream

BALLAST = "x" * 100_000
"""In every record, and stored nowhere: a batch closes at 4 MiB, so that a sync of a hundred records has several."""

RECORDS = 60
"""Keys of a stream."""

Damage: TypeAlias = Literal["lost", "doubled", "stale"]
Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Mapping[tuple[str, int], Sequence[Row]]
"""All rows, by stream and key."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a record says; without lines it has no text, and is stored as no row."""

    lines: tuple[str, ...]
    """One a chunk."""
    status: int


Change: TypeAlias = tuple[int, Version | None]
"""A key, and what it says now; None deletes it."""


@dataclass
class Stream:
    """One stream through rounds: a log of changes that a sync takes to its end, however often it is killed."""

    name: str
    mode: Literal["append_dedup", "overwrite"]
    generation: int = 0
    before: dict[int, Version] = field(default_factory=dict)
    """What the last round left."""
    log: list[Change] = field(default_factory=list)
    acknowledged: int = 0
    """Position of the last state that came back."""
    refreshes: bool = False
    """Whether what this round does not bring is to go."""
    may_be_swept: bool = False
    """Whether a sync of this round may have got as far as its sweep."""
    versions: int = 0
    """How many were made: each has a line that no other has."""

    def begin(self, random: Random, *, refreshes: bool) -> None:
        """A new round; a refresh brings most records again, most of them unchanged."""
        self.before = self.after()
        self.refreshes = refreshes or self.mode == "overwrite"
        self.generation += self.refreshes
        self.acknowledged, self.may_be_swept = 0, False
        self.log = []
        if self.refreshes:
            self.log = [(key, version) for key, version in self.before.items() if random.random() < 0.9]
            random.shuffle(self.log)
        self.go_on(random, random.randint(20, 60))

    def go_on(self, random: Random, changes: int) -> None:
        """So many newer changes."""
        for _ in range(changes):
            key = random.randrange(RECORDS)
            deletes = self.mode == "append_dedup" and random.random() < 0.15
            self.log.append((key, None if deletes else self._changed(self.after().get(key), random)))

    def _changed(self, old: Version | None, random: Random) -> Version:
        self.versions += 1
        lines = list(old.lines if old else ())
        count = random.choice((0, 1, 1, 2, 2, 3, 4))
        lines = (lines + [f"{self.name} extra {part}" for part in range(4)])[:count]
        if lines:
            lines[random.randrange(count)] = f"{self.name} version {self.versions}"
        return Version(tuple(lines), random.randrange(3))

    def after(self) -> dict[int, Version]:
        """What is stored when the round has ended."""
        start = {} if self.refreshes else self.before
        folded = {**start, **dict(self.log)}
        return {key: version for key, version in folded.items() if version is not None and version.lines}

    def configured(self) -> dict[str, Any]:
        """Its part of the catalog."""
        minimum = self.generation if self.refreshes else 0
        ids = {"generation_id": self.generation, "minimum_generation_id": minimum, "sync_id": 1}
        return stream(self.name, self.mode, primary_key=[["id"]], **ids)

    def messages(self) -> Iterator[str]:
        """What the source sends when it is asked to go on at the last state."""
        for position, (key, version) in enumerate(self.log[self.acknowledged :], self.acknowledged + 1):
            data: dict[str, Any] = {"id": key, "ballast": BALLAST}
            if version is None:
                data["_ab_cdc_deleted_at"] = "2026-01-01T00:00:00Z"
            else:
                data |= {"body": "\n".join(version.lines), "status": version.status}
            yield record(data, self.name)
            if position % 7 == 0:
                yield state(position, self.name)
        yield state(len(self.log), self.name)
        yield status("COMPLETE", self.name)

    def acknowledge(self, position: int) -> None:
        """A state came back."""
        self.acknowledged = position
        self.may_be_swept = self.may_be_swept or position == len(self.log)

    def damage_after_a_kill(self, rows: Rows) -> Iterator[tuple[Damage, str]]:
        """What is wrong with records that nothing was on the way to, and holes in others."""
        acknowledged = dict(self.log[: self.acknowledged])
        under_way: dict[int, list[Version | None]] = {}
        for key, version in self.log[self.acknowledged :]:
            under_way.setdefault(key, []).append(version)
        for key in range(RECORDS):
            if self.refreshes and self.may_be_swept and key not in acknowledged:
                continue  # it may be there, and may be swept
            settled, coming = acknowledged.get(key, self.before.get(key)), under_way.get(key, [])
            found = rows.get((self.name, key), ())
            if not coming:
                yield from self._damage(key, settled, found)
            elif all(version and version.lines for version in (settled, *coming)) and not any(
                row["_ab_chunk"] == 0 for row in found
            ):
                yield "lost", f"{self.name} {key} is a hole: it was stored, and no deletion of it was on the way"

    def damage_at_the_end(self, rows: Rows) -> Iterator[tuple[Damage, str]]:
        """What is not as the round's end has to leave it."""
        after = self.after()
        for key in range(RECORDS):
            yield from self._damage(key, after.get(key), rows.get((self.name, key), ()))

    def _damage(self, key: int, version: Version | None, found: Sequence[Row]) -> Iterator[tuple[Damage, str]]:
        where = f"{self.name} {key}"
        chunks = Counter(row["_ab_chunk"] for row in found)
        texts = tuple(row["text"] for row in sorted(found, key=lambda row: int(row["_ab_chunk"])))
        wanted = version.lines if version else ()
        if any(number > 1 for number in chunks.values()):
            yield "doubled", f"{where} has chunks twice: {sorted(chunks.elements())}"
        elif len(texts) < len(wanted):
            yield "lost", f"{where} has {len(texts)} of {len(wanted)} chunks"
        elif texts != wanted or (version and any(row["status"] != version.status for row in found)):
            yield "stale", f"{where} is not in its version: {texts} instead of {wanted}"
        elif not all(row["_ab_fingerprint"] for row in found):
            yield "lost", f"{where} is not marked as complete"


def interleaved(parts: Iterable[Iterator[str]], random: Random) -> list[str]:
    """Messages of several streams in one input, those of each in their order."""
    waiting, lines = list(parts), []
    while waiting:
        part = random.choice(waiting)
        line = next(part, None)
        if line is None:
            waiting.remove(part)
        else:
            lines.append(line)
    return lines


def positions(output: Iterable[bytes]) -> dict[str, int]:
    """The last state of each stream in an output whose last line may be cut off."""
    found: dict[str, int] = {}
    for line in output:
        if line.endswith(b"\n") and b'"STATE"' in line:
            body = json.loads(line)["state"]["stream"]
            found[body["stream_descriptor"]["name"]] = body["stream_state"]["cursor"]
    return found
