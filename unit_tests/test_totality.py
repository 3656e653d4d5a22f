"""Nothing that a foreign library can raise is without a meaning: an upgrade that brings something new fails here.

What openai, pymilvus and gRPC export is decided in their own tests; here are the classes behind that, the codes of
Milvus, and errors as gRPC really raises them.
"""

from __future__ import annotations

import contextlib
import inspect
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

import grpc
import httpx2
import openai
import pymilvus
import pytest
from pymilvus.exceptions import ErrorCode, MilvusException

from destination_milvus.config.indexing import Indexing, NoAuth
from destination_milvus.embedding import cohere_client, openai_client
from destination_milvus.embedding.failures import RequestRefused
from destination_milvus.embedding.openai_api import OPENAI
from destination_milvus.errors import ConfigError, DestinationError, InternalError, TransientError
from destination_milvus.milvus.errors import is_message_too_large, is_retryable, translated
from unit_tests.embedding.test_openai_api import NOT_FROM_EMBEDDINGS
from unit_tests.milvus.test_errors import EXCEPTIONS, STATUSES

SECRET = "s3cret"  # noqa: S105 - it must not be seen
INDEXING = Indexing(host=f"http://root:{SECRET}@127.0.0.1:19530", collection="tickets", auth=NoAuth())

T = TypeVar("T")


def descendants(base: type[T]) -> set[type[T]]:
    """All subclasses that are loaded, at any depth."""
    return {base}.union(*(descendants(found) for found in base.__subclasses__()))


def modules_of(package: Any) -> Iterator[Any]:
    """The package's modules, as far as what is installed lets them load."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda _: None):
        with contextlib.suppress(ImportError):  # of an optional part
            yield import_module(found.name)


# --- the embedding services -------------------------------------------------------------------------------------------


MISUSE = {
    "APIRemovedInV1",
    "MutuallyExclusiveAuthError",
    "StreamAlreadyConsumed",
    "SubjectTokenProviderError",
    "_AmbiguousModuleClientUsageError",
}
"""Not exported; of interfaces and ways to authenticate that the connector does not use."""


def openai_errors() -> list[type[openai.OpenAIError]]:
    found = {kind for kind in descendants(openai.OpenAIError) if kind.__module__.startswith("openai")}
    return sorted(found, key=lambda kind: (kind.__name__, kind.__module__))


@pytest.mark.parametrize("kind", openai_errors(), ids=lambda kind: str(kind.__name__))
def test_every_class_of_openai_has_a_row_of_its_own(kind: type[openai.OpenAIError]) -> None:
    """Also one that is not exported: the row of its base class would be an accident."""
    assert kind in openai_client.TRANSLATIONS or kind.__name__ in NOT_FROM_EMBEDDINGS | MISUSE


@pytest.mark.parametrize("kind", openai_errors(), ids=lambda kind: str(kind.__name__))
def test_whatever_openai_raises_becomes_one_of_our_errors_without_its_words(kind: type[openai.OpenAIError]) -> None:
    """Of whatever making: its attributes are not trusted to be there."""
    error = kind.__new__(kind)
    error.args = (SECRET,)
    request = httpx2.Request("POST", f"http://{SECRET}.test")
    for name, value in {
        "request": request,
        "response": httpx2.Response(418, request=request),
        "status_code": 418,
    }.items():
        setattr(error, name, value)
    for name in ("body", "code", "param", "type"):
        setattr(error, name, f"{SECRET} {SECRET}")
    answer = openai_client.translated(error, OPENAI)
    assert isinstance(answer, DestinationError | RequestRefused)
    assert SECRET not in str(answer)


def http_errors() -> list[type[Exception]]:
    classes = [found for _, found in inspect.getmembers(httpx2, inspect.isclass) if issubclass(found, Exception)]
    return sorted(classes, key=lambda kind: (kind.__name__, kind.__module__))


NOT_FROM_REQUESTS = {"CookieConflict"}
"""Of reading one's own cookies."""


