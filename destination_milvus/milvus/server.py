"""What a Milvus can, by the version that it tells."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from destination_milvus.config.indexing import Indexing
from destination_milvus.milvus.address import described, is_embedded
from destination_milvus.milvus.connection import CONNECT_TIMEOUT
from destination_milvus.milvus.errors import is_unimplemented, translated

if TYPE_CHECKING:
    from pymilvus import MilvusClient

logger = logging.getLogger("airbyte.milvus")

UNTOLD_VERSION = "2.5.0"
"""What a Milvus that does not tell its version is taken for: the newest that was tried out on one (docs/adr/0023)."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a Milvus can, by its version."""

    where: str
    """Its address, for sentences."""
    version: str
    """As it says it: `v2.5.4`, `milvus_lite-3.2.2`, a sentence with a number in Zilliz Cloud."""
    embedded: bool = False
    """Whether it is Milvus Lite."""
    told: bool = True
    """False where the version is only what it is taken for."""

    @property
    def named_version(self) -> str:
        """A clause about its version."""
        return f"has the version {self.version or 'unknown'}" if self.told else "does not tell its version"

    @property
    def can_search_full_text(self) -> bool:
        """BM25 functions and sparse vectors."""
        return self.is_from(2, 5)

    @property
    def has_nullable_columns(self) -> bool:
        """Columns that a row may leave out; before, each row would need a value, and filters would find it.

        Not where the version is not told: the core of Milvus 2.5, which does not tell it, refuses them.
        """
        return self.told and self.is_from(2, 5)

    @property
    def keeps_partitions(self) -> bool:
        """Upserts with a partition key: before, some put rows where filters by that key do not look (milvus#30772).

        Not where the version is not told: the core that does not tell it refuses filters in such collections.
        """
        return self.told and self.is_from(2, 5)

    def is_from(self, *oldest: int) -> bool:
        """Whether its version is this one or newer: two numbers or three.

        Where it tells two, as Zilliz Cloud does, which is kept up to date, it is the newest of them.
        """
        number = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", self.version)
        # a version without a number is no release: nothing is assumed of it
        return number is not None and tuple(int(part or sys.maxsize) for part in number.groups()) >= oldest


def find_server(client: MilvusClient, indexing: Indexing) -> Server:
    """What answers at the address, asked.

    One that does not know the question is no old server, all of which do: it is taken for `UNTOLD_VERSION`, and one log
    line says so.

    Raises:
        DestinationError: nobody answers.
    """
    where, embedded = described(indexing.host), is_embedded(indexing.host)
    try:
        told = client.get_server_version(timeout=CONNECT_TIMEOUT)
    except Exception as error:
        if not is_unimplemented(error):
            raise translated(error, indexing) from error
    else:
        return Server(where, str(told), embedded=embedded)
    logger.warning("%s does not tell its version: it is taken for Milvus %s.", where, UNTOLD_VERSION)
    return Server(where, UNTOLD_VERSION, embedded=embedded, told=False)


def embedded_server(indexing: Indexing) -> Server:
    """Milvus Lite, before its database is there to be asked."""
    return Server(described(indexing.host), f"milvus_lite-{version('milvus_lite')}", embedded=True)
