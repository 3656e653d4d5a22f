"""`python -m benchmarks.quality [--part PART ...] [--variant WORDS ...]`: measure, print, fill tables of documents."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from benchmarks.quality import languages, metrics, searching, sources
from benchmarks.quality.languages import Row
from benchmarks.quality.sources import Pair
from benchmarks.quality.variants import READ_WHOLE, VARIANTS, Variant
from benchmarks.quality.vectors import RememberedVectors, remembered
from destination_milvus.config.embedding import MINILM, MULTILINGUAL
from destination_milvus.documents.tokenizer import count_tokens
from devtools import tables
from devtools.environments import ROOT
from devtools.openai_endpoint import serving

DOCUMENT = ROOT / "docs" / "search-quality.md"
README = ROOT / "README.md"
PACKAGES = ("pymilvus", "milvus-lite", "html-to-markdown")


def main() -> int:
    """Run what was asked for."""
    wanted = _arguments()
    parts = wanted.part or list(PARTS)
    for part in parts:
        PARTS[part](wanted.variant)
    return 0


def _configurations(wanted: Sequence[str]) -> None:
    """Configurations of the connector, on documentation in English."""
    variants = [variant for variant in VARIANTS if not wanted or any(words in variant.name for words in wanted)]
    if not variants:
        sys.exit(f"No variant is called so; there are: {'; '.join(variant.name for variant in VARIANTS)}.")
    pairs = sources.pairs()
    terms = sources.terms(pairs)
    tables.fill(DOCUMENT, "corpus", _corpus(pairs, terms))
    lines = searching.source(pairs)
    questions = [(pair.question, pair.key) for pair in pairs]
    for model in dict.fromkeys(variant.model for variant in variants):
        with (
            remembered(searching.folder() / "vectors.db", model) as vectors,
            serving(vectors.embed, dimensions=vectors.dimensions) as endpoint,
        ):
            sets = [_queries(labelled, pairs, vectors) for labelled in (questions, terms)]
            for variant in variants:
                if variant.model == model:
                    for measured in searching.measured(variant, lines, sets, endpoint.embedding()):
                        _fill(variant, measured)
    _note_run(", ".join(wanted) or "configurations")


def _languages(_wanted: Sequence[str]) -> None:
    """Ten languages, both local models, in the language itself and across."""
    by_language: dict[str, dict[str, Row]] = {}
    for row in languages.rows():
        name, own = languages.LANGUAGES[row.language], row.own
        figures = [own["dense"], row.across, own["BM25"], own["hybrid, RRF"], own["hybrid, RRF 3:1"]]
        cells = ["" if figure is None else f"{figure:.3f}" for figure in figures]
        line = [name, row.model, row.analyzer, f"{row.documents}", f"{row.questions}", *cells]
        print(tables.line(line), flush=True)
        tables.fill(DOCUMENT, "languages", [line], key=3)
        if row.analyzer == languages.STANDARD.name:
            by_language.setdefault(name, {})[row.model] = row
    short = [[name, *_overview(models)] for name, models in by_language.items()]
    tables.fill(README, "languages", short)
    _note_run("languages")


def _overview(models: Mapping[str, Row]) -> list[str]:
    """Both models by vectors, in the language and across; words; and both together with the multilingual one."""
    english, other = models[MINILM], models[MULTILINGUAL]
    figures = [english.own["dense"], other.own["dense"], other.across, other.own["BM25"], other.own["hybrid, RRF"]]
    return [f"{figure:.2f}" for figure in figures]


def _note_run(what: str) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    tables.fill(DOCUMENT, "runs", [(what, f"{datetime.now(timezone.utc):%Y-%m-%d}", packages)])


PARTS: Mapping[str, Callable[[Sequence[str]], None]] = {"configurations": _configurations, "languages": _languages}


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
    if variant.full_text and variant.model == MINILM:
        figures = [*_figures(questions.scores), *_figures(terms.scores)]
        together = f"{metrics.mean_of(questions.scores, terms.scores):.3f}"
        chunks = f"{variant.processing['chunk_size']:,}"
        tables.fill(README, "quality", [[chunks, measured.search, *figures, together]], key=2)


def _figures(scores: metrics.Scores) -> list[str]:
    return [f"{share:.3f}" for share in (scores.recall_1, scores.recall_5, scores.mrr_10)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part")
    parser.add_argument(
        "--variant", action="append", default=[], help="only configurations with these words in their names"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
