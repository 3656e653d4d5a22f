from __future__ import annotations

import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import orjson
import pytest
from pydantic import SecretStr

from destination_milvus.config.embedding import AzureOpenAIEmbedding, OpenAICompatibleEmbedding, OpenAIEmbedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding.failures import RequestRefused
from destination_milvus.embedding.openai_api import OPENAI, azure_embedder, compatible_embedder, openai_embedder
from destination_milvus.embedding.openai_client import TRANSLATIONS, translated
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import ConfigError, DestinationError, ModelMismatch, TransientError
from destination_milvus.model import Refusal

if TYPE_CHECKING:
    from destination_milvus.retries import Retries

KEY = "sk-planted-s3cret-0123456789"
TEXT = "planted record text"
SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"

NOT_FROM_EMBEDDINGS = {
    "ContentFilterFinishReasonError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
}
"""Of chats, web hooks and sockets."""


@pytest.fixture
def make(http_client: httpx2.Client, advanced: Advanced, quick: Retries) -> Any:
    """An embedder of OpenAI's mode over the fake service, with options."""

    def embedder(**options: Any) -> Any:
        embedding = OpenAIEmbedding(openai_key=SecretStr(KEY), **options)
        return openai_embedder(embedding, advanced, quick, http_client)

    return embedder


@pytest.fixture
def make_azure(http_client: httpx2.Client, advanced: Advanced, quick: Retries) -> Any:
    """The same for Azure's mode."""

    def embedder(**options: Any) -> Any:
        embedding = AzureOpenAIEmbedding(
            openai_key=SecretStr(KEY), api_base="https://acme.openai.azure.com", deployment="my-embedder", **options
        )
        return azure_embedder(embedding, advanced, quick, http_client)

    return embedder


@pytest.fixture
def make_compatible(http_client: httpx2.Client, advanced: Advanced, quick: Retries) -> Any:
    """The same for the mode of compatible services."""

    def embedder(api_key: str = "", base_url: str = "http://acme.test/v1", dimensions: int = 1536) -> Any:
        embedding = OpenAICompatibleEmbedding(
            api_key=SecretStr(api_key), base_url=base_url, model_name="bge-m3", dimensions=dimensions
        )
        return compatible_embedder(embedding, advanced, quick, http_client)

    return embedder


def test_making_an_embedder_asks_nothing_of_the_network(make: Any, service: Any) -> None:
    make()
    assert service.requests == []


def test_texts_become_their_vectors_in_order(make: Any, service: Any) -> None:
    assert make().embed(["one", "two"]) == [service.vector("one"), service.vector("two")]


def test_an_answer_in_another_order_is_put_right(make: Any, service: Any) -> None:
    service.backwards = True
    assert make().embed(["one", "two", "three"]) == [service.vector(text) for text in ("one", "two", "three")]


def test_the_request_is_what_openai_documents(make: Any, service: Any) -> None:
    make().embed(["one"])
    (request,) = service.requests
    assert str(request.url) == "https://api.openai.com/v1/embeddings"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert orjson.loads(request.content) == {"model": SMALL, "encoding_format": "base64", "input": ["one"]}


def test_the_environment_changes_neither_address_nor_account(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.test/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "someone-else")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "something-else")
    make().embed(["one"])
    (request,) = service.requests
    assert request.url.host == "api.openai.com"
    assert not {"openai-organization", "openai-project"}.intersection(request.headers)


def test_a_base_url_leads_to_a_gateway(make: Any, service: Any) -> None:
    make(base_url=" https://gateway.test/openai/v1/ ").embed(["one"])
    assert str(service.requests[0].url) == "https://gateway.test/openai/v1/embeddings"


def test_white_space_around_a_pasted_key_is_dropped(
    http_client: httpx2.Client, advanced: Advanced, quick: Retries, service: Any
) -> None:
    embedding = OpenAIEmbedding(openai_key=SecretStr(f" {KEY}\n"))
    openai_embedder(embedding, advanced, quick, http_client).embed(["one"])
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["", " \n", "two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_one_is_a_mistake_that_is_not_quoted(key: str, advanced: Advanced, quick: Retries) -> None:
    with pytest.raises(ConfigError, match=r"embedding\.openai_key") as caught:
        openai_embedder(OpenAIEmbedding(openai_key=SecretStr(key)), advanced, quick)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["api.openai.com", "ftp://x", "https://", "http://host:99999", "http://[", "http://:80"]
)
def test_an_address_that_is_none_is_a_mistake(make: Any, address: str) -> None:
    with pytest.raises(ConfigError, match=r"embedding\.base_url"):
        make(base_url=address)


