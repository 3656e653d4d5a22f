"""`python -m benchmarks.quality [--variant WORDS ...]`: measure, print, and fill the tables of the documents."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from benchmarks.quality import metrics, searching, sources
from benchmarks.quality.sources import Pair
from benchmarks.quality.variants import READ_WHOLE, VARIANTS, Variant
from benchmarks.quality.vectors import RememberedVectors, remembered
from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.embedding.local import DIMENSIONS
from devtools import tables
from devtools.environments import ROOT
from devtools.openai_endpoint import serving

DOCUMENT = ROOT / "docs" / "search-quality.md"
README = ROOT / "README.md"
PACKAGES = ("pymilvus", "milvus-lite", "html-to-markdown")


def main() -> int:
    """Run what was asked for."""
    wanted = _arguments().variant
    variants = [variant for variant in VARIANTS if not wanted or any(words in variant.name for words in wanted)]
    if not variants:
        sys.exit(f"No variant is called so; there are: {'; '.join(variant.name for variant in VARIANTS)}.")
    pairs = sources.pairs()
    terms = sources.terms(pairs)
    tables.fill(DOCUMENT, "corpus", _corpus(pairs, terms))
    lines = searching.source(pairs)
    with (
        remembered(searching.folder() / "vectors.db") as vectors,
        serving(vectors.embed, dimensions=DIMENSIONS) as endpoint,
    ):
        questions = [(pair.question, pair.key) for pair in pairs]
        sets = [_queries(labelled, pairs, vectors) for labelled in (questions, terms)]
        for variant in variants:
            for measured in searching.measured(variant, lines, sets, endpoint.embedding()):
                _fill(variant, measured)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    tables.fill(DOCUMENT, "runs", [(", ".join(wanted) or "all", f"{datetime.now(timezone.utc):%Y-%m-%d}", packages)])
    return 0


def _queries(
    labelled: Sequence[tuple[str, str]], pairs: Sequence[Pair], vectors: RememberedVectors
) -> list[searching.Question]:
    answers = {pair.key: pair.answer for pair in pairs}
    embedded = vectors.embed([text for text, _ in labelled])
    return [
        searching.Question(
            text=text,
            vector=vector,
            record_id=f"{searching.STREAM}_{key}",
            long=count_tokens(sources.plain(answers[key])) > READ_WHOLE,
        )
        for (text, key), vector in zip(labelled, embedded, strict=True)
    ]


def _corpus(pairs: Sequence[Pair], terms: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Numbers of questions and terms, by source."""
    by_key = {pair.key: pair.source for pair in pairs}
    asked, named = Counter(by_key.values()), Counter(by_key[key] for _, key in terms)
    tokens = sum(count_tokens(sources.plain(pair.answer)) for pair in pairs)
    rows = [(source, f"{count}", f"{named[source]}") for source, count in asked.items()]
    rows.append(("all", f"{asked.total():,}", f"{named.total():,}"))
    return [*rows, ("tokens of all answers", f"{tokens:,}", "")]


def _fill(variant: Variant, measured: searching.Measured) -> None:
    """The row of a variant and a way of searching; README has those of both ways, vectors and words."""
    questions, terms = measured.asked
    means = [f"{mean:.3f}" for mean in (questions.long_mrr_10, terms.scores.mrr_10, terms.long_mrr_10)]
    size = [f"{measured.rows:,}", f"{measured.megabytes:.1f}"]
    row = [variant.name, measured.search, *_figures(questions.scores), *means, *size]
    print(tables.line(row), flush=True)
    tables.fill(DOCUMENT, "search", [row], key=2)
    if variant.full_text:
        figures = [*_figures(questions.scores), *_figures(terms.scores)]
        together = f"{metrics.mean_of(questions.scores, terms.scores):.3f}"
        chunks = f"{variant.processing['chunk_size']:,}"
        tables.fill(README, "quality", [[chunks, measured.search, *figures, together]], key=2)


def _figures(scores: metrics.Scores) -> list[str]:
    return [f"{share:.3f}" for share in (scores.recall_1, scores.recall_5, scores.mrr_10)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--variant", action="append", default=[], help="only those with these words in their names")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
