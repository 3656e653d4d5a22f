"""How near the tellings of one problem are to each other, and to everything else: what thresholds are chosen by.

    python -m support_form.measure

asks the model that the environment names (`EMBEDDING_MODEL`, `OPENAI_API_KEY`) for the vectors of the source stub's
written problems, each told by four customers, and of its articles. Nothing is read from Milvus.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from destination_milvus.embedding import create_embedder
from destination_milvus.errors import DestinationError
from destination_milvus.model import Refusal, Vector
from source_zendesk_stub import written
from support_form.settings import read_settings

OPEN_TICKETS = 8
"""About how many tickets an organization of the demo has open."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Squared L2 distances, each list sorted."""

    same: Sequence[float]
    """Between two tellings of one problem."""
    other: Sequence[float]
    """Between tellings of two problems."""
    right: Sequence[float]
    """From a telling to the article that solves it."""
    wrong: Sequence[float]
    """From a telling to the nearest other article."""


def measure(vectors: Sequence[tuple[str, Vector]], articles: Sequence[tuple[str, Vector]]) -> Distances:
    """The distances of tellings and articles, each with the key of its problem."""
    pairs = [(a[0] == b[0], _distance(a[1], b[1])) for i, a in enumerate(vectors) for b in vectors[:i]]
    to_articles = [[(key == name, _distance(vector, article)) for name, article in articles] for key, vector in vectors]
    return Distances(
        same=sorted(distance for is_same, distance in pairs if is_same),
        other=sorted(distance for is_same, distance in pairs if not is_same),
        right=sorted(distance for row in to_articles for is_right, distance in row if is_right),
        wrong=sorted(min(distance for is_right, distance in row if not is_right) for row in to_articles),
    )


def report(distances: Distances) -> str:
    """The distances, and what each threshold would do."""
    lines = ["squared L2 distance                  least    5 %   25 %   50 %   75 %   95 %   most"]
    lines += [
        f"{name:34}" + "".join(f"{_at(values, part):7.2f}" for part in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
        for name, values in (
            ("tellings of one problem", distances.same),
            ("tellings of two problems", distances.other),
            ("telling and the article for it", distances.right),
            ("telling and the nearest other one", distances.wrong),
        )
    ]
    lines += ["", "threshold   duplicates seen   false alarms per case   right article shown   a wrong one nearest"]
    for step in range(1, 33):
        threshold = step / 20
        alarm = 1 - (1 - _below(distances.other, threshold)) ** OPEN_TICKETS
        lines.append(
            f"{threshold:9.2f}{_below(distances.same, threshold):18.1%}{alarm:24.2%}"
            f"{_below(distances.right, threshold):22.1%}{_below(distances.wrong, threshold):22.1%}"
        )
    return "\n".join([*lines, "", f"False alarms: among {OPEN_TICKETS} open tickets that tell other problems."])


def _distance(a: Vector, b: Vector) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def _at(values: Sequence[float], part: float) -> float:
    return values[round(part * (len(values) - 1))]


def _below(values: Sequence[float], threshold: float) -> float:
    return sum(value < threshold for value in values) / len(values)


class _Words(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def main() -> None:
    """Measure and print."""
    try:
        config = read_settings({"EMBEDDING_MODEL": "all-MiniLM-L6-v2", **os.environ}).destination
        embedder = create_embedder(config.embedding, config.advanced)
        tellings = [
            (problem.key, f"{telling.subject}\n\n{telling.description}")
            for problem in written.problems()
            for telling in problem.tellings
        ]
        # the beginning of an article, about as long as a chunk
        bodies = [(a.name, f"{a.title}\n\n{''.join(_Words(a.body).words)[:900]}") for a in written.articles()]
        answers = embedder.embed([text for _, text in [*tellings, *bodies]])
    except DestinationError as error:
        sys.exit(error.message)
    vectors = [
        (name, answer)
        for (name, _), answer in zip([*tellings, *bodies], answers, strict=True)
        if not isinstance(answer, Refusal)
    ]
    print(f"{embedder.identity}\n")  # noqa: T201 - a program that prints
    print(report(measure(vectors[: len(tellings)], vectors[len(tellings) :])))  # noqa: T201


if __name__ == "__main__":
    main()