@pytest.mark.parametrize(
    ("options", "identity", "sent"),
    [
        ({}, f"openai:{SMALL}:1536", None),
        ({"dimensions": 1536}, f"openai:{SMALL}:1536", None),
        ({"dimensions": 256}, f"openai:{SMALL}:256", 256),
        ({"model": LARGE}, f"openai:{LARGE}:3072", None),
        ({"model": LARGE, "dimensions": 1024}, f"openai:{LARGE}:1024", 1024),
        ({"model": ADA}, f"openai:{ADA}:1536", None),
        ({"model": ADA, "dimensions": 1536}, f"openai:{ADA}:1536", None),
        ({"model": "text-embedding-9", "dimensions": 777}, "openai:text-embedding-9:777", None),
    ],
)
def test_model_and_dimensions_make_the_identity_and_the_request(
    make: Any, service: Any, options: dict[str, Any], identity: str, sent: int | None
) -> None:
    embedder = make(**options)
    service.dimensions, service.model = embedder.dimensions, options.get("model", SMALL)
    assert embedder.embed(["one"]) == [service.vector("one")]
    assert embedder.identity == identity
    assert embedder.max_tokens == 8192
    assert orjson.loads(service.requests[0].content).get("dimensions") == sent


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "text-embedding-9"}, r"not known: set embedding\.dimensions"),
        ({"model": ADA, "dimensions": 512}, r"always returns 1536"),
        ({"model": SMALL, "dimensions": 3072}, r"at most 1536"),
    ],
)
def test_a_dimension_that_cannot_be_is_a_mistake_of_the_configuration(
    make: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make(**options)


def test_vectors_of_another_length_name_both_lengths(make: Any, service: Any) -> None:
    service.dimensions = 8
    with pytest.raises(ConfigError, match="8 dimensions where the configuration has 1536"):
        make().embed(["one"])


def test_a_text_above_the_limit_of_the_model_is_never_sent(make: Any, service: Any) -> None:
    refusal, vector = make().embed(["word " * 9000, "one"])
    assert isinstance(refusal, Refusal)
    assert "8,192" in refusal.reason
    assert vector == service.vector("one")
    assert service.inputs() == [["one"]]


def test_a_request_never_has_more_than_2048_texts(make: Any, service: Any) -> None:
    service.dimensions = 16
    make(dimensions=16).embed([f"text {number}" for number in range(2050)])
    assert [len(texts) for texts in service.inputs()] == [2048, 2]


def test_a_request_never_has_more_than_300_000_tokens(make: Any, service: Any) -> None:
    service.dimensions = 16
    make(dimensions=16).embed([f"{number} " + "word " * 7999 for number in range(40)])
    assert [len(texts) for texts in service.inputs()] == [37, 3]


def test_usage_counts_requests_texts_and_the_tokens_that_were_billed(make: Any, service: Any) -> None:
    service.next_replies = [service.error(500)]
    embedder = make()
    embedder.embed(["one", "two"])
    embedder.embed(["three"])
    assert embedder.usage == Usage(requests=3, texts=3, tokens=14)


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_failure_that_passes_is_not_noticed(make: Any, service: Any, status: int) -> None:
    service.next_replies = [service.error(status)] * 2
    assert make().embed(["one"]) == [service.vector("one")]
    assert len(service.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(200, content=b'{"data": [{"embedding": "AAA'),
        httpx2.Response(200, content=b"<html>Welcome to the hotel</html>"),
        httpx2.Response(200, json={"data": []}),
        httpx2.Response(200, json={"error": {"message": "no provider", "code": 503}}),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("gone"),
    ],
)
def test_a_broken_answer_or_connection_is_tried_again(make: Any, service: Any, reply: Any) -> None:
    service.next_replies = [reply] * 2
    assert make().embed(["one"]) == [service.vector("one")]
    service.next_replies = []
    service.always = reply
    with pytest.raises(TransientError, match="Gave up"):
        make().embed(["one"])


def test_a_missing_vector_is_tried_again_and_never_shifts_the_others(make: Any, service: Any) -> None:
    short = service.answer([{"index": 0, "embedding": service.encoded("one", "base64")}])
    service.next_replies = [short]
    assert make().embed(["one", "two"]) == [service.vector("one"), service.vector("two")]


