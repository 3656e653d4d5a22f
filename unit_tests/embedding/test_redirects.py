"""Where texts and keys go when a service points elsewhere, with the real clients over a network in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from pydantic import SecretStr

from destination_milvus.config.embedding import (
    AzureOpenAIEmbedding,
    CohereEmbedding,
    OpenAICompatibleEmbedding,
    OpenAIEmbedding,
)
from destination_milvus.config.models import Advanced
from destination_milvus.embedding.cohere import Account, cohere_embedder
from destination_milvus.embedding.cohere_client import CohereSender
from destination_milvus.embedding.openai_api import azure_embedder, compatible_embedder, openai_embedder
from destination_milvus.errors import ConfigError

if TYPE_CHECKING:
    from destination_milvus.retries import Retries

KEY = SecretStr("sk-planted-s3cret-0123456789")

Make = Callable[[httpx2.Client, Advanced, "Retries"], Any]


def at_openai(client: httpx2.Client, advanced: Advanced, retries: Retries) -> Any:
    embedding = OpenAIEmbedding(openai_key=KEY, base_url="https://acme.test/v1", dimensions=2)
    return openai_embedder(embedding, advanced, retries, client)


def at_azure(client: httpx2.Client, advanced: Advanced, retries: Retries) -> Any:
    embedding = AzureOpenAIEmbedding(openai_key=KEY, api_base="https://acme.test", deployment="d", dimensions=2)
    return azure_embedder(embedding, advanced, retries, client)


def at_compatible(client: httpx2.Client, advanced: Advanced, retries: Retries) -> Any:
    embedding = OpenAICompatibleEmbedding(
        api_key=KEY, base_url="https://user:hidden@acme.test:443/v1", model_name="m", dimensions=2
    )
    return compatible_embedder(embedding, advanced, retries, client)


def at_cohere(client: httpx2.Client, advanced: Advanced, retries: Retries) -> Any:
    return cohere_embedder(CohereEmbedding(cohere_key=KEY), advanced, retries, client)


class Network:
    """Answers by path and remembers who was asked; the origin that redirects is the one asked first."""

    def __init__(self, *locations: str) -> None:
        self.locations = list(locations)
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Point elsewhere as long as there is somewhere, then answer."""
        self.asked.append(f"{request.url.scheme}://{request.url.netloc.decode()}")
        if self.locations:
            return httpx2.Response(307, headers={"location": self.locations.pop(0)})
        item = {"index": 0, "embedding": [1.0, 2.0]}
        return httpx2.Response(200, json={"data": [item], "model": "text-embedding-3-small"})


@pytest.mark.parametrize(
    ("make", "option", "home"),
    [
        (at_openai, "embedding.base_url", "https://acme.test"),
        (at_azure, "embedding.api_base", "https://acme.test"),
        (at_compatible, "embedding.base_url", "https://acme.test"),
        (at_cohere, "the network and its proxies", "https://api.cohere.com"),
    ],
)
@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://elsewhere.test/v1/embeddings", "https://elsewhere.test"),
        ("//elsewhere.test/v1", "https://elsewhere.test"),
        ("{home}:8443/v1/embeddings", "{home}:8443"),
        ("http{host}/v1/embeddings", "http{host}"),
        ("https://user:planted-password@elsewhere.test:1/planted-path?planted=query", "https://elsewhere.test:1"),
    ],
    ids=["another host", "without a scheme", "another port", "https to http", "with secrets"],
)
def test_texts_and_keys_follow_no_redirect_to_another_origin(
    make: Make, option: str, home: str, location: str, told: str, advanced: Advanced, quick: Retries
) -> None:
    """Nothing is asked there; the error names the option and the origin, and nothing else of the address."""
    parts = {"home": home, "host": home.removeprefix("https")}
    network = Network(location.format(**parts))
    with (
        httpx2.Client(transport=httpx2.MockTransport(network), follow_redirects=make is not at_cohere) as client,
        pytest.raises(ConfigError, match="redirects to another address") as caught,
    ):
        make(client, advanced, quick).embed(["planted text"])
    assert network.asked == [home]
    assert option in caught.value.message
    assert told.format(**parts) in caught.value.message
    assert "planted" not in caught.value.message


@pytest.mark.parametrize("make", [at_openai, at_azure, at_compatible])
def test_a_redirect_within_the_origin_is_followed(make: Make, advanced: Advanced, quick: Retries) -> None:
    """Such as to the same path with a slash behind it, also where it says the scheme's own port."""
    network = Network("/v1/embeddings/", "https://ACME.test:443/v2/embeddings/")
    with httpx2.Client(transport=httpx2.MockTransport(network), follow_redirects=True) as client:
        assert [list(vector) for vector in make(client, advanced, quick).embed(["text"])] == [[1.0, 2.0]]
    assert network.asked == ["https://acme.test"] * 3


def test_a_chain_of_redirects_is_left_where_it_leaves_the_origin(advanced: Advanced, quick: Retries) -> None:
    """However many steps it takes to get there."""
    network = Network("/v1/embeddings/", "https://elsewhere.test/", "https://acme.test/")
    with (
        httpx2.Client(transport=httpx2.MockTransport(network), follow_redirects=True) as client,
        pytest.raises(ConfigError, match=r"elsewhere\.test"),
    ):
        at_openai(client, advanced, quick).embed(["text"])
    assert network.asked == ["https://acme.test"] * 2


def test_the_clients_follow_redirects_as_these_tests_have_it(quick: Retries) -> None:
    """OpenAI's own HTTP client does, and Cohere's does not."""
    with openai.DefaultHttpxClient() as client:
        assert client.follow_redirects
    sender = CohereSender(Account(KEY, "embed-v4.0", 1536), quick)
    assert not sender._client.follow_redirects
    sender.close()
