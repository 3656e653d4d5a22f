"""Texts that were embedded a moment ago, or are just being embedded in another batch, are not embedded again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TypeAlias

from destination_milvus.model import Embedder, Refusal, Vector

Answers: TypeAlias = "dict[str, Vector | Refusal]"
"""By text hash."""


class RecentVectors:
    """What the model answered last, by text hash. Called from several threads at once."""

    BYTES = 16 * 1024 * 1024
    """2,700 vectors of 1,536 dimensions. Texts that repeat in a sync are templates and empty forms: a few, often."""

    def __init__(self, most_bytes: int = BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Vector | Refusal] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[str, Future[Answers]] = {}

    def embed(self, texts: Mapping[str, str], embedder: Embedder) -> tuple[Answers, int]:
        """The answer for each text, and how many of the texts the embedder was asked for.

        Raises:
            DestinationError: what the embedder raised, here or in the batch that asked for the same text first.
        """
        with self._lock:
            known = {text_hash: self._answers[text_hash] for text_hash in texts if text_hash in self._answers}
            for text_hash in known:
                self._answers.move_to_end(text_hash)
            awaited = {text_hash: self._under_way[text_hash] for text_hash in texts if text_hash in self._under_way}
            found = known.keys() | awaited.keys()
            missing = {text_hash: text for text_hash, text in texts.items() if text_hash not in found}
            outcome: Future[Answers] = Future()
            self._under_way |= dict.fromkeys(missing, outcome)
        # before waiting for others, who may be waiting for these
        answers = self._ask(missing, embedder, outcome) if missing else {}
        return known | answers | {key: other.result()[key] for key, other in awaited.items()}, len(missing)

    def _ask(self, texts: Mapping[str, str], embedder: Embedder, outcome: Future[Answers]) -> Answers:
        try:
            answers = dict(zip(texts, embedder.embed(list(texts.values())), strict=True))
        except BaseException as error:
            outcome.set_exception(error)
            self._remember(texts, {})
            raise
        outcome.set_result(answers)
        self._remember(texts, answers)
        return answers

    def _remember(self, texts: Mapping[str, str], answers: Answers) -> None:
        with self._lock:
            for text_hash in texts:
                del self._under_way[text_hash]
            self._answers |= answers
            self._bytes += sum(map(_size, answers.values()))
            while self._bytes > self._most_bytes:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= _size(oldest)


def _size(answer: Vector | Refusal) -> int:
    return 0 if isinstance(answer, Refusal) else len(answer) * answer.itemsize