def test_a_pause_beyond_the_deadline_is_told(make: Any, service: Any) -> None:
    service.always = service.error(429, headers={"retry-after": "3600"})
    with pytest.raises(TransientError, match=r"HTTP 429.*asks to wait 3600 s"):
        make().embed(["one"])
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, "invalid_api_key", r"embedding\.openai_key"),
        (403, None, r"embedding\.openai_key"),
        (404, "model_not_found", r"embedding\.model"),
        (429, "insufficient_quota", "billing"),
        (405, None, r"embedding\.base_url"),
    ],
)
def test_a_mistake_is_told_at_once(make: Any, service: Any, status: int, code: str | None, sentence: str) -> None:
    service.always = service.error(status, code=code)
    with pytest.raises(ConfigError, match=sentence):
        make().embed(["one", "two"])
    assert len(service.requests) == 1


def test_a_poisoned_text_is_found_and_the_others_are_embedded(make: Any, service: Any) -> None:
    service.poison = frozenset({"bad"})
    one, bad, two = make().embed(["one", "bad", "two"])
    assert (one, two) == (service.vector("one"), service.vector("two"))
    assert bad == Refusal("the embedding service rejects the text (HTTP 400, invalid_input)")


def test_an_unknown_parameter_is_not_searched_for_in_the_texts(make: Any, service: Any) -> None:
    service.always = service.error(400, "This model does not support specifying dimensions.")
    with pytest.raises(ConfigError, match="dimensions"):
        make(dimensions=64).embed(["one", "two"])
    assert len(service.requests) == 1


def exported_exceptions() -> list[type[Exception]]:
    # type(item), not item: an isinstance loads every part of the client that is loaded at first use
    exported = [item for item in list(vars(openai).values()) if issubclass(type(item), type)]
    return [item for item in exported if issubclass(item, Exception) and not item.__name__.startswith("_")]


@pytest.mark.parametrize("foreign", exported_exceptions())
def test_every_exception_of_the_client_has_its_own_translation(foreign: type[Exception]) -> None:
    """Fails when an upgrade brings an exception that nobody has thought about."""
    assert foreign in TRANSLATIONS or foreign.__name__ in NOT_FROM_EMBEDDINGS


@pytest.mark.parametrize(
    "foreign",
    [cls for cls in vars(httpx2).values() if isinstance(cls, type) and issubclass(cls, httpx2.RequestError)],
)
def test_every_exception_of_the_http_library_has_a_translation(foreign: type[httpx2.RequestError]) -> None:
    assert isinstance(translated(foreign(KEY), OPENAI), DestinationError)


def test_no_translation_is_hidden_behind_a_more_general_one() -> None:
    rows = list(TRANSLATIONS)
    for place, foreign in enumerate(rows):
        assert not any(issubclass(foreign, earlier) for earlier in rows[:place])


def test_an_exception_of_the_sdk_without_a_request_is_translated_too() -> None:
    error = translated(openai.OpenAIError(KEY), OPENAI)
    assert isinstance(error, DestinationError)
    assert KEY not in str(error)


SECRETS = f"{KEY} {TEXT}"


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 498, 500, 503])
@pytest.mark.parametrize("everywhere", [True, False])
def test_no_error_repeats_a_key_or_a_text(make: Any, service: Any, status: int, *, everywhere: bool) -> None:
    """Services quote both: in messages, codes, parameters and pages of HTML."""
    service.always = (
        service.error(status, SECRETS, code=SECRETS, param=SECRETS, headers={"x-request-id": SECRETS})
        if everywhere
        else httpx2.Response(status, text=f"<html>{SECRETS}</html>")
    )
    try:
        (result,) = make().embed([TEXT])
        told = repr(result)
    except DestinationError as error:
        told = f"{error!r} {error} {error.message}"
    assert f"HTTP {status}" in told
    assert KEY not in told
    assert TEXT not in told


@pytest.mark.parametrize(
    "failure", [httpx2.ConnectError(SECRETS), httpx2.ReadTimeout(SECRETS), httpx2.InvalidURL(SECRETS)]
)
def test_no_error_of_the_network_repeats_a_key_or_a_text(make: Any, service: Any, failure: Exception) -> None:
    service.always = failure
    with pytest.raises(DestinationError) as caught:
        make().embed([TEXT])
    assert KEY not in repr(caught.value)
    assert TEXT not in repr(caught.value)


