"""`python -m benchmarks.quality [--part search|html] [--variant WORDS ...]`: measure, print, renew the document."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.quality import converting, document, searching, sources
from benchmarks.quality.sources import Pair
from benchmarks.quality.variants import READ_WHOLE, VARIANTS
from benchmarks.quality.vectors import RememberedVectors, configuration, serving
from destination_milvus.documents.tokenizer import count_tokens


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    if arguments.part in {"html", "all"}:
        for made in converting.measured(arguments.every):
            document.save("html", made.converter, made)
            print(document.html_line(made), flush=True)
    if arguments.part in {"search", "all"}:
        _search(arguments.variant)
    document.renew()
    print(f"Written to {document.DOCUMENT.name} and README.md.")
    return 0


def _search(wanted: Sequence[str]) -> None:
    pairs = sources.pairs()
    terms = sources.terms(pairs)
    document.save("corpus", "corpus", document.corpus(pairs, terms))
    lines = searching.source(pairs)
    vectors = RememberedVectors(searching.folder() / "vectors.db")
    questions = [(pair.question, pair.key) for pair in pairs]
    queries = {"questions": _queries(questions, pairs, vectors), "terms": _queries(terms, pairs, vectors)}
    with serving(vectors) as base_url:
        embedding = configuration(base_url)
        for variant in VARIANTS:
            if not wanted or any(words in variant.name for words in wanted):
                for result in searching.measured(variant, lines, queries, embedding):
                    document.save(result.queries, f"{result.variant}; {result.search}", result)
                    print(document.search_line(result), flush=True)
    vectors.close()


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--part", choices=["search", "html", "all"], default="all")
    parser.add_argument("--variant", action="append", default=[], help="only those with these words in their names")
    parser.add_argument("--every", type=int, default=1, help="convert one article of so many")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
