"""Writes that Milvus has carried out and whose answer never arrives: they are sent again, and nothing is doubled."""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc
import pytest

from destination_milvus.fields import CHUNK
from devtools.backends import Backend, config, make_auto_id_collection
from devtools.connector import catalog, entities, record, state, stream, write
from integration_tests.milvus_calls import Call, Failed, intercept


def lose_answers(monkeypatch: pytest.MonkeyPatch, call: str, status: grpc.StatusCode, times: int) -> list[int]:
    """Let a call be carried out and its first answers be lost; returns those."""
    lost: list[int] = []

    def answer(real: Call, request: Any, options: dict[str, Any]) -> Any:
        answered = real(request, **options)
        if len(lost) < times:
            lost.append(len(lost))
            raise Failed(status)
        return answered

    intercept(monkeypatch, call, answer)
    return lost


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED], ids=str)
@pytest.mark.parametrize(("layout", "call"), [("auto_id", "Insert"), ("own", "Upsert")])
@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_write_whose_answer_is_lost_stores_every_row_once(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode, layout: str, call: str, mode: str
) -> None:
    """Whether pymilvus sends it again by itself or we do, with keys of ours or of Milvus, in append too."""
    conf = config(backend, processing={"chunk_size": 8, "text_fields": ["text"], "metadata_fields": ["id"]})
    name = conf["indexing"]["collection"]
    if layout == "auto_id":
        make_auto_id_collection(backend, name, 1536)
    configured = catalog(stream("tickets", mode))
    write(conf, configured, [record({"id": 0, "text": "there already"}), state(1)])
    before = Counter((row["id"], row[CHUNK]) for row in entities(backend, name))
    lost = lose_answers(monkeypatch, call, status, times=2)
    text = " ".join(f"word{number}" for number in range(20))
    write(conf, configured, [*(record({"id": key, "text": text}) for key in (1, 2, 3)), state(2)])
    assert len(lost) == 2
    after = Counter((row["id"], row[CHUNK]) for row in entities(backend, name))
    assert set(after.values()) == {1}, "no row twice"
    assert before <= after
    assert {key for key, _ in after} == {0, 1, 2, 3}
    assert len(after) > 10