def test_a_password_in_an_address_is_not_told(make_compatible: Any, service: Any) -> None:
    service.always = service.error(404)
    with pytest.raises(ConfigError) as caught:
        make_compatible(base_url=f"https://user:{KEY}@acme.test/v1").embed(["one"])
    assert KEY not in str(caught.value)


def test_the_clients_exceptions_are_chained(make: Any, service: Any) -> None:
    service.always = service.error(401)
    with pytest.raises(ConfigError) as caught:
        make().embed(["one"])
    assert isinstance(caught.value.__cause__, openai.AuthenticationError)


def test_a_refusal_of_the_service_stays_inside() -> None:
    """RequestRefused is for dividing a batch; callers see refusals only."""
    assert not issubclass(RequestRefused, DestinationError)


# --- Azure ------------------------------------------------------------------------------------------------------------


def test_azure_is_asked_for_its_deployment(make_azure: Any, service: Any) -> None:
    embedder = make_azure()
    assert embedder.embed(["one"]) == [service.vector("one")]
    (request,) = service.requests
    assert request.url.host == "acme.openai.azure.com"
    assert request.url.path == "/openai/deployments/my-embedder/embeddings"
    assert request.url.params["api-version"]
    assert request.headers["api-key"] == KEY


def test_the_same_model_has_the_same_identity_at_openai_and_on_azure(make: Any, make_azure: Any) -> None:
    assert make(model=LARGE, dimensions=256).identity == make_azure(model=LARGE, dimensions=256).identity


def test_azure_can_shorten_vectors(make_azure: Any, service: Any) -> None:
    service.dimensions = 64
    assert make_azure(dimensions=64).embed(["one"]) == [service.vector("one")]
    assert orjson.loads(service.requests[0].content)["dimensions"] == 64


def test_a_deployment_of_another_model_is_not_mixed_in(make_azure: Any, service: Any) -> None:
    """ada-002 and 3-small both have 1536 dimensions: nothing else would tell them apart."""
    service.model = ADA
    with pytest.raises(ModelMismatch, match=rf"answers with the model {ADA}.*set embedding\.model to {ADA}"):
        make_azure().embed(["one"])


def test_azures_short_name_of_ada_is_understood(make_azure: Any, service: Any) -> None:
    service.model = "ada"
    assert make_azure(model=ADA).embed(["one"]) == [service.vector("one")]
    with pytest.raises(ModelMismatch):
        make_azure().embed(["one"])


def test_a_version_behind_the_name_of_the_model_is_the_same_model(make_azure: Any, service: Any) -> None:
    service.model = f"{ADA}-v2"
    assert make_azure(model=ADA).embed(["one"]) == [service.vector("one")]


def test_a_deployment_that_does_not_exist_names_its_option(make_azure: Any, service: Any) -> None:
    service.always = service.error(404, code="DeploymentNotFound")
    with pytest.raises(ConfigError, match=r"DeploymentNotFound.*embedding\.deployment"):
        make_azure().embed(["one"])


# --- compatible services ----------------------------------------------------------------------------------------------


def test_a_compatible_service_gets_batches_and_no_dimensions(make_compatible: Any, service: Any) -> None:
    embedder = make_compatible()
    service.model = "whatever it likes to call itself"
    assert embedder.embed(["one", "two"]) == [service.vector("one"), service.vector("two")]
    (request,) = service.requests
    assert str(request.url) == "http://acme.test/v1/embeddings"
    assert orjson.loads(request.content) == {
        "model": "bge-m3",
        "encoding_format": "base64",
        "input": ["one", "two"],
    }
    assert embedder.identity == "openai_compatible:bge-m3:1536"


def test_a_service_without_keys_is_reached_without_one(make_compatible: Any, service: Any) -> None:
    make_compatible(api_key=" ").embed(["one"])
    assert KEY not in service.requests[0].headers["authorization"]


def test_a_service_that_answers_floats_although_base64_was_asked_works(make_compatible: Any, service: Any) -> None:
    service.encoding = "float"
    assert make_compatible().embed(["one"]) == [service.vector("one")]


