"""The schema and the indexes of a collection that the connector creates, as far as the server can.

What a server can, its version tells, and what it cannot is left out with one log line that says so: a sync is never
refused for a convenience that its server lacks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from destination_milvus import rows
from destination_milvus.columns import MAX_CAPACITY, TYPES, Choice, Column
from destination_milvus.config import SPARSE_FIELD, Config, Indexing
from destination_milvus.identity import DIGEST_CHARACTERS

if TYPE_CHECKING:
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client import IndexParams

logger = logging.getLogger("airbyte.milvus")

ANALYZER = {"type": "standard"}
"""Words of letters and digits, in lower case, none left out: no guess at a language. Milvus Lite knows no other one
that a server knows too."""


TTL_PROPERTY = "collection.ttl.seconds"
"""Of Milvus: rows that were written longer ago are no longer found, and removed. Not positive for never."""

BYTES_A_TOKEN = 4
"""Of English text; other scripts have more."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a Milvus can, by its version."""

    where: str
    """Its address, for sentences."""
    version: str
    """As it says it: `v2.5.4`, `milvus_lite-3.2.2`, a sentence with a number in Zilliz Cloud."""
    embedded: bool = False
    """Whether it is Milvus Lite."""

    @property
    def can_search_full_text(self) -> bool:
        """BM25 functions and sparse vectors."""
        return self._is_from(2, 5)

    @property
    def has_nullable_columns(self) -> bool:
        """Columns that a row may leave out; before, each row would need a value, and filters would find it."""
        return self._is_from(2, 5)

    @property
    def keeps_partitions(self) -> bool:
        """Upserts with a partition key: before, some put rows where filters by that key do not look (milvus#30772)."""
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


def typed_columns(config: Config, server: Server, choice: Choice) -> tuple[Column, ...]:
    """The columns for metadata of a collection to be created, with a log line for the fields that have none."""
    if not config.indexing.indexed_metadata_fields:
        return ()
    if not server.has_nullable_columns:
        logger.warning(
            "indexing.indexed_metadata_fields are dynamic fields without an index in the new collection: %s has the "
            "version %s, and columns that may be null begin with 2.5. Filters on them work all the same.",
            server.where,
            server.version or "unknown",
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
        "indexing.partition_key is set, but %s has the version %s, and before 2.5 updated rows go into partitions "
        "where they are not found: the collection is created without partitions.",
        server.where,
        server.version or "unknown",
    )
    return None


OWN_TEXTS: Mapping[str, int] = {
    rows.STREAM: rows.MIN_VARCHAR_BYTES,
    rows.RECORD_ID: rows.MIN_VARCHAR_BYTES,
    rows.TEXT_HASH: DIGEST_CHARACTERS,
    rows.FINGERPRINT: DIGEST_CHARACTERS,
    rows.PARTITION: rows.MAX_PARTITION_BYTES,
}
"""The connector's own fields that hold a text, with the fewest bytes that a column for one needs."""

OWN_NUMBERS = (rows.CHUNK, rows.CHUNKS, rows.GENERATION, rows.EXTRACTED_AT)
"""Those that hold an integer of 64 bits."""


def schema_problems(description: Mapping[str, Any], config: Config) -> Iterator[str]:
    """What keeps rows of this configuration out of an existing collection: a clause a field, for a sentence.

    Every field that a row fills is looked at, and every field that takes no null and would stay empty.

    Args:
        description: of the collection, as pymilvus gives it.
        config: as parsed.
    """
    fields = {field["name"]: field for field in description["fields"]}
    key = next(field for field in description["fields"] if field.get("is_primary"))
    if not description.get("auto_id"):
        if _type(key) != "VARCHAR":
            yield f'its primary key "{key["name"]}" is neither a VARCHAR nor made by Milvus (auto_id)'
        elif max_bytes(key) < DIGEST_CHARACTERS:
            yield f'its primary key "{key["name"]}" is shorter than {DIGEST_CHARACTERS} characters'
    if not description.get("enable_dynamic_field"):
        yield "it has no dynamic field, which the records' metadata needs"
    yield from _vector_problems(fields.get(config.indexing.vector_field), config.indexing)
    yield from _text_problems(fields.get(config.indexing.text_field), config)
    for name, least in OWN_TEXTS.items():
        if name in fields and (_type(fields[name]) != "VARCHAR" or max_bytes(fields[name]) < least):
            yield f'its field "{name}" is no VARCHAR of at least {least} bytes'
    for name in OWN_NUMBERS:
        if name in fields and _type(fields[name]) != "INT64":
            yield f'its field "{name}" is no INT64'
    yield from _problems_of_empty_fields(description, config)


