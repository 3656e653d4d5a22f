"""What a Milvus can, by the version that it tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from destination_milvus.config.indexing import Indexing
from destination_milvus.milvus.address import described, is_embedded
from destination_milvus.milvus.connection import CONNECT_TIMEOUT
from destination_milvus.milvus.errors import translated

if TYPE_CHECKING:
    from pymilvus import MilvusClient


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
        # a version without a number is no release: nothing is assumed of it
        return number is not None and (int(number[1]), int(number[2])) >= oldest


def find_server(client: MilvusClient, indexing: Indexing) -> Server:
    """What answers at the address, asked.

    Raises:
        DestinationError: nobody answers.
    """
    try:
        version = client.get_server_version(timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error
    return Server(described(indexing.host), str(version), embedded=is_embedded(indexing.host))
