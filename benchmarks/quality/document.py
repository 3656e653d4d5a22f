"""The measured tables of docs/search-quality.md and README.md, between marks that leave the written text alone."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.installing import work_folder
from benchmarks.quality import converting, searching
from benchmarks.quality.sources import Pair, plain
from benchmarks.quality.variants import VARIANTS
from destination_milvus.documents.tokenizer import count_tokens

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "search-quality.md"
README = ROOT / "README.md"


def corpus(pairs: Sequence[Pair], terms: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Numbers of questions, terms and tokens, by source."""
    sources = {pair.key: pair.source for pair in pairs}
    return {
        "questions": Counter(pair.source for pair in pairs),
        "terms": Counter(sources[key] for _, key in terms),
        "tokens": sum(count_tokens(plain(pair.answer)) for pair in pairs),
    }


# --- results ----------------------------------------------------------------------------------------------------------


def save(part: str, name: str, result: Any) -> None:
    """Keep a result; the one before of the same name goes."""
    stored = _stored()
    value = result if isinstance(result, dict) else asdict(result)
    stored.setdefault(part, {})[name] = {**value, "date": datetime.now(timezone.utc).strftime("%Y-%m-%d")}
    _file().write_text(json.dumps(stored, indent=1))


def _stored() -> dict[str, dict[str, Any]]:
    return json.loads(_file().read_text()) if _file().exists() else {}


def _file() -> Path:
    return work_folder() / "quality.json"


# --- tables -----------------------------------------------------------------------------------------------------------


def search_line(result: searching.Measured) -> str:
    """For the terminal."""
    cells = [result.variant, result.search, result.queries, *_figures(asdict(result.scores))]
    return _row([*cells, f"{result.long_mrr_10:.3f}", f"{result.rows:,}", f"{result.megabytes:.1f}"])


def html_line(result: converting.Measured) -> str:
    """For the terminal and the table."""
    return _html_row(asdict(result))


def renew() -> None:
    """Write the tables of all stored results into the documents."""
    stored = _stored()
    questions, terms = stored.get("questions", {}), stored.get("terms", {})
    names = [f"{variant.name}; {search}" for variant in VARIANTS for search in variant.searches]
    found = [(questions[name], terms[name]) for name in names if name in questions and name in terms]
    sizes = {variant.name: variant.processing["chunk_size"] for variant in VARIANTS if variant.full_text}
    parts: dict[str, list[str]] = {
        "search": [*_SEARCH_HEAD, *(_search_row(*pair) for pair in found)],
        "html": [*_HTML_HEAD, *map(_html_row, stored.get("html", {}).values())],
        "pages": list(_pages(stored.get("html", {}))),
        "corpus": list(_corpus_rows(stored["corpus"]["corpus"])) if "corpus" in stored else [],
        "runs": list(_runs(stored)),
    }
    _replace(DOCUMENT, parts)
    both = (_both_row(sizes[pair[0]["variant"]], *pair) for pair in found if pair[0]["variant"] in sizes)
    _replace(README, {"quality": [*_BOTH_HEAD, *both]})


_SEARCH_HEAD = (
    "| variant | search | recall@1 | recall@5 | MRR@10 | long answers | terms | terms of long answers | rows | MB |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
_BOTH_HEAD = (
    "| chunks | search | questions: recall@1 | recall@5 | MRR@10 | terms: recall@1 | recall@5 | MRR@10 | all: MRR@10 |",
    "|---|---|---|---|---|---|---|---|---|",
)
_HTML_HEAD = (
    "| converter | CPU s/MB | failures | code | table cells | links | headings | words | tokens left |",
    "|---|---|---|---|---|---|---|---|---|",
)


_FIGURES = ("recall_1", "recall_5", "mrr_10")


def _search_row(questions: Mapping[str, Any], terms: Mapping[str, Any]) -> str:
    means = (questions["long_mrr_10"], terms["scores"]["mrr_10"], terms["long_mrr_10"])
    cells = [questions["variant"], questions["search"], *_figures(questions["scores"])]
    cells += [*(f"{mean:.3f}" for mean in means), f"{questions['rows']:,}", f"{questions['megabytes']:.1f}"]
    return _row(cells)


def _both_row(chunk_size: int, questions: Mapping[str, Any], terms: Mapping[str, Any]) -> str:
    scores = [result["scores"] for result in (questions, terms)]
    mean = sum(item["mrr_10"] * item["queries"] for item in scores) / sum(item["queries"] for item in scores)
    return _row([f"{chunk_size:,}", questions["search"], *_figures(scores[0]), *_figures(scores[1]), f"{mean:.3f}"])


def _figures(scores: Mapping[str, float]) -> list[str]:
    return [f"{scores[name]:.3f}" for name in _FIGURES]


def _html_row(result: Mapping[str, Any]) -> str:
    found = result["found"]
    shares = [_share(*found[name]) for name in ("code", "cells", "links", "headings", "words")]
    left = f"{result['tokens_after'] / result['tokens_before']:.1%}"
    cells = [result["converter"], f"{result['seconds_per_megabyte']:.2f}", str(result["failures"]), *shares, left]
    return _row(cells)


def _pages(results: Mapping[str, Any]) -> Iterator[str]:
    for pages, megabytes in sorted({(result["pages"], result["megabytes"]) for result in results.values()}):
        yield f"{pages:,} articles, {megabytes:.1f} MB:"


def _share(there: int, kept: int) -> str:
    return f"{kept / there:.2%} of {there:,}" if there else "none"


def _corpus_rows(corpus: Mapping[str, Any]) -> Iterator[str]:
    questions, terms = corpus["questions"], corpus["terms"]
    yield "| source | questions | terms |"
    yield "|---|---|---|"
    yield from (_row([name, str(count), str(terms.get(name, 0))]) for name, count in questions.items())
    answers = f"all, with {corpus['tokens']:,} tokens of answers"
    yield _row([answers, f"{sum(questions.values()):,}", f"{sum(terms.values()):,}"])


def _runs(stored: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in ("pymilvus", "milvus-lite", "html-to-markdown"))
    dates = sorted({item["date"] for part in stored.values() for item in part.values()})
    yield f"Measured {' and '.join(dates)} with {packages}."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _replace(path: Path, parts: Mapping[str, Sequence[str]]) -> None:
    text = path.read_text()
    for name, lines in parts.items():
        begin, end = f"<!-- {name}: written by make quality -->", f"<!-- {name}: end -->"
        block = f"{begin}\n" + "\n".join(lines) + f"\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, block=block: block, text, flags=re.DOTALL)
    path.write_text(text)
