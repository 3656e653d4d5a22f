"""Which version of each record is the newest one of the input: a table on disk, made before anything is written.

Only newest versions go on: a history that is loaded again, whole or after a stop, would else go through its older
versions once more, and pay for them.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from destination_milvus.backfill.forms import Order
from destination_milvus.errors import TransientError

CACHE_KIB = 65_536
"""Of the table in memory; it may have any size on disk, some 80 bytes a record."""

_OFFSET = 2**63


class Version(NamedTuple):
    """A version of a record, and where it stands."""

    stream: str
    """Identifier."""
    record_id: str
    order: Order
    file: int
    line: int

    @property
    def rank(self) -> bytes:
        """Larger for a newer one, as bytes are compared."""
        order = self.order
        return b"".join(
            (
                (order.generation + _OFFSET).to_bytes(8, "big"),
                order.lsn.encode("utf-8", "surrogatepass") + b"\0",
                (order.extracted_at + _OFFSET).to_bytes(8, "big"),
                self.file.to_bytes(4, "big"),
                self.line.to_bytes(8, "big"),
            )
        )

    @property
    def record(self) -> bytes:
        """Of 16 bytes; the same for all versions of a record."""
        named = f"{len(self.stream)}:{self.stream}{self.record_id}"
        return blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def newest_of(records: Sequence[bytes], ranks: Sequence[bytes]) -> list[int]:
    """Where the newest version of each record stands, in the order of the versions.

    Args:
        records: one a version, as `Version.record`.
        ranks: one a version, as `Version.rank`.
    """
    newest: dict[bytes, int] = {}
    for place, record in enumerate(records):
        best = newest.get(record)
        if best is None or ranks[place] > ranks[best]:
            newest[record] = place
    return sorted(newest.values())


class NewestVersions:
    """The table. One thread at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="destination-milvus-")
        path = Path(self._folder.name) / "newest.db"
        # filled by the main thread, then read by the one that reads the input
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE newest (record BLOB PRIMARY KEY, rank BLOB NOT NULL) WITHOUT ROWID")
        self._added = 0
        self.repeats = False
        """Whether any record has more than one version."""

    def add(self, versions: Iterable[Version]) -> None:
        """Let the newest of these and of those that were added before be known.

        Raises:
            TransientError: the disk of the temporary folder is full.
        """
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO newest VALUES (?, ?) ON CONFLICT (record) DO UPDATE SET rank = excluded.rank "
                "WHERE excluded.rank > rank",
                ((version.record, version.rank) for version in self._counted(versions)),
            )
            self._connection.execute("COMMIT")
            [(records,)] = self._connection.execute("SELECT count(*) FROM newest")
            self.repeats = records < self._added
        except sqlite3.OperationalError as error:
            raise TransientError(
                f"The temporary folder {tempfile.gettempdir()} has no room for the table of newest versions, which "
                "takes some 80 bytes a record. Name another folder in TMPDIR, then run the same command again."
            ) from error

    def _counted(self, versions: Iterable[Version]) -> Iterator[Version]:
        for version in versions:
            self._added += 1
            yield version

    def is_newest(self, version: Version) -> bool:
        """Whether none that was added is newer."""
        rows = self._connection.execute("SELECT rank FROM newest WHERE record = ?", (version.record,))
        return bool(rows.fetchone() == (version.rank,))

    def close(self) -> None:
        """Remove it."""
        self._connection.close()
        self._folder.cleanup()