def _vector_problems(vector: Mapping[str, Any] | None, indexing: Indexing) -> Iterator[str]:
    if vector is None:
        yield f'it has no vector field "{indexing.vector_field}" (indexing.vector_field)'
    elif _type(vector) != "FLOAT_VECTOR":
        yield f'its field "{indexing.vector_field}" is no vector of 32-bit floats'


def _text_problems(text: Mapping[str, Any] | None, config: Config) -> Iterator[str]:
    name = config.indexing.text_field
    if text is None:
        return  # it is a dynamic field
    if config.omit_raw_text:
        if _is_required(text):
            yield (
                f'its field "{name}" takes no null, and omit_raw_text leaves the text out: turn it off, or sync into a '
                "new collection"
            )
    elif _type(text) != "VARCHAR":
        yield f'its field "{name}" (indexing.text_field) is no VARCHAR'
    elif max_bytes(text) < rows.MIN_VARCHAR_BYTES:
        yield (
            f'its field "{name}" (indexing.text_field) holds {max_bytes(text)} bytes, too few for chunks of a text, '
            f"which need {rows.MIN_VARCHAR_BYTES} or more"
        )


def _problems_of_empty_fields(description: Mapping[str, Any], config: Config) -> Iterator[str]:
    """Fields that take no null and that neither the connector nor metadata fills."""
    processing, indexing = config.processing, config.indexing
    stored = {processing.stored_name(path) for path in processing.metadata_fields}
    filled = {*rows.SYSTEM_FIELDS, indexing.vector_field, indexing.text_field, *computed_fields(description), *stored}
    # the columns that the connector makes for metadata take nulls: where it made the collection, only a text does not
    is_ours = any(field["name"] == rows.FINGERPRINT for field in description["fields"])
    for field in description["fields"]:
        if field.get("is_primary") or field["name"] in filled or not _is_required(field):
            continue
        if "VECTOR" in (_type(field) or ""):
            yield (
                f'its vector field "{field["name"]}" takes no null, and rows fill "{indexing.vector_field}" '
                "(indexing.vector_field) alone"
            )
        elif is_ours:
            yield (
                f'its field "{field["name"]}" takes no null, and rows would leave it empty: if it holds the texts, set '
                "indexing.text_field to it"
            )
        elif stored:
            yield (
                f'its field "{field["name"]}" takes no null, and processing.metadata_fields leaves it out: add it '
                "there, or set indexing.text_field to it if it holds the texts"
            )


def _type(field: Mapping[str, Any]) -> str | None:
    return getattr(field.get("type"), "name", None)


def max_bytes(field: Mapping[str, Any] | None) -> int:
    """Most bytes of a text in a field of a description; None is a dynamic field."""
    limits = (field or {}).get("params") or {}
    return int(limits.get("max_length", rows.MAX_VARCHAR_BYTES))


def _is_required(field: Mapping[str, Any]) -> bool:
    return not field.get("nullable") and field.get("default_value") is None


@dataclass(frozen=True, slots=True)
class Found:
    """The fields of a collection that were optional when it was created."""

    full_text_field: str | None
    """Where the words of the text are, for search by BM25."""
    columns: Mapping[str, Column]
    """Typed fields that metadata goes into."""
    partition_key: str | None
    """The field that it is partitioned by."""
    text_bytes: int = rows.MAX_VARCHAR_BYTES
    """Most bytes of a text; no less than `rows.MIN_VARCHAR_BYTES`. Milvus Lite would take as many characters."""
    ttl_seconds: int = 0
    """Age at which Milvus removes rows, counted from when they were written; 0 for never."""


def found_fields(description: Mapping[str, Any], text_field: str | None, reserved: Collection[str]) -> Found:
    """The optional fields of a collection, from its description as pymilvus gives it.

    Args:
        description: of the collection.
        text_field: name of the field that holds the text; None where it is left out.
        reserved: names of the fields that are no metadata.
    """
    fields = description["fields"]
    return Found(
        full_text_field=next(
            (name for name, inputs in computed_fields(description).items() if text_field in inputs), None
        ),
        columns={field["name"]: _column(field) for field in fields if field["name"] not in reserved},
        partition_key=next((field["name"] for field in fields if field.get("is_partition_key")), None),
        text_bytes=next((max_bytes(field) for field in fields if field["name"] == text_field), rows.MAX_VARCHAR_BYTES),
        ttl_seconds=max(0, int((description.get("properties") or {}).get(TTL_PROPERTY) or 0)),
    )