@pytest.mark.parametrize("kind", http_errors(), ids=lambda kind: str(kind.__name__))
def test_whatever_the_http_library_raises_is_caught_and_translated(kind: type[Exception]) -> None:
    """By the client of OpenAI and by Cohere's."""
    if kind.__name__ in NOT_FROM_REQUESTS:
        return
    error = kind.__new__(kind)
    error.args = (SECRET,)
    assert isinstance(error, openai_client.FOREIGN)
    assert isinstance(error, cohere_client.FOREIGN)
    for answer in (openai_client.translated(error, OPENAI), cohere_client.translated(error)):
        assert isinstance(answer, DestinationError)
        assert SECRET not in str(answer)


# --- Milvus -----------------------------------------------------------------------------------------------------------


def test_pymilvus_has_no_exceptions_but_those_that_are_decided() -> None:
    """In none of its modules, whatever it exports."""
    for module in modules_of(pymilvus):
        for name, found in inspect.getmembers(module, inspect.isclass):
            ours = issubclass(found, BaseException) and found.__module__.startswith("pymilvus")
            assert not ours or name in EXCEPTIONS | {"PyMilvusDeprecationWarning"}, f"{module.__name__}.{name}"
    assert {kind.__name__ for kind in descendants(MilvusException)} <= EXCEPTIONS


CODES: dict[int, tuple[str, type[DestinationError], bool]] = {
    1: ("service not ready", TransientError, True),
    2: ("service unavailable", TransientError, True),
    3: ("memory limit exceeded", TransientError, False),
    4: ("request limit exceeded", TransientError, True),
    5: ("service internal error", InternalError, False),
    6: ("cross cluster routing", InternalError, False),
    7: ("disk limit exceeded", TransientError, False),
    8: ("rate limit exceeded", TransientError, True),
    9: ("quota exceeded", TransientError, False),
    10: ("service unimplemented", ConfigError, False),
    11: ("time tick long delay", TransientError, True),
    12: ("service resource insufficient", TransientError, True),
    100: ("collection not found", TransientError, False),
    101: ("collection not loaded", TransientError, True),
    102: ("exceeded the limit number of collections", ConfigError, False),
    103: ("collection not fully loaded", TransientError, True),
    104: ("collection already loaded", InternalError, False),
    105: ("illegal collection schema", InternalError, False),
    106: ("collection on recovering", TransientError, True),
    200: ("partition not found", InternalError, False),
    201: ("partition not loaded", InternalError, False),
    202: ("partition not fully loaded", TransientError, True),
    250: ("general capacity exceeded", ConfigError, False),
    401: ("replica not available", TransientError, True),
    500: ("channel not found", TransientError, True),
    501: ("channel lacks", TransientError, True),
    502: ("channel reduplicates", TransientError, True),
    503: ("channel not available", TransientError, True),
    504: ("channel checkpoint exceed max lag", TransientError, True),
    600: ("segment not found", TransientError, True),
    601: ("segment not loaded", TransientError, True),
    602: ("segment lacks", TransientError, True),
    603: ("segment reduplicates", TransientError, True),
    604: ("segment load failed", TransientError, True),
    700: ("index not found", InternalError, False),
    701: ("index type not supported", ConfigError, False),
    702: ("index duplicates", InternalError, False),
    800: ("database not found", ConfigError, False),
    802: ("invalid database name", ConfigError, False),
    901: ("node not found", TransientError, True),
    902: ("node offline", TransientError, True),
    903: ("node lacks", TransientError, True),
    904: ("node not match", TransientError, True),
    905: ("node not available", TransientError, True),
    906: ("node state unexpected", TransientError, True),
    1000: ("key not found", InternalError, False),
    1001: ("IO failed", TransientError, True),
    1002: ("unexpected EOF", TransientError, True),
    1100: ("invalid parameter", InternalError, False),
    1101: ("missing parameter", InternalError, False),
    1102: ("parameter too large", InternalError, False),
    1302: ("message queue internal error", TransientError, True),
    1303: ("deny to write the message to mq", InternalError, False),
    1400: ("not authenticated", ConfigError, False),
    1401: ("privilege not permitted", ConfigError, False),
    1700: ("field not found", InternalError, False),
    2000: ("segcore error", InternalError, False),
    3000: ("unsupported operation", InternalError, False),
    10000: ("canceled", TransientError, True),
    10001: ("timeout", TransientError, True),
    65535: ("unexpected error", InternalError, False),
}
"""What a sync can meet of the codes in Milvus' pkg/util/merr/errors.go."""

