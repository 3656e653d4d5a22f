"""Filtered search: metadata as dynamic fields, as columns with an index, and in partitions.

Run as a process of its own, `python -m benchmarks.filters HOST KEY ENTITIES` fills a collection with the partition key
KEY (as in `indexing.partition_key`) and prints the median milliseconds of a search for each filter. Each row has its
metadata twice, as dynamic fields and as columns, so that both are searched over the same data. The schema is the
product's; the test server, whose version knows no nulls and no updates by partition, gets rows that are complete, and
inserted once.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from destination_milvus import fields
from destination_milvus.collection import Column
from destination_milvus.config.models import Config, parse_config
from destination_milvus.digests import chunk_key
from destination_milvus.milvus import address, connection
from destination_milvus.milvus.filters import literal
from destination_milvus.milvus.schema import collection_schema, partition_key
from destination_milvus.model import RecordKey

DIMENSIONS = 384
ORGANIZATIONS = 1_000
STATUSES = ("new", "open", "pending", "solved")
COLUMNS = (Column("organization_id", "INT64"), Column("status", "VARCHAR"))
INSERTED_AT_ONCE = 2_000
SEARCHES = 30
WARM_UP = 5


def filters(organization: int, *, partitioned: bool) -> dict[str, str]:
    """The filters of an application, by name; whoever has partitions names one."""
    one = f"{fields.PARTITION} == {literal(str(organization))} and " if partitioned else ""
    return {
        "none": "",
        "organization, dynamic": f"{one}dynamic_organization_id == {organization}",
        "organization, column": f"{one}organization_id == {organization}",
        "status, dynamic": 'dynamic_status == "open"',
        "status, column": 'status == "open"',
    }


def measure(host: str, key: str, entities: int) -> dict[str, float]:
    """Median milliseconds of a search for ten rows, by filter."""
    config = _config(host, key)
    collection = config.indexing.collection
    with closing(connection.connect(config.indexing)) as client:
        _create(client, config)
        for start in range(0, entities, INSERTED_AT_ONCE):
            client.insert(collection, list(_rows(start, config)))
        client.flush(collection)
        client.load_collection(collection)
        return _search(client, config)


def _config(host: str, key: str) -> Config:
    indexing = {"host": host, "collection": f"by_{key}", "auth": {"mode": "no_auth"}, "partition_key": key}
    return parse_config({"embedding": {"mode": "fake"}, "processing": {"chunk_size": 1000}, "indexing": indexing})


def _create(client: connection.Client, config: Config) -> None:
    embedded = address.is_embedded(config.indexing.host)
    partition = partition_key(config.indexing)
    schema = collection_schema(config, dimensions=DIMENSIONS, sparse_field=None, columns=COLUMNS, partition=partition)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
    for name in (fields.STREAM, fields.RECORD_ID, *(column.name for column in COLUMNS)):
        indexes.add_index(name, index_type="INVERTED" if embedded else "")
    client.create_collection(
        config.indexing.collection, schema=schema, index_params=indexes, consistency_level="Strong"
    )


def _rows(start: int, config: Config) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(start)
    vectors = random.standard_normal((INSERTED_AT_ONCE, DIMENSIONS), dtype=np.float32)
    for number, vector in enumerate(vectors, start):
        organization = int(random.integers(ORGANIZATIONS))
        status = STATUSES[random.integers(len(STATUSES))]
        key = RecordKey("tickets", f"tickets_{number}")
        row = {
            fields.PRIMARY_KEY: chunk_key(key, 0),
            "vector": vector,
            "text": f"Ticket {number}",
            fields.STREAM: key.stream,
            fields.RECORD_ID: key.record_id,
            fields.CHUNK: 0,
            fields.CHUNKS: 1,
            fields.TEXT_HASH: "",
            fields.FINGERPRINT: "",
            fields.GENERATION: 1,
            fields.EXTRACTED_AT: 1_767_312_000_000,
            "id": number,
            "subject": f"Subject of ticket {number}",
            "organization_id": organization,
            "status": status,
            "dynamic_organization_id": organization,
            "dynamic_status": status,
        }
        yield {**row, fields.PARTITION: str(organization)} if config.indexing.partition_field else row


def _search(client: connection.Client, config: Config) -> dict[str, float]:
    random = np.random.default_rng(1)
    taken: dict[str, list[float]] = {}
    for _ in range(WARM_UP + SEARCHES):
        organization = int(random.integers(ORGANIZATIONS))
        conditions = filters(organization, partitioned=config.indexing.partition_field is not None)
        vector = random.standard_normal(DIMENSIONS, dtype=np.float32)
        for name, condition in conditions.items():
            started = time.perf_counter()
            [found] = client.search(
                config.indexing.collection,
                data=[vector],
                anns_field="vector",
                filter=condition,
                limit=10,
                output_fields=["id"],
                consistency_level="Eventually",  # a strong search waits 0.2 s on a server, whatever it filters
            )
            taken.setdefault(name, []).append(1000 * (time.perf_counter() - started))
            assert found, f"nothing found for {condition}"
    return {name: statistics.median(times[WARM_UP:]) for name, times in taken.items()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))), flush=True)
