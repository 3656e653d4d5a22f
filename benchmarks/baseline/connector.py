"""A Milvus destination on Airbyte's own pipeline, `airbyte_cdk.destinations.vector_db_based`: what we compare with.

The pipeline is the package's from PyPI, unchanged. The indexer is ours and small, and does for Milvus what Airbyte's
connector does: look up the rows of a batch's records by `_ab_record_id`, delete them, insert the new ones, in batches
of 128, flushed at every STATE by the pipeline itself. Run in an environment of its own, since the package pins an
`openai` of 2023. Two things differ from a run at Airbyte's: the tokenizer's vocabulary is the one that
`destination_milvus` ships, also under the name gpt2 that the pipeline asks for, so that nothing is downloaded; and
`OPENAI_API_BASE` leads to the endpoint on loopback.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tiktoken
from airbyte_cdk.destinations import Destination
from airbyte_cdk.destinations.vector_db_based.config import VectorDBConfigModel
from airbyte_cdk.destinations.vector_db_based.document_processor import METADATA_RECORD_ID_FIELD, Chunk
from airbyte_cdk.destinations.vector_db_based.embedder import create_from_config
from airbyte_cdk.destinations.vector_db_based.indexer import Indexer
from airbyte_cdk.destinations.vector_db_based.writer import Writer
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    Status,
)
from pymilvus import DataType, MilvusClient
from tiktoken import registry

BATCH_SIZE = 128
VOCABULARY = Path(__file__).parents[2] / "destination_milvus" / "data" / "cl100k_base.tiktoken.gz"
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

logger = logging.getLogger("airbyte")


def register_vocabulary() -> None:
    """Make tiktoken independent of the network."""
    lines = gzip.decompress(VOCABULARY.read_bytes()).splitlines()
    ranks = {b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    encoding = tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    registry.ENCODINGS["cl100k_base"] = registry.ENCODINGS["gpt2"] = encoding


class MilvusIndexer(Indexer):
    """Rows with keys that Milvus makes, everything but the vector in dynamic fields."""

    def __init__(self, config: Mapping[str, Any], dimensions: int) -> None:
        super().__init__(config)
        self._collection = config["collection"]
        self._dimensions = dimensions
        self._client = MilvusClient(uri=config["host"])

    def pre_sync(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Create the collection where it is missing."""
        if not self._client.has_collection(self._collection):
            schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=True)
            schema.add_field("pk", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dimensions)
            index = MilvusClient.prepare_index_params()
            index.add_index("vector", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 1024})
            self._client.create_collection(self._collection, schema=schema, index_params=index)
        self._client.load_collection(self._collection)
        logger.info("Writing %s streams.", len(catalog.streams))

    def index(self, document_chunks: list[Chunk], namespace: str, stream: str) -> None:  # noqa: ARG002 - the CDK's
        """Insert chunks."""
        entities = [
            {**chunk.metadata, "vector": chunk.embedding, "text": chunk.page_content} for chunk in document_chunks
        ]
        if entities:
            self._client.insert(self._collection, entities)

    def delete(self, delete_ids: list[str], namespace: str, stream: str) -> None:  # noqa: ARG002 - as above
        """Look up and delete the rows of records."""
        if not delete_ids:
            return
        wanted = f"{METADATA_RECORD_ID_FIELD} in {json.dumps(delete_ids)}"
        pages = self._client.query_iterator(self._collection, filter=wanted, output_fields=["pk"])
        while page := pages.next():
            self._client.delete(self._collection, ids=[row["pk"] for row in page])
        pages.close()

    def check(self) -> str | None:
        """Nothing to say."""
        return None


class BaselineDestination(Destination):
    """The connector."""

    def write(
        self,
        config: Mapping[str, Any],
        configured_catalog: ConfiguredAirbyteCatalog,
        input_messages: Iterable[AirbyteMessage],
    ) -> Iterable[AirbyteMessage]:
        """The pipeline, put together as Airbyte's connectors do."""
        register_vocabulary()
        parsed = VectorDBConfigModel.parse_obj(config)
        embedder = create_from_config(parsed.embedding, parsed.processing)
        indexer = MilvusIndexer(config["indexing"], embedder.embedding_dimensions)
        writer = Writer(parsed.processing, indexer, embedder, batch_size=BATCH_SIZE, omit_raw_text=False)
        yield from writer.write(configured_catalog, input_messages)

    def check(self, *_: Any) -> AirbyteConnectionStatus:
        """Not measured."""
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def spec(self, *_: Any) -> ConnectorSpecification:
        """Not measured."""
        return ConnectorSpecification(connectionSpecification={"type": "object"})


if __name__ == "__main__":
    BaselineDestination().run(sys.argv[1:])
