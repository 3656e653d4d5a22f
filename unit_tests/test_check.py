"""How long `check` waits, by what it hands on to the clients at the network's edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from destination_milvus.check import CHECK_DEADLINE, check_configuration
from destination_milvus.config.models import Advanced, parse_config
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import TransientError
from destination_milvus.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVICES: list[Mapping[str, Any]] = [
    {"mode": "openai", "openai_key": "k"},
    {"mode": "azure_openai", "openai_key": "k", "api_base": "https://acme.test", "deployment": "d"},
    {"mode": "openai_compatible", "base_url": "http://acme.test/v1", "model_name": "m", "dimensions": 2},
    {"mode": "cohere", "cohere_key": "k"},
]


class Silence:
    """A network on which nobody answers: remembers for how long it was listened to."""

    def __init__(self) -> None:
        self.timeouts: list[Mapping[str, float]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        self.timeouts.append(request.extensions["timeout"])
        if len(self.timeouts) == 1:
            raise httpx2.ReadTimeout("silence")
        return httpx2.Response(401)


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Silence:
    """Instead of sockets."""
    silence = Silence()
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", silence)
    return silence


def configured(service: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    indexing = {"host": host, "collection": "c", "auth": {"mode": "no_auth"}}
    return {"embedding": service, "processing": {"chunk_size": 512}, "indexing": indexing}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: str(service["mode"]))
def test_check_waits_seconds_for_an_embedding_service_and_a_sync_minutes(
    service: Mapping[str, Any], silence: Silence, tmp_path: Path
) -> None:
    """Of a service that cannot be reached, or never answers, `check` says so while somebody waits for it."""
    raw = configured(service, str(tmp_path / "milvus.db"))
    with pytest.raises(Exception, match="API key"):
        check_configuration(raw)
    assert {(timeout["connect"], timeout["read"]) for timeout in silence.timeouts} == {(2.5, 5.0)}
    silence.timeouts.clear()
    embedder = create_embedder(parse_config(raw).embedding, Advanced())
    with pytest.raises(Exception, match="API key"):
        embedder.embed(["text"])
    embedder.close()
    assert {(timeout["connect"], timeout["read"]) for timeout in silence.timeouts} == {(10.0, 120.0)}


@pytest.mark.parametrize("status", [429, 500])
def test_check_does_not_wait_for_a_pause_that_is_longer_than_its_patience(
    status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A sync would; the sentence says how long."""
    assert CHECK_DEADLINE < 6 < Retries().deadline
    answer = httpx2.Response(status, headers={"retry-after": "6"})
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", lambda *_: answer)
    with pytest.raises(TransientError, match="after 1 attempt in 0 s: it asks to wait 6 s"):
        check_configuration(configured(SERVICES[2], str(tmp_path / "milvus.db")))


def test_check_waits_seconds_for_milvus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts the connection and never answers is told while somebody waits for it."""
    handed_on: list[float] = []

    def client(*, timeout: float, **_: object) -> None:
        handed_on.append(timeout)
        raise OSError

    monkeypatch.setattr("pymilvus.MilvusClient", client)
    with pytest.raises(Exception, match=r"acme\.test"):
        check_configuration(configured({"mode": "fake"}, "http://acme.test:19530"))
    assert handed_on == [5.0]
