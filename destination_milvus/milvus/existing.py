"""A collection that exists already, against the configuration: what keeps its rows out, and what it lacks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from destination_milvus.collection import Collection
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
    MIN_VARCHAR_BYTES,
    PARTITION,
    RECORD_ID,
    STREAM,
    SYSTEM_FIELDS,
    TEXT_HASH,
)
from destination_milvus.milvus.address import is_embedded
from destination_milvus.milvus.analyzers import STANDARD, analyzer_options
from destination_milvus.milvus.description import (
    TTL_PROPERTY,
    computed_fields,
    is_required,
    max_bytes,
    primary_key,
    type_name,
)
from destination_milvus.milvus.schema import partition_key

logger = logging.getLogger("airbyte.milvus")

MAX_SHOWN = 300
"""Characters of an analyzer's parameters in a log line: some have dictionaries in them."""

BYTES_A_TOKEN = 4
"""Of English text; other scripts have more."""

OWN_TEXTS: Mapping[str, int] = {
    STREAM: MIN_VARCHAR_BYTES,
    RECORD_ID: MIN_VARCHAR_BYTES,
    TEXT_HASH: DIGEST_CHARACTERS,
    FINGERPRINT: DIGEST_CHARACTERS,
    PARTITION: MAX_PARTITION_BYTES,
}
"""The connector's own fields that hold a text, with the fewest bytes that a column for one needs."""

OWN_NUMBERS = (CHUNK, CHUNKS, GENERATION, EXTRACTED_AT)
"""Those that hold an integer of 64 bits."""


def schema_problems(description: Mapping[str, Any], config: Config) -> Iterator[str]:
    """What keeps rows of this configuration out of an existing collection: a clause a field, for a sentence.

    Every field that a row fills is looked at, and every field that takes no null and would stay empty.

    Args:
        description: of the collection, as pymilvus gives it.
        config: as parsed.
    """
    fields = {field["name"]: field for field in description["fields"]}
    key = primary_key(description)
    if not description.get("auto_id"):
        if type_name(key) != "VARCHAR":
            yield f'its primary key "{key["name"]}" is neither a VARCHAR nor made by Milvus (auto_id)'
        elif max_bytes(key) < DIGEST_CHARACTERS:
            yield f'its primary key "{key["name"]}" is shorter than {DIGEST_CHARACTERS} characters'
    if not description.get("enable_dynamic_field"):
        yield "it has no dynamic field, which the records' metadata needs"
    yield from _vector_problems(fields.get(config.indexing.vector_field), config.indexing)
    yield from _text_problems(fields.get(config.indexing.text_field), config)
    for name, least in OWN_TEXTS.items():
        if name in fields and (type_name(fields[name]) != "VARCHAR" or max_bytes(fields[name]) < least):
            yield f'its field "{name}" is no VARCHAR of at least {least} bytes'
    for name in OWN_NUMBERS:
        if name in fields and type_name(fields[name]) != "INT64":
            yield f'its field "{name}" is no INT64'
    yield from _problems_of_empty_fields(description, config)


def _vector_problems(vector: Mapping[str, Any] | None, indexing: Indexing) -> Iterator[str]:
    if vector is None:
        yield f'it has no vector field "{indexing.vector_field}" (indexing.vector_field)'
    elif type_name(vector) != "FLOAT_VECTOR":
        yield f'its field "{indexing.vector_field}" is no vector of 32-bit floats'


def _text_problems(text: Mapping[str, Any] | None, config: Config) -> Iterator[str]:
    name = config.indexing.text_field
    if text is None:
        return  # it is a dynamic field
    if config.omit_raw_text:
        if is_required(text):
            yield (
                f'its field "{name}" takes no null, and omit_raw_text leaves the text out: turn it off, or sync into a '
                "new collection"
            )
    elif type_name(text) != "VARCHAR":
        yield f'its field "{name}" (indexing.text_field) is no VARCHAR'
    elif max_bytes(text) < MIN_VARCHAR_BYTES:
        yield (
            f'its field "{name}" (indexing.text_field) holds {max_bytes(text)} bytes, too few for chunks of a text, '
            f"which need {MIN_VARCHAR_BYTES} or more"
        )


