from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING, Any

import httpx2
import orjson
import pytest
from pydantic import SecretStr

from destination_milvus.config.embedding import CohereEmbedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding.cohere import cohere_embedder
from destination_milvus.embedding.cohere_client import FOREIGN, TRANSLATIONS, translated
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import ConfigError, DestinationError, TransientError
from destination_milvus.model import Refusal, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destination_milvus.retries import Retries

KEY = "planted-c0here-key"
TEXT = "planted record text"


class Cohere:
    """The /v2/embed of a fake Cohere."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.poison = ""
        self.always: httpx2.Response | Exception | None = None
        self.requests: list[httpx2.Request] = []
        self.lock = threading.Lock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        with self.lock:
            self.requests.append(request)
        if isinstance(self.always, Exception):
            raise self.always
        if self.always is not None:
            return self.always
        texts = orjson.loads(request.content)["texts"]
        if self.poison in texts:
            return httpx2.Response(400, json={"message": f"invalid request: {TEXT}"})
        floats = [list(self.vector(text)) for text in texts]
        return httpx2.Response(
            200, json={"embeddings": {"float": floats}, "meta": {"billed_units": {"input_tokens": 5}}}
        )

    def vector(self, text: str) -> Vector:
        """What a text becomes."""
        return array("f", [float(len(text))] * self.dimensions)


@pytest.fixture
def cohere() -> Cohere:
    return Cohere(1024)


@pytest.fixture
def make(cohere: Cohere, advanced: Advanced, quick: Retries) -> Iterator[Any]:
    """An embedder over the fake, with options."""
    with httpx2.Client(transport=httpx2.MockTransport(cohere)) as client:

        def embedder(model: str | None = None, key: str = KEY) -> Any:
            embedding = CohereEmbedding(cohere_key=SecretStr(key), model=model)
            return cohere_embedder(embedding, advanced, quick, client)

        yield embedder


def test_texts_become_vectors_for_documents(make: Any, cohere: Cohere) -> None:
    embedder = make()
    assert embedder.embed(["a", "bb"]) == [cohere.vector("a"), cohere.vector("bb")]
    (request,) = cohere.requests
    assert str(request.url) == "https://api.cohere.com/v2/embed"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert orjson.loads(request.content) == {
        "model": "embed-multilingual-v3.0",
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "END",
        "texts": ["a", "bb"],
    }
    assert embedder.usage == Usage(requests=1, texts=2, tokens=5)


@pytest.mark.parametrize(
    ("model", "dimensions", "tokens"),
    [
        (None, 1024, 512),
        ("embed-v4.0", 1536, 128_000),
        ("embed-english-v3.0", 1024, 512),
        ("embed-english-light-v3.0", 384, 512),
    ],
)
def test_the_model_tells_its_dimension_and_its_limit(
    make: Any, cohere: Cohere, model: str | None, dimensions: int, tokens: int
) -> None:
    embedder = make(model)
    cohere.dimensions = dimensions
    assert embedder.embed(["a"]) == [cohere.vector("a")]
    assert embedder.identity == f"cohere:{model or 'embed-multilingual-v3.0'}:{dimensions}"
    assert (embedder.dimensions, embedder.max_tokens) == (dimensions, tokens)


def test_a_request_has_at_most_96_texts(make: Any, cohere: Cohere) -> None:
    make().embed([f"text {number}" for number in range(200)])
    assert [len(orjson.loads(request.content)["texts"]) for request in cohere.requests] == [96, 96, 8]


def test_a_long_text_is_left_to_the_service_to_cut_off(make: Any, cohere: Cohere) -> None:
    text = "word " * 1000
    assert make().embed([text]) == [cohere.vector(text)]


def test_an_unknown_model_lists_the_known_ones(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"embed-v4\.0"):
        make("embed-v99")


@pytest.mark.parametrize("model", ["embed-english-light-v2.0", "embed-english-v2.0", "embed-multilingual-v2.0"])
def test_a_retired_model_says_so_and_what_to_do(make: Any, cohere: Cohere, model: str) -> None:
    """Nothing is asked of Cohere, and only models that can be had are named instead."""
    with pytest.raises(ConfigError, match=rf"retired {model} on 2026-04-04.*another collection.*sync every") as caught:
        make(model)
    assert caught.value.message.count("v2.0") == 1
    assert cohere.requests == []


@pytest.mark.parametrize("key", ["", "a\nb"])
def test_an_unusable_key_is_a_mistake(make: Any, key: str) -> None:
    with pytest.raises(ConfigError, match=r"embedding\.cohere_key"):
        make(key=key)


def test_a_poisoned_text_is_found(make: Any, cohere: Cohere) -> None:
    cohere.poison = "bad"
    good, bad = make().embed(["good", "bad"])
    assert good == cohere.vector("good")
    assert isinstance(bad, Refusal)
    assert TEXT not in bad.reason


@pytest.mark.parametrize(
    ("reply", "expected", "sentence"),
    [
        (httpx2.Response(401, json={"message": KEY}), ConfigError, r"embedding\.cohere_key"),
        (httpx2.Response(404, json={"message": TEXT}), ConfigError, r"embedding\.model"),
        (httpx2.Response(302, headers={"location": KEY}), ConfigError, "HTTP 302"),
        (httpx2.Response(402, json={"message": TEXT}), ConfigError, "billing"),
        (httpx2.Response(429, json={"message": "limited to 1000 API calls / month"}), ConfigError, "billing"),
        (httpx2.Response(400, json={"message": f"model '{KEY}' is not supported"}), ConfigError, "model"),
        (httpx2.Response(429, json={"message": TEXT}), TransientError, "rate of requests"),
        (httpx2.Response(500, text=f"{KEY} {TEXT}"), TransientError, "HTTP 500"),
        (httpx2.Response(200, text=f"{KEY} {TEXT}"), TransientError, "not JSON"),
        (httpx2.Response(200, json={"embeddings": [[1.0]]}), TransientError, "number of vectors"),
        (httpx2.Response(200, json={"embeddings": {"float": [[1.0]]}}), ConfigError, "1 dimensions"),
        (httpx2.ConnectError(KEY), TransientError, "cannot be reached"),
        (httpx2.ReadTimeout(KEY), TransientError, "in time"),
    ],
)
def test_failures_are_told_in_the_projects_own_words(
    make: Any, cohere: Cohere, reply: Any, expected: type[DestinationError], sentence: str
) -> None:
    cohere.always = reply
    with pytest.raises(expected, match=sentence) as caught:
        make().embed(["a"])
    assert KEY not in repr(caught.value)
    assert TEXT not in repr(caught.value)


def test_a_pause_is_read_from_the_headers(make: Any, cohere: Cohere) -> None:
    cohere.always = httpx2.Response(429, headers={"retry-after": "3600"})
    with pytest.raises(TransientError, match="asks to wait 3600 s"):
        make().embed(["a"])


@pytest.mark.parametrize(
    "foreign", [cls for cls in vars(httpx2).values() if isinstance(cls, type) and issubclass(cls, FOREIGN)]
)
def test_every_exception_of_the_http_library_has_a_translation(foreign: type[Exception]) -> None:
    error = foreign.__new__(foreign)
    assert isinstance(translated(error), DestinationError)


def test_no_translation_is_hidden_behind_a_more_general_one() -> None:
    rows = list(TRANSLATIONS)
    for place, foreign in enumerate(rows):
        assert not any(issubclass(foreign, earlier) for earlier in rows[:place])