MARKED_BY_MILVUS = {1, 2, 4, 8, 12, 103, 106, 202, 1002}
"""Those that arrive marked as retriable."""


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_milvus_has_its_meaning(code: int) -> None:
    """Told in our own words, and tried again only where waiting can help."""
    words, kind, retryable = CODES[code]
    error = MilvusException(code=code, message=f"{words}: {SECRET}", retriable=code in MARKED_BY_MILVUS)
    answer = translated(error, INDEXING)
    assert type(answer) is kind
    assert is_retryable(error) == retryable
    assert SECRET not in answer.message
    assert words not in answer.message


def test_the_codes_that_pymilvus_knows_are_among_them() -> None:
    """It names those on which it acts itself."""
    assert {code.value for code in ErrorCode} - {ErrorCode.SUCCESS.value} <= CODES.keys()


# --- gRPC -------------------------------------------------------------------------------------------------------------

WITH_A_STATUS = {
    "_InactiveRpcError",
    "_MultiThreadedRendezvous",
    "_SingleThreadedRendezvous",
    "_FailureOutcome",
    "_Rendezvous",
    "AioRpcError",
}
WITHOUT = {"RpcError", "FutureTimeoutError", "FutureCancelledError"}
"""The base class; and those of futures, which pymilvus wraps into its own with code 2 where it waits for one."""


def test_every_error_of_grpc_tells_its_status() -> None:
    """By which it is classified: a new class without one fails here."""
    exported = {name for name, found in inspect.getmembers(grpc, inspect.isclass) if issubclass(found, Exception)}
    kinds = {kind for kind in descendants(grpc.RpcError) if kind.__module__.startswith("grpc")}
    assert exported == WITHOUT
    assert {kind.__name__ for kind in kinds} <= WITH_A_STATUS | WITHOUT
    assert all(
        callable(getattr(kind, "code", None)) for kind in kinds if kind.__name__ in WITH_A_STATUS - {"_Rendezvous"}
    )


@contextlib.contextmanager
def refusing() -> Iterator[grpc.Channel]:
    """A channel to a server that answers the call /status/NAME with that status."""

    class Refusal(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            status = grpc.StatusCode[details.method.rpartition("/")[2]]
            return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(status, SECRET))

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Refusal()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


def test_each_status_as_a_server_sends_it_has_the_meaning_that_was_decided() -> None:
    """Raised by a real call, bare: so pymilvus passes on what it does not know."""
    with refusing() as channel:
        for status in grpc.StatusCode:
            if status is grpc.StatusCode.OK:
                continue  # no error
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/status/{status.name}")(b"", timeout=5)
            answer = translated(caught.value, INDEXING)
            kind, retryable = STATUSES[status.name]
            assert type(answer) is kind, status
            assert is_retryable(caught.value) == retryable, status
            assert is_message_too_large(caught.value) == (status is grpc.StatusCode.RESOURCE_EXHAUSTED)
            assert SECRET not in answer.message


def test_a_closed_port_a_deadline_and_a_cancelled_call_are_worth_another_attempt() -> None:
    """As gRPC raises them before any server has said a word."""
    with grpc.insecure_channel("127.0.0.1:9") as channel:
        with pytest.raises(grpc.RpcError) as unreachable:
            channel.unary_unary("/any")(b"", timeout=5)
        with pytest.raises(grpc.RpcError) as late:
            channel.unary_unary("/any")(b"", timeout=0.01, wait_for_ready=True)
        call = channel.unary_unary("/any").future(b"", timeout=5, wait_for_ready=True)
        call.cancel()
        with pytest.raises(grpc.FutureCancelledError) as cancelled:
            call.result()
    assert "cannot be reached" in translated(unreachable.value, INDEXING).message
    assert "did not answer in time" in translated(late.value, INDEXING).message
    assert is_retryable(unreachable.value)
    assert is_retryable(late.value)
    # only who cancels a call himself sees this one, and nobody here does
    assert type(translated(cancelled.value, INDEXING)) is InternalError
