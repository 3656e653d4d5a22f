"""Names and limits of the fields of a row. Pure."""

from __future__ import annotations

PRIMARY_KEY = "pk"
STREAM = "_ab_stream"
RECORD_ID = "_ab_record_id"
CHUNK = "_ab_chunk"
CHUNKS = "_ab_chunks"
TEXT_HASH = "_ab_text_hash"
FINGERPRINT = "_ab_fingerprint"
GENERATION = "_ab_generation_id"
EXTRACTED_AT = "_ab_extracted_at"
META_CHANGES = "_ab_meta_changes"
"""What was cut from the record's metadata, as Airbyte's `_airbyte_meta.changes` says it; absent where nothing was."""

PARTITION = "_ab_partition"
"""Partition key of collections that are partitioned by namespace or by a metadata field: its value, as a text."""

SYSTEM_FIELDS = frozenset(
    {STREAM, RECORD_ID, CHUNK, CHUNKS, TEXT_HASH, FINGERPRINT, GENERATION, EXTRACTED_AT, META_CHANGES, PARTITION}
)

MAX_VARCHAR_BYTES = 65_535
"""Milvus: largest `max_length` of a VARCHAR field, which the server counts in bytes."""

MIN_VARCHAR_BYTES = 256
"""Fewest bytes of a column that holds texts, names or keys: some 60 tokens. Narrower ones are refused."""

MAX_DYNAMIC_BYTES = 65_536
"""A Milvus server's limit for the dynamic fields of a row, as JSON; Milvus Lite has none."""

MAX_PARTITION_BYTES = 1_024
"""So much of a value decides about its partition; keys of tenants are shorter."""

MAX_DEPTH = 100
"""Levels of nesting of a value that are kept: pymilvus encodes 254, and no record is seen to have as many."""

INT64 = range(-(2**63), 2**63)
"""Whole numbers that Milvus, JSON's fast readers, and a column of that type can hold."""

SPARSE_FIELD = "sparse"
"""Where Milvus keeps the words of the text for BM25; the name that LangChain's and Milvus' own examples have."""


def truncated(text: str, limit: int = MAX_VARCHAR_BYTES) -> str:
    """The beginning of a text that takes no more than so many bytes, whole characters only."""
    return text.encode()[:limit].decode(errors="ignore")