def test_a_service_that_returns_nan_for_a_text_refuses_that_text(make_compatible: Any, service: Any) -> None:
    service.always = service.answer([{"index": 0, "embedding": [1.0, None]}, {"index": 1, "embedding": [1.0, 2.0]}])
    refusal, vector = make_compatible(dimensions=2).embed(["one", "two"])
    assert isinstance(refusal, Refusal)
    assert vector == array("f", [1, 2])


def test_a_service_that_takes_32_texts_a_request_works(make_compatible: Any, service: Any) -> None:
    """As Hugging Face's text-embeddings-inference does unless told otherwise."""
    service.dimensions, service.most_inputs = 16, 32
    texts = [f"text {number}" for number in range(100)]
    assert make_compatible(dimensions=16).embed(texts) == [service.vector(text) for text in texts]


def test_a_service_that_knows_no_base64_is_asked_for_floats_from_then_on(make_compatible: Any, service: Any) -> None:
    service.encoding = "float"
    service.next_replies = [service.error(400, "encoding_format: only float is supported")]
    embedder = make_compatible()
    assert embedder.embed(["one"]) == embedder.embed(["one"]) == [service.vector("one")]
    formats = [orjson.loads(request.content).get("encoding_format") for request in service.requests]
    assert formats == ["base64", None, None]


def formats(service: Any) -> list[str | None]:
    """What each request asked for."""
    return [orjson.loads(request.content).get("encoding_format") for request in service.requests]


def test_a_service_that_fails_at_base64_is_asked_for_floats(make_compatible: Any, service: Any) -> None:
    """It fails twice, and passes without in between: no word of its error is needed, nobody waits for a deadline."""

    def fail(request: httpx2.Request) -> httpx2.Response:
        asked = orjson.loads(request.content).get("encoding_format")
        return service.error(500) if asked == "base64" else service.embed(request)

    service.always, service.encoding = fail, "float"
    embedder = make_compatible()
    for text in ("one", "two", "three", "four"):
        assert embedder.embed([text]) == [service.vector(text)]
    assert formats(service) == ["base64", None, "base64", None, None, None]


def test_a_failure_that_passes_does_not_cost_base64(make_compatible: Any, service: Any) -> None:
    """Floats are twice the work: a service that has once answered in base64, or does so the next time, knows it."""
    service.next_replies = [service.error(500), service.error(503)]
    embedder = make_compatible()
    for _ in range(3):
        assert embedder.embed(["one"]) == [service.vector("one")]
    assert formats(service) == ["base64", None, None, "base64", "base64"]
    service.next_replies = [service.error(500)] * 3
    embedder.embed(["one"])
    embedder.embed(["one"])
    assert formats(service)[5:] == ["base64"] * 5


@pytest.mark.parametrize("advanced", [Advanced(concurrency=2)])
def test_a_failure_that_comes_late_does_not_cost_base64_either(make_compatible: Any, service: Any) -> None:
    """Many requests are under way when a service fails: what was sent before the first doubt confirms none."""
    embedder = make_compatible()
    doubted = threading.Event()

    def fail_late(_: httpx2.Request) -> httpx2.Response:
        doubted.wait(10)
        return service.error(500)

    service.next_replies = [fail_late, service.error(500)]
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(embedder.embed, ["late"])
        while not service.requests:
            time.sleep(0.001)
        assert embedder.embed(["one"]) == [service.vector("one")]
        doubted.set()
        assert late.result() == [service.vector("late")]
    assert formats(service) == ["base64", "base64", None, "base64"]


def test_a_refusal_that_quotes_the_whole_request_is_still_about_one_text(make_compatible: Any, service: Any) -> None:
    """FastAPI's answers quote the request: words in a ticket must not pass for words of the service."""
    bad = "the model of my printer is not supported"

    def refuse(request: httpx2.Request) -> httpx2.Response:
        sent = orjson.loads(request.content)
        if bad not in sent["input"]:
            return service.embed(request)
        detail = [{"loc": ["body", "input"], "msg": "Value error", "input": sent}]
        return httpx2.Response(422, json={"detail": detail})

    service.always = refuse
    service.encoding = "float"
    good, refused = make_compatible().embed(["good", bad])
    assert good == service.vector("good")
    assert isinstance(refused, Refusal)


def test_the_address_of_a_compatible_service_is_told(make_compatible: Any, service: Any) -> None:
    service.always = service.error(503)
    with pytest.raises(TransientError, match=r"The embedding service at acme\.test failed \(HTTP 503, some_error\)"):
        make_compatible().embed(["one"])
