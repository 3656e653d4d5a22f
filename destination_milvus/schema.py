"""The schema and the indexes of a collection that the connector creates, as far as the server can.

What a server can, its version tells, and what it cannot is left out with one log line that says so: a sync is never
refused for a convenience that its server lacks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from destination_milvus import rows
from destination_milvus.config import SPARSE_FIELD, Config, Indexing
from destination_milvus.identity import DIGEST_CHARACTERS

if TYPE_CHECKING:
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client import IndexParams

logger = logging.getLogger("airbyte.milvus")

ANALYZER = {"type": "standard"}
"""Words by Unicode's rules, in lower case, nothing left out: no guess at a language. Milvus Lite knows no other one
that a server knows too."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a Milvus can, by its version."""

    where: str
    """Its address, for sentences."""
    version: str
    """As it says it: `v2.5.4`, `milvus_lite-3.2.2`, a sentence with a number in Zilliz Cloud."""

    @property
    def can_search_full_text(self) -> bool:
        """BM25 functions and sparse vectors."""
        return self._is_from(2, 5)

    def _is_from(self, *oldest: int) -> bool:
        number = re.search(r"(\d+)\.(\d+)", self.version)
        # a version without a number is nobody's release: nothing is assumed of it
        return number is not None and (int(number[1]), int(number[2])) >= oldest


def full_text_field(config: Config, server: Server) -> str | None:
    """Name of the sparse field of a collection to be created; None for none, with a log line where it was wanted."""
    if not config.indexing.full_text_search:
        return None
    if server.can_search_full_text:
        return SPARSE_FIELD
    logger.warning(
        "indexing.full_text_search is on, but %s has the version %s and full-text search (BM25) begins with 2.5: the "
        "collection is created without it, and is searched by vectors alone.",
        server.where,
        server.version or "unknown",
    )
    return None


def warn_without_full_text(config: Config, collection: str, sparse_field: str | None) -> None:
    """Say it where full-text search is wanted of a collection that exists without it."""
    if config.indexing.full_text_search and sparse_field is None:
        logger.warning(
            'indexing.full_text_search is on, but the collection "%s" was created without it, and Milvus cannot add it '
            "later: it is searched by vectors alone. Sync into a new collection to have full-text search.",
            collection,
        )


def computed_fields(description: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Fields that Milvus computes itself and refuses to be given, each with the fields it is made of.

    Args:
        description: of a collection, as pymilvus gives it.
    """
    functions = description.get("functions") or []
    computed = {
        output: tuple(function.get("input_field_names") or ())
        for function in functions
        for output in function.get("output_field_names") or ()
    }
    flagged = {field["name"]: () for field in description["fields"] if field.get("is_function_output")}
    return {**flagged, **computed}


def collection_schema(config: Config, *, dimensions: int, sparse_field: str | None) -> CollectionSchema:
    """The fields of the architecture: typed system fields, the record's metadata dynamic."""
    from pymilvus import DataType, Function, FunctionType, MilvusClient  # noqa: PLC0415 - 2 s that spec must not pay

    indexing = config.indexing
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(rows.PRIMARY_KEY, DataType.VARCHAR, is_primary=True, max_length=DIGEST_CHARACTERS)
    schema.add_field(indexing.vector_field, DataType.FLOAT_VECTOR, dim=dimensions)
    if not config.omit_raw_text:
        analyzed = {"enable_analyzer": True, "analyzer_params": ANALYZER} if sparse_field else {}
        schema.add_field(indexing.text_field, DataType.VARCHAR, max_length=rows.MAX_VARCHAR_BYTES, **analyzed)
    if sparse_field:
        schema.add_field(sparse_field, DataType.SPARSE_FLOAT_VECTOR)
        bm25 = Function(f"{indexing.text_field}_bm25", FunctionType.BM25, [indexing.text_field], [sparse_field])
        schema.add_function(bm25)
    for name in (rows.STREAM, rows.RECORD_ID):
        schema.add_field(name, DataType.VARCHAR, max_length=rows.MAX_VARCHAR_BYTES)
    for name in (rows.TEXT_HASH, rows.FINGERPRINT):
        schema.add_field(name, DataType.VARCHAR, max_length=DIGEST_CHARACTERS)
    for name in (rows.CHUNK, rows.CHUNKS, rows.GENERATION, rows.EXTRACTED_AT):
        schema.add_field(name, DataType.INT64)
    return schema


def collection_indexes(indexing: Indexing, *, embedded: bool, sparse_field: str | None) -> IndexParams:
    """The indexes of these fields: of what filters name, of the words, and last of the vector.

    A collection whose vector has an index has them all: a creation that is interrupted is not taken for complete.
    """
    from pymilvus import MilvusClient  # noqa: PLC0415 - as above

    indexes = MilvusClient.prepare_index_params()
    for name in (rows.STREAM, rows.RECORD_ID):
        # the name of the scalar index differs: empty lets a server choose the one it has
        indexes.add_index(name, index_type="INVERTED" if embedded else "")
    if sparse_field:
        indexes.add_index(sparse_field, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    indexes.add_index(
        indexing.vector_field,
        index_type=indexing.index_type,
        metric_type=indexing.metric_type,
        params=indexing.index_params,
    )
    return indexes