def _column(field: Mapping[str, Any]) -> Column:
    kind, element = (getattr(field.get(key), "name", None) for key in ("type", "element_type"))
    return Column(
        field["name"],
        kind if kind in TYPES or kind == "ARRAY" else None,
        element if kind == "ARRAY" and element in TYPES else None,
        max_bytes=max_bytes(field),
        capacity=int((field.get("params") or {}).get("max_capacity", MAX_CAPACITY)),
        required=_is_required(field),
    )


def warn_of_what_is_missing(config: Config, collection: str, found: Found) -> None:
    """Say what is wanted of a collection that it does not have or do, a line each."""
    indexing = config.indexing
    if indexing.full_text_search and found.full_text_field is None:
        logger.warning(
            'indexing.full_text_search is on, but the collection "%s" was created without it, and the connector does '
            "not add it later: it is searched by vectors alone. Sync into a new collection to have full-text search.",
            collection,
        )
    if found.text_bytes < config.processing.chunk_size * BYTES_A_TOKEN:
        logger.warning(
            'processing.chunk_size is %d, about %s bytes, but the field "%s" of the collection "%s" holds %s: longer '
            "chunks are divided to fit. Lower the chunk size, or sync into a new collection.",
            config.processing.chunk_size,
            f"{config.processing.chunk_size * BYTES_A_TOKEN:,}",
            indexing.text_field,
            collection,
            f"{found.text_bytes:,}",
        )
    if found.ttl_seconds:
        logger.warning(
            'Milvus removes rows of the collection "%s" %s seconds after they were written (%s), which rows of a text '
            "that did not change are not again: parts of a record can be missing while others are found. Where records "
            "are to stay, drop that property of the collection.",
            collection,
            f"{found.ttl_seconds:,}",
            TTL_PROPERTY,
        )
    missing = [name for name in dict.fromkeys(indexing.indexed_metadata_fields) if name not in found.columns]
    if missing:
        logger.warning(
            'The collection "%s" has no columns for %s of indexing.indexed_metadata_fields: they stay dynamic fields '
            "without an index, and filters on them work all the same. Sync into a new collection to have columns.",
            collection,
            ", ".join(missing),
        )
    wanted = partition_key(indexing)
    if wanted is not None and wanted != found.partition_key:
        logger.warning(
            'indexing.partition_key is "%s", but the collection "%s" was created %s, and Milvus cannot change that '
            "later. Sync into a new collection to have the partitions.",
            indexing.partition_key,
            collection,
            f'with the partition key "{found.partition_key}"' if found.partition_key else "without a partition key",
        )


def partition_key(indexing: Indexing) -> str | None:
    """The field of the collection that `indexing.partition_key` makes its partition key."""
    if indexing.partition_key == "none":
        return None
    return rows.STREAM if indexing.partition_key == "stream" else rows.PARTITION


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


def collection_schema(
    config: Config, *, dimensions: int, sparse_field: str | None, columns: Sequence[Column], partition: str | None
) -> CollectionSchema:
    """The fields of the architecture: typed system fields, columns for some of the metadata, all other dynamic."""
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
        schema.add_field(name, DataType.VARCHAR, max_length=rows.MAX_VARCHAR_BYTES, is_partition_key=name == partition)
    if partition == rows.PARTITION:
        schema.add_field(partition, DataType.VARCHAR, max_length=rows.MAX_PARTITION_BYTES, is_partition_key=True)
    for name in (rows.TEXT_HASH, rows.FINGERPRINT):
        schema.add_field(name, DataType.VARCHAR, max_length=DIGEST_CHARACTERS)
    for name in (rows.CHUNK, rows.CHUNKS, rows.GENERATION, rows.EXTRACTED_AT):
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


def collection_indexes(indexing: Indexing, found: Found, *, embedded: bool) -> IndexParams:
    """The indexes of these fields: of what filters name, of the words, and last of the vector.

    A collection whose vector has an index has them all: a creation that is interrupted is not taken for complete.
    """
    from pymilvus import MilvusClient  # noqa: PLC0415 - as above

    indexes = MilvusClient.prepare_index_params()
    for name in (rows.STREAM, rows.RECORD_ID):
        # the name of the scalar index differs: empty lets a server choose the one it has
        indexes.add_index(name, index_type="INVERTED" if embedded else "")
    for name in found.columns:
        # a server that has these columns has this index for all of their types
        indexes.add_index(name, index_type="INVERTED")
    if found.full_text_field:
        indexes.add_index(found.full_text_field, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    indexes.add_index(
        indexing.vector_field,
        index_type=indexing.index_type,
        metric_type=indexing.metric_type,
        params=indexing.index_params,
    )
    return indexes
