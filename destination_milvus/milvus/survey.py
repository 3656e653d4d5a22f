"""What a collection holds, by a few small requests: counts of its streams, and a sample of its rows.

Nothing here reads a collection whole: counting is Milvus' work, and a sample has the size that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from destination_milvus.digests import DIGEST_CHARACTERS
from destination_milvus.fields import GENERATION, STREAM
from destination_milvus.milvus.filters import KeyRange, all_of, heads_filter, stream_filter, unfinished_filter
from destination_milvus.milvus.reader import Reader
from destination_milvus.model import Json

MARGIN = 1.2
"""So much more is asked for than a sample needs: how many digests lie below a border is chance."""


@dataclass(frozen=True, slots=True)
class StreamContents:
    """What a collection holds of a stream."""

    stream: str
    chunks: int
    records: int | None
    """None where rows have no numbers: another program than the connector wrote them."""
    unfinished: int
    """Records whose newest version is not complete: a sync is running, or was interrupted and the next one repairs."""
    generations: Sequence[int]
    """Airbyte's, of its records."""


def streams(reader: Reader) -> list[str]:
    """The streams that have rows, at most 100, sorted. Errors as for `Reader.query`."""
    return [name for name in reader.distinct(STREAM) if isinstance(name, str)]


def stream_contents(reader: Reader, stream: str) -> StreamContents:
    """What is there of a stream. Errors as for `Reader.query`."""
    heads = heads_filter(stream)
    chunks, records = reader.count(stream_filter(stream)), reader.count(heads)
    return StreamContents(
        stream,
        chunks,
        records if records or not chunks else None,
        reader.count(unfinished_filter(stream)),
        [number for number in reader.distinct(GENERATION, filter=heads) if isinstance(number, int)],
    )


def sample(reader: Reader, fields: Sequence[str], size: int, *, filter: str = "") -> list[Mapping[str, Json]]:  # noqa: A002
    """Rows of those that a filter finds, by chance where the connector made their keys, else the first.

    Its keys are digests, and as many of them lie in one part of all digests as in another: the rows below a border are
    a sample of them, and the same one each time.

    Args:
        reader: of the collection.
        fields: to return of each row.
        size: most rows.
        filter: in Milvus' language; empty for all rows.

    Raises:
        DestinationError: Milvus cannot answer, or refuses the filter.
    """
    total = reader.count(filter)
    share = size * MARGIN / max(1, total)
    if share >= 1 or reader.collection.auto_id:
        return reader.query(filter, fields, limit=size)
    border = f"{int(share * 16**DIGEST_CHARACTERS):0{DIGEST_CHARACTERS}x}"
    below = KeyRange(high=border).filter(reader.collection.key_field)
    found = reader.query(all_of(filter, below), fields, limit=size)
    # keys that are no digests do not lie evenly
    return found if len(found) >= min(size, total) / 2 else reader.query(filter, fields, limit=size)
