"""Repairs of Milvus Lite's database, before anybody reads it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from destination_milvus.config.indexing import Indexing
from destination_milvus.milvus.calls import CALL_TIMEOUT, READ_PAGE, RETRIES
from destination_milvus.milvus.description import computed_fields
from destination_milvus.milvus.errors import is_collection_missing, translated

if TYPE_CHECKING:
    from pymilvus import MilvusClient


def show_rows_once(client: MilvusClient, indexing: Indexing, database: Path) -> None:
    """Write the rows anew that an embedded collection shows twice.

    Milvus Lite 3.2.2 that was killed in a flush, between the commit of its manifest and the removal of its log, finds
    the log's rows in a segment too, under the same sequence numbers, and keeps both. A flush would hide that, but not
    where opening the collection has compacted the segment away, as it does with every fourth small one: then it
    stays. A row that is written has a newer number than both.

    Raises:
        DestinationError: Milvus Lite fails.
    """
    if next(database.rglob("wal_*.arrow"), None) is None:
        return  # the log is gone: whoever had the database last has closed it
    name = indexing.collection
    try:
        description = client.describe_collection(name, timeout=CALL_TIMEOUT)
        key = next(field["name"] for field in description["fields"] if field.get("is_primary"))
        client.load_collection(name, timeout=RETRIES.deadline, _async=True)  # it has loaded when it answers
        times = Counter(raw[key] for raw in client.query(name, filter="", output_fields=[key], timeout=CALL_TIMEOUT))
        doubled = [primary_key for primary_key, number in times.items() if number > 1]
        computed = computed_fields(description)
        for start in range(0, len(doubled), READ_PAGE):
            page = doubled[start : start + READ_PAGE]
            found = client.get(name, ids=page, output_fields=["*"], timeout=CALL_TIMEOUT)
            whole = [{field: value for field, value in raw.items() if field not in computed} for raw in found]
            client.upsert(name, whole, timeout=CALL_TIMEOUT)
    except Exception as error:
        if not is_collection_missing(error):
            raise translated(error, indexing) from error
