"""One collection for many tests, on each backend in each layout: a collection of its own would cost a test 3 s."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.digests import chunk_key
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.errors import DestinationError
from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, GENERATION, META_CHANGES, RECORD_ID, STREAM
from destination_milvus.fields import SYSTEM_FIELDS as ALL_SYSTEM_FIELDS
from destination_milvus.flow.batch import BatchLimits
from destination_milvus.model import RecordKey
from destination_milvus.write import write_stream
from devtools.backends import SHORT_CHUNKS, Backend, config, make_auto_id_collection
from devtools.milvus_server import MilvusServer

if TYPE_CHECKING:
    from pymilvus import MilvusClient

SYSTEM_FIELDS = ALL_SYSTEM_FIELDS - {META_CHANGES}
"""What is no metadata of a record."""

A_BATCH_A_STATE = BatchLimits(states=1)
"""Every STATE closes a batch, so that messages say where batches end."""


def places(*layouts: str) -> list[Any]:
    """Parameters for a fixture of module scope that is made of `shared_collection`: layouts on each backend."""
    return [
        pytest.param((name, layout), id=f"{name}-{layout}", marks=[pytest.mark.server] if name == "server" else [])
        for name in ("lite", "server")
        for layout in layouts
    ]


PLACES = places("own", "auto_id")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a sync."""

    states: Sequence[Mapping[str, Any]]
    """STATE messages as they came out, but for `type`."""
    error: DestinationError | None


@dataclass(frozen=True, slots=True)
class SharedCollection:
    """A collection that is empty before each test."""

    backend: Backend
    layout: Literal["own", "auto_id"]
    name: str
    client: MilvusClient
    """Held open: opening Milvus Lite takes half a second."""

    def sync(
        self,
        catalog: Mapping[str, Any],
        lines: Iterable[str] | bytes,
        processing: Mapping[str, Any] = SHORT_CHUNKS,
        limits: BatchLimits = A_BATCH_A_STATE,
    ) -> Outcome:
        """A sync in this process, of lines or of raw input."""
        stdin = lines if isinstance(lines, bytes) else "".join(line + "\n" for line in lines).encode()
        settings = parse_config(config(self.backend, processing=processing, indexing={"collection": self.name}))
        states: list[dict[str, Any]] = []
        try:
            write_stream(
                settings, catalog, io.BytesIO(stdin), lambda lines: states.extend(map(json.loads, lines)), limits=limits
            )
        except DestinationError as error:
            return Outcome([message["state"] for message in states], error)
        return Outcome([message["state"] for message in states], None)

    def rows(self, fields: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
        """All rows, by record and chunk, without nulls."""
        self.client.load_collection(self.name, timeout=60)
        found = self.client.query(
            self.name, filter=f'{STREAM} != ""', output_fields=list(fields), consistency_level="Strong", timeout=60
        )
        rows = [{name: value for name, value in row.items() if value is not None} for row in found]
        return sorted(rows, key=lambda row: (row[STREAM], row[RECORD_ID], row.get(CHUNK, 0)))

    def records(self) -> list[dict[str, Any]]:
        """All records, each checked to be whole and exact, in a form to compare.

        Records without a key of their own (append) have the record id None. The generation is left out where it is 0.
        """
        by_record = itertools.groupby(self.rows(), key=lambda row: RecordKey(row[STREAM], row[RECORD_ID]))
        records = [self._record(key, list(rows)) for key, rows in by_record]
        return sorted(records, key=_order)

    def _record(self, key: RecordKey, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        head = rows[0]
        assert [row[CHUNK] for row in rows] == list(range(len(rows))), f"{key} has gaps, or rows twice"
        assert head[CHUNKS] == len(rows), f"{key} has {len(rows)} rows, and its head says {head[CHUNKS]}"
        assert head[FINGERPRINT], f"{key} is not finished"
        vectors = FakeEmbedder().embed([row["text"] for row in rows])
        assert [list(row["vector"]) for row in rows] == [list(vector) for vector in vectors], f"{key}: other vectors"
        if self.layout == "own":
            assert [row["pk"] for row in rows] == [chunk_key(key, number) for number in range(len(rows))]
        metadata = [_metadata(row) for row in rows]
        assert all(others == metadata[0] for others in metadata), f"{key} has chunks of different metadata"
        has_key = key.record_id.startswith(f"{key.stream}_")
        record = {
            "stream": key.stream,
            "record_id": key.record_id if has_key else None,
            "chunks": [row["text"] for row in rows],
            "metadata": metadata[0],
        }
        # an unchanged row keeps the number of the generation that wrote it: the head's counts
        return {**record, "generation": head[GENERATION]} if head[GENERATION] else record

    def insert_as_airbytes_connector(self, stream: str, texts: Mapping[int, Sequence[str]]) -> None:
        """Rows as Airbyte's own connector makes them, by record: nothing says how many chunks there are, or of when."""
        rows = [
            {STREAM: stream, RECORD_ID: f"{stream}_{key}", "id": key, "text": text, "vector": vector}
            for key, chunks in texts.items()
            for text, vector in zip(chunks, FakeEmbedder().embed(chunks), strict=True)
        ]
        self.client.insert(self.name, rows, timeout=60)

    def wipe(self) -> None:
        """Take out all rows."""
        self.client.delete(self.name, filter=f'{STREAM} != ""', timeout=60)


def _order(record: Mapping[str, Any]) -> tuple[str, str, Sequence[str], str]:
    metadata = json.dumps(record["metadata"], sort_keys=True)
    return record["stream"], record["record_id"] or "", record["chunks"], metadata


def _metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {*SYSTEM_FIELDS, "pk", "vector", "text"}}


def shared_collection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedCollection]:
    """The body of a fixture with the parameters `PLACES`."""
    name, layout = request.param
    if name == "lite":
        backend = Backend("lite", str(tmp_path_factory.mktemp("milvus-lite") / "milvus.db"))
    else:
        server: MilvusServer = request.getfixturevalue("milvus_server")
        backend = Backend("server", server.uri)
    with _made(backend, layout) as made:
        yield made
    backend.drop()


@contextmanager
def _made(backend: Backend, layout: Literal["own", "auto_id"]) -> Iterator[SharedCollection]:
    name = backend.make_collection_name()
    if layout == "auto_id":
        make_auto_id_collection(backend, name, FakeEmbedder().dimensions)
    with backend.client() as client:
        made = SharedCollection(backend, layout, name, client)
        made.sync({"streams": []}, [])  # creates the collection in our own layout, and notes the model in either
        yield made