def _problems_of_empty_fields(description: Mapping[str, Any], config: Config) -> Iterator[str]:
    """Fields that take no null and that neither the connector nor metadata fills."""
    processing, indexing = config.processing, config.indexing
    stored = {processing.stored_name(path) for path in processing.metadata_fields}
    filled = {*SYSTEM_FIELDS, indexing.vector_field, indexing.text_field, *computed_fields(description), *stored}
    # the columns that the connector makes for metadata take nulls: where it made the collection, only a text does not
    is_ours = any(field["name"] == FINGERPRINT for field in description["fields"])
    for field in description["fields"]:
        if field.get("is_primary") or field["name"] in filled or not is_required(field):
            continue
        if "VECTOR" in (type_name(field) or ""):
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


def warn_of_what_is_missing(config: Config, collection: Collection) -> None:
    """Say what is wanted of a collection that it does not have or do, a line each."""
    indexing = config.indexing
    if indexing.full_text_search and collection.full_text_field is None:
        logger.warning(
            'indexing.full_text_search is on, but the collection "%s" was created without it, and the connector does '
            "not add it later: it is searched by vectors alone. Sync into a new collection to have full-text search.",
            collection.name,
        )
    _warn_of_another_analyzer(indexing, collection)
    if collection.text_bytes < config.processing.chunk_size * BYTES_A_TOKEN:
        logger.warning(
            'processing.chunk_size is %d, about %s bytes, but the field "%s" of the collection "%s" holds %s: longer '
            "chunks are divided to fit. Lower the chunk size, or sync into a new collection.",
            config.processing.chunk_size,
            f"{config.processing.chunk_size * BYTES_A_TOKEN:,}",
            indexing.text_field,
            collection.name,
            f"{collection.text_bytes:,}",
        )
    if collection.ttl_seconds:
        logger.warning(
            'Milvus removes rows of the collection "%s" %s seconds after they were written (%s), which rows of a text '
            "that did not change are not again: parts of a record can be missing while others are found. Where records "
            "are to stay, drop that property of the collection.",
            collection.name,
            f"{collection.ttl_seconds:,}",
            TTL_PROPERTY,
        )
    missing = [name for name in dict.fromkeys(indexing.indexed_metadata_fields) if name not in collection.columns]
    if missing:
        logger.warning(
            'The collection "%s" has no columns for %s of indexing.indexed_metadata_fields: they stay dynamic fields '
            "without an index, and filters on them work all the same. Sync into a new collection to have columns.",
            collection.name,
            ", ".join(missing),
        )
    wanted = partition_key(indexing)
    if wanted is not None and wanted != collection.partition_key:
        logger.warning(
            'indexing.partition_key is "%s", but the collection "%s" was created %s, and Milvus cannot change that '
            "later. Sync into a new collection to have the partitions.",
            indexing.partition_key,
            collection.name,
            f'with the partition key "{collection.partition_key}"'
            if collection.partition_key
            else "without a partition key",
        )


def _warn_of_another_analyzer(indexing: Indexing, collection: Collection) -> None:
    wanted = analyzer_options(indexing.full_text_analyzer, embedded=is_embedded(indexing.host))
    found = collection.analyzer or {"analyzer_params": STANDARD}
    if not indexing.full_text_search or collection.full_text_field is None or found == wanted:
        return
    logger.warning(
        'indexing.full_text_analyzer asks for %s, but the collection "%s" was created with %s, and Milvus cannot '
        "change that later: its words are found in the old way. Sync into a new collection to have the other.",
        _shown(wanted),
        collection.name,
        _shown(found),
    )


def _shown(analyzer: Mapping[str, Any]) -> str:
    text = json.dumps(analyzer, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
