"""What a preview warns of, and the option that mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from destination_milvus.config.models import Config
from destination_milvus.preview.estimate import Counts
from destination_milvus.preview.profile import TextProfile

NOTICED = 0.1
"""Share of a field's values from which HTML is no accident."""

MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - what it is
    """Something that would cost or be found badly."""

    stream: str
    option: str
    """That mends it."""
    sentence: str


def warnings(config: Config, streams: Mapping[str, Counts], model_tokens: int) -> Iterator[Warning]:
    """What to look at before the bill.

    Args:
        config: parsed.
        streams: what was counted, by the identifier of the stream.
        model_tokens: how much of a chunk the model reads.
    """
    for stream, counts in streams.items():
        yield from _of_texts(config, stream, counts.profile.texts, has_texts=counts.sizes.texts > 0)
        if beyond := counts.sizes.beyond(model_tokens):
            share = 100 * counts.sizes.share_within(model_tokens)
            yield Warning(
                stream,
                "processing.chunk_size",
                f"{beyond:,} chunks are longer than the {model_tokens:,} tokens that the model reads: it reads "
                f"{share:.0f} % of the text. Set processing.chunk_size to {model_tokens} or less.",
            )
        if doubt := counts.impression.doubt:
            yield Warning(stream, "embedding.model", doubt)
        if counts.repeats.count:
            yield Warning(
                stream,
                "primary_key",
                f"{counts.repeats.count:,} records have a key that came before: of each key the last record is kept. "
                "If they are different records, choose another primary key in the catalog.",
            )
        if counts.without_text:
            yield Warning(
                stream,
                "processing.text_fields",
                f"{counts.without_text:,} records have no text, and no search finds them: check "
                "processing.text_fields.",
            )


def _of_texts(config: Config, stream: str, texts: Mapping[str, TextProfile], *, has_texts: bool) -> Iterator[Warning]:
    if not has_texts:
        return
    html = [name for name, text in texts.items() if text.html >= NOTICED * text.seen > 0]
    unconverted = [name for name in html if name not in config.processing.html_fields]
    if unconverted:
        yield Warning(
            stream,
            "processing.html_fields",
            f"HTML in {_names(unconverted)} is embedded with its tags: add it to processing.html_fields.",
        )
    if not config.processing.text_fields:
        yield Warning(
            stream,
            "processing.text_fields",
            f"All {len(texts)} fields are embedded, since processing.text_fields is empty: name those that are worth "
            "searching by meaning.",
        )
    bare = [name for name, text in texts.items() if text.numbers + text.links >= MOSTLY * text.seen > 0]
    if bare:
        yield Warning(
            stream,
            "processing.text_fields",
            f"In {_names(bare)} are mostly numbers, dates or links, which have no meaning to search by: leave that out "
            "of processing.text_fields. As metadata they can be filtered by.",
        )


def _names(names: list[str], most: int = 5) -> str:
    quoted = [f'"{name}"' for name in names[:most]]
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*quoted, *more])
