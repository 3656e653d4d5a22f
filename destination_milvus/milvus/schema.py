"""The schema and the indexes of a collection that the connector creates, as far as the server can.

What a server can, its version tells, and what it cannot is left out with one log line that says so: a sync is never
refused for a convenience that its server lacks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from destination_milvus.collection import Collection, Column
from destination_milvus.config.indexing import Indexing
from destination_milvus.config.models import Config
from destination_milvus.digests import DIGEST_CHARACTERS
from destination_milvus.fields import (
    CHUNK,
    CHUNKS,
    EXTRACTED_AT,
    FINGERPRINT,
    GENERATION,
    MAX_PARTITION_BYTES,
    MAX_VARCHAR_BYTES,
    PARTITION,
    PRIMARY_KEY,
    RECORD_ID,
    SPARSE_FIELD,
    STREAM,
    TEXT_HASH,
)
from destination_milvus.milvus.address import is_embedded
from destination_milvus.milvus.analyzers import analyzer_options
from destination_milvus.milvus.columns import ColumnChoice
from destination_milvus.milvus.server import Server

if TYPE_CHECKING:
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client import IndexParams

logger = logging.getLogger("airbyte.milvus")


def full_text_field(config: Config, server: Server) -> str | None:
    """Name of the sparse field of a collection to be created; None for none, with a log line where it was wanted."""
    if not config.indexing.full_text_search:
        return None
    if server.can_search_full_text:
        return SPARSE_FIELD
    logger.warning(
        "indexing.full_text_search is on, but %s %s and full-text search (BM25) begins with 2.5: the "
        "collection is created without it, and is searched by vectors alone.",
        server.where,
        server.named_version,
    )
    return None


def typed_columns(config: Config, server: Server, choice: ColumnChoice) -> tuple[Column, ...]:
    """The columns for metadata of a collection to be created, with a log line for the fields that have none."""
    if not config.indexing.indexed_metadata_fields:
        return ()
    if not server.has_nullable_columns:
        logger.warning(
            "indexing.indexed_metadata_fields are dynamic fields without an index in the new collection: %s %s, and "
            "columns that may be null begin with 2.5. Filters on them work all the same.",
            server.where,
            server.named_version,
        )
        return ()
    arrays = [column.name for column in choice.columns if column.type == "ARRAY" and server.embedded]
    left = [*choice.left_dynamic, *(f'"{name}" (lists, which Milvus Lite does not index)' for name in arrays)]
    if left:
        logger.warning(
            "Some of indexing.indexed_metadata_fields are dynamic fields without an index in the new collection, since "
            "their type or name allows no column: %s. Filters on them work all the same.",
            ", ".join(left),
        )
    return tuple(column for column in choice.columns if column.name not in arrays)


def new_partition_key(config: Config, server: Server) -> str | None:
    """The partition key of a collection to be created; None for none, with a log line where one was wanted."""
    wanted = partition_key(config.indexing)
    if wanted is None or server.keeps_partitions:
        return wanted
    logger.warning(
        "indexing.partition_key is set, but %s %s, and before 2.5 updated rows go into partitions "
        "where they are not found: the collection is created without partitions.",
        server.where,
        server.named_version,
    )
    return None


def partition_key(indexing: Indexing) -> str | None:
    """The field of the collection that `indexing.partition_key` makes its partition key."""
    if indexing.partition_key == "none":
        return None
    return STREAM if indexing.partition_key == "stream" else PARTITION


def collection_schema(
    config: Config, *, dimensions: int, sparse_field: str | None, columns: Sequence[Column], partition: str | None
) -> CollectionSchema:
    """The fields of the architecture: typed system fields, columns for some of the metadata, all other dynamic."""
    from pymilvus import DataType, Function, FunctionType, MilvusClient  # noqa: PLC0415 - 2 s that spec must not pay

    indexing = config.indexing
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(PRIMARY_KEY, DataType.VARCHAR, is_primary=True, max_length=DIGEST_CHARACTERS)
    schema.add_field(indexing.vector_field, DataType.FLOAT_VECTOR, dim=dimensions)
    if not config.omit_raw_text:
        embedded = is_embedded(indexing.host)
        analyzer = analyzer_options(indexing.full_text_analyzer, embedded=embedded)
        analyzed = {"enable_analyzer": True, **analyzer} if sparse_field else {}
        schema.add_field(indexing.text_field, DataType.VARCHAR, max_length=MAX_VARCHAR_BYTES, **analyzed)
    if sparse_field:
        schema.add_field(sparse_field, DataType.SPARSE_FLOAT_VECTOR)
        bm25 = Function(f"{indexing.text_field}_bm25", FunctionType.BM25, [indexing.text_field], [sparse_field])
        schema.add_function(bm25)
    for name in (STREAM, RECORD_ID):
        schema.add_field(name, DataType.VARCHAR, max_length=MAX_VARCHAR_BYTES, is_partition_key=name == partition)
    if partition == PARTITION:
        schema.add_field(partition, DataType.VARCHAR, max_length=MAX_PARTITION_BYTES, is_partition_key=True)
    for name in (TEXT_HASH, FINGERPRINT):
        schema.add_field(name, DataType.VARCHAR, max_length=DIGEST_CHARACTERS)
    for name in (CHUNK, CHUNKS, GENERATION, EXTRACTED_AT):
        schema.add_field(name, DataType.INT64)
    for column in columns:
        schema.add_field(column.name, DataType[column.type], nullable=True, **_options(column))
    return schema


def _options(column: Column) -> dict[str, Any]:
    from pymilvus import DataType  # noqa: PLC0415 - as above

    options: dict[str, Any] = {}
    if "VARCHAR" in {column.type, column.element}:
        options["max_length"] = column.max_bytes
    if column.element is not None:
        options |= {"element_type": DataType[column.element], "max_capacity": column.capacity}
    return options


def collection_indexes(indexing: Indexing, collection: Collection, *, embedded: bool) -> IndexParams:
    """The indexes of these fields: of what filters name, of the words, and last of the vector.

    A collection whose vector has an index has them all: a creation that is interrupted is not taken for complete.
    """
    from pymilvus import MilvusClient  # noqa: PLC0415 - as above

    indexes = MilvusClient.prepare_index_params()
    for name in (STREAM, RECORD_ID):
        # the name of the scalar index differs: empty lets a server choose the one it has
        indexes.add_index(name, index_type="INVERTED" if embedded else "")
    for name in collection.columns:
        # a server that has these columns has this index for all of their types
        indexes.add_index(name, index_type="INVERTED")
    if collection.full_text_field:
        indexes.add_index(collection.full_text_field, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    indexes.add_index(
        indexing.vector_field,
        index_type=indexing.index_type,
        metric_type=indexing.metric_type,
        params=indexing.index_params,
    )
    return indexes
