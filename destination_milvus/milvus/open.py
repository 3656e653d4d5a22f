"""The collection, opened to be written: created where it is missing, refused where its rows would be lost or mixed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from destination_milvus.collection import Collection
from destination_milvus.config.indexing import Indexing
from destination_milvus.config.models import Config
from destination_milvus.errors import ConfigError, InternalError, TransientError, option
from destination_milvus.fields import GENERATION, RECORD_ID, STREAM
from destination_milvus.milvus.address import is_embedded
from destination_milvus.milvus.analyzers import refused, require_analyzer, try_analyzer
from destination_milvus.milvus.auto_id import AutoIdStore
from destination_milvus.milvus.calls import CALL_TIMEOUT, ROWS_PAGE, Calls
from destination_milvus.milvus.columns import NO_COLUMNS, ColumnChoice, with_text_column
from destination_milvus.milvus.connection import CONNECT_TIMEOUT
from destination_milvus.milvus.description import MODEL_PROPERTY
from destination_milvus.milvus.errors import is_denied, translated
from destination_milvus.milvus.existing import warn_of_what_is_missing
from destination_milvus.milvus.filters import (
    before_filter,
    literals,
    stream_filter,
    synced_heads_filter,
    unfinished_heads_filter,
)
from destination_milvus.milvus.keyed import KeyedStore
from destination_milvus.milvus.reader import find_collection, require_model
from destination_milvus.milvus.rows import record_of
from destination_milvus.milvus.scan import EVERYTHING, Scan
from destination_milvus.milvus.schema import (
    collection_indexes,
    collection_schema,
    full_text_field,
    new_partition_key,
    typed_columns,
)
from destination_milvus.milvus.server import find_server
from destination_milvus.model import Embedder, RecordKey

if TYPE_CHECKING:
    from pymilvus import MilvusClient

logger = logging.getLogger("airbyte.milvus")

MilvusStore: TypeAlias = KeyedStore | AutoIdStore


class OpenCollection:
    """A collection that can be written, and what a sync asks about it before its first record."""

    def __init__(self, calls: Calls, *, is_new: bool) -> None:
        self.collection = calls.collection
        self.is_new = is_new
        """Whether it was created just now: nothing is stored that could be looked up."""
        self.store: MilvusStore = (AutoIdStore if self.collection.auto_id else KeyedStore)(calls)
        self._calls = calls

    def load(self) -> None:
        """Wait until the collection can be read and searched; at once where it can. Raises as `Calls.load`."""
        self._calls.load()

    def has_rows(self, stream: str) -> bool:
        """Whether anything is stored of a stream."""
        if self.is_new:
            return False
        return bool(self._calls.query(stream_filter(stream), [self.collection.key_field], limit=1))

    def lowest_generation(self, stream: str) -> int:
        """Lowest generation stored for a stream; 0 where none is below that."""
        lowest = 0
        while not self.is_new:
            # a server of version 2.3 has no min(): climb down, one read for each generation that is stored
            below = self._calls.query(before_filter(stream, lowest), [GENERATION], limit=1)
            if not below:
                break
            lowest = int(below[0][GENERATION])
        return lowest

    def has_texts(self) -> bool:
        """Whether any row has the text that it was made of."""
        text_field = self.collection.text_field
        return text_field is not None and bool(self._calls.query(f'{text_field} != ""', [self.collection.key_field], 1))

    def has_synced_records(self, mark: str) -> bool:
        """Whether there is a record that a sync has written: one whose fingerprint does not begin with a mark."""
        return bool(self._calls.query(synced_heads_filter(mark), [self.collection.key_field], 1))

    def unfinished(self) -> set[RecordKey]:
        """Records that are not completely stored in any version, of a collection with keys of our own; one page."""
        fields = [self.collection.key_field, STREAM, RECORD_ID]
        return {record_of(raw) for raw in self._calls.query(unfinished_heads_filter(), fields, ROWS_PAGE)}

    def present(self, primary_keys: Iterable[str]) -> set[str]:
        """Those of some primary keys, written as texts, that rows have."""
        key_field = self.collection.key_field
        kind = type(self.collection.unused_key)
        found = self._calls.get([kind(key) for key in primary_keys], [key_field], ROWS_PAGE)
        return {str(raw[key_field]) for raw in found}

    def scan(self, share: str = EVERYTHING) -> Scan:
        """The records that are stored, or a share of them: one of `Scan.shares`."""
        return Scan(self._calls, self.store, share)


def open_stored(client: MilvusClient, config: Config) -> OpenCollection | None:
    """The configured collection as it is, to be read; None where there is none. It may be of any model.

    Raises:
        ConfigError: it cannot be read.
    """
    collection = find_collection(client, config)
    return None if collection is None else OpenCollection(Calls(client, config.indexing, collection), is_new=False)


def open_collection(
    client: MilvusClient, config: Config, embedder: Embedder, choice: ColumnChoice = NO_COLUMNS
) -> OpenCollection:
    """The configured collection, created if it is missing, ready to be written; being loaded, to be read.

    Args:
        client: connected.
        config: as parsed.
        embedder: whose vectors it will hold.
        choice: columns for metadata, where the collection is created.

    Raises:
        ConfigError: it cannot be used, or holds vectors of another model.
    """
    indexing = config.indexing
    collection = find_collection(client, config)
    is_new = collection is None
    if collection is None:
        create_collection(client, config, embedder, choice)
        collection = find_collection(client, config)
        if collection is None:
            raise TransientError(
                f'The collection "{indexing.collection}" was created and is gone: does something else drop it?'
            )
    else:
        require_partitions(client, collection, indexing)
        warn_of_what_is_missing(config, collection)
    require_model(client, config, collection, embedder)
    if not collection.metric_type:
        create_indexes(client, indexing, collection)
    try:
        # a server takes 2 s to load even an empty collection, and rows can be written meanwhile
        client.load_collection(collection.name, timeout=CALL_TIMEOUT, _async=True)
    except Exception as error:
        raise translated(error, indexing) from error
    if collection.embedding_model is None:
        note_model(client, collection, indexing, embedder.identity)
    return OpenCollection(Calls(client, indexing, collection), is_new=is_new)


def require_partitions(client: MilvusClient, collection: Collection, indexing: Indexing) -> None:
    """Refuse a collection with a partition key on a server that would hide its updated rows.

    Raises:
        ConfigError: it is one.
    """
    if collection.partition_key is None or collection.auto_id:
        return  # rows of such collections are inserted, never upserted
    server = find_server(client, indexing)
    if not server.keeps_partitions:
        raise ConfigError(
            f'The collection "{collection.name}" has the partition key "{collection.partition_key}", and '
            f"{server.where} {server.named_version}: before 2.5 updated rows go into partitions "
            "where they are not found. Name a collection without a partition key, or update Milvus."
        )


def require_write_permission(client: MilvusClient, collection: Collection, indexing: Indexing) -> None:
    """Delete a row that cannot exist: it changes nothing, and a user who may only read is refused.

    Raises:
        ConfigError: the user may not write.
    """
    condition = f"{collection.key_field} in {literals([collection.unused_key])}"
    try:
        client.delete(collection.name, filter=condition, timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error


def create_collection(client: MilvusClient, config: Config, embedder: Embedder, choice: ColumnChoice) -> None:
    """Create the collection of the architecture, with what the configuration asks for and the server can.

    Raises:
        ConfigError: Milvus refuses the schema, lacks the analyzer, or the user may not create collections.
    """
    indexing = config.indexing
    server = find_server(client, indexing)
    require_analyzer(indexing, server)
    try_analyzer(client, indexing, server)
    sparse_field = full_text_field(config, server)
    columns = with_text_column(typed_columns(config, server, choice), indexing.analyzer_field)
    partition = new_partition_key(config, server)
    try:
        client.create_collection(
            indexing.collection,
            schema=collection_schema(
                config, dimensions=embedder.dimensions, sparse_field=sparse_field, columns=columns, partition=partition
            ),
            consistency_level="Strong",
            properties={MODEL_PROPERTY: embedder.identity},
            timeout=CALL_TIMEOUT,
        )
    except Exception as error:
        raise refused(error, indexing) from error
    logger.info('Created the collection "%s" for vectors of %s.', indexing.collection, embedder.identity)


def create_indexes(client: MilvusClient, indexing: Indexing, collection: Collection) -> None:
    """Create the indexes of a collection that has no rows, without waiting for them.

    Raises:
        ConfigError: Milvus refuses an index.
    """
    indexes = collection_indexes(indexing, collection, embedded=is_embedded(indexing.host))
    try:
        client.create_index(indexing.collection, indexes, timeout=CALL_TIMEOUT, sync=False)
    except Exception as error:
        failure = translated(error, indexing)
        if isinstance(failure, InternalError):  # a refusal, for which Milvus has no code of its own
            raise ConfigError(
                f"Milvus refuses an index of the type {indexing.index_type} with the metric {indexing.metric_type} on "
                f'the vectors of the collection "{indexing.collection}": check {option("indexing.index_type")}, '
                f"{option('indexing.metric_type')} and {option('indexing.index_params')} against what this version of "
                "Milvus has."
            ) from error
        raise failure from error


def note_model(client: MilvusClient, collection: Collection, indexing: Indexing, model: str) -> None:
    """Note in the collection which model its vectors are of.

    A user who may write but not alter it goes on without: what keeps models apart is then the configuration alone.
    """
    try:
        client.alter_collection_properties(collection.name, {MODEL_PROPERTY: model}, timeout=CALL_TIMEOUT)
    except Exception as error:
        if not is_denied(error):
            raise translated(error, indexing) from error
        logger.warning(
            'The user of indexing.auth may not note in the collection "%s" which model its vectors are of, so nothing '
            "but the configuration keeps another model out. Somebody who may create collections can note it once: "
            'alter_collection_properties("%s", {"%s": "%s"}).',
            collection.name,
            collection.name,
            MODEL_PROPERTY,
            model,
        )
