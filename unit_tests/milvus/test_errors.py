from __future__ import annotations

import inspect

import grpc
import pymilvus.exceptions
import pytest
from pymilvus.exceptions import MilvusException

from destination_milvus.config.indexing import Indexing, NoAuth
from destination_milvus.errors import ConfigError, DestinationError, InternalError, TransientError
from destination_milvus.milvus.address import described
from destination_milvus.milvus.errors import (
    is_collection_missing,
    is_denied,
    is_message_too_large,
    is_retryable,
    is_still_loading,
    is_unimplemented,
    own_words,
    translated,
)

SECRET = "s3cret"  # noqa: S105 - the point of the tests: it must not be seen
INDEXING = Indexing(host=f"https://root:{SECRET}@milvus.example.com:19530", collection="tickets", auth=NoAuth())


class RpcError(grpc.RpcError):
    """As gRPC raises it: the status is a method."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__()
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._status


def milvus(code: int, message: str = "", *, cause: BaseException | None = None, retriable: bool = False) -> Exception:
    error: Exception = MilvusException(code=code, message=message, retriable=retriable)
    error.__cause__ = cause
    return error


STATUSES = {
    "OK": (InternalError, False),
    "CANCELLED": (TransientError, True),
    "UNKNOWN": (TransientError, True),
    "INVALID_ARGUMENT": (InternalError, False),
    "DEADLINE_EXCEEDED": (TransientError, True),
    "NOT_FOUND": (InternalError, False),
    "ALREADY_EXISTS": (InternalError, False),
    "PERMISSION_DENIED": (ConfigError, False),
    "RESOURCE_EXHAUSTED": (TransientError, False),
    "FAILED_PRECONDITION": (InternalError, False),
    "ABORTED": (TransientError, True),
    "OUT_OF_RANGE": (InternalError, False),
    "UNIMPLEMENTED": (ConfigError, False),
    "INTERNAL": (TransientError, True),
    "UNAVAILABLE": (TransientError, True),
    "DATA_LOSS": (TransientError, True),
    "UNAUTHENTICATED": (ConfigError, False),
}


def test_every_status_of_grpc_is_decided() -> None:
    """A new one fails here until somebody has thought about it."""
    assert {status.name for status in grpc.StatusCode} == STATUSES.keys()


@pytest.mark.parametrize("status", list(grpc.StatusCode), ids=lambda status: str(status.name))
def test_a_status_has_its_meaning_bare_and_as_the_cause_of_pymilvus_error(status: grpc.StatusCode) -> None:
    kind, retryable = STATUSES[status.name]
    bare = RpcError(status)
    assert type(translated(bare, INDEXING)) is kind
    assert is_retryable(bare) == retryable
    assert is_message_too_large(bare) == (status is grpc.StatusCode.RESOURCE_EXHAUSTED)
    wrapped = milvus(65535, cause=bare)
    assert type(translated(wrapped, INDEXING)) is kind
    assert is_retryable(wrapped) == retryable


def test_a_request_to_stop_is_never_retried() -> None:
    """It may come while pymilvus is at a failure of the server: that is its context, and not its reason."""
    try:
        raise RpcError(grpc.StatusCode.UNAVAILABLE)
    except grpc.RpcError:
        with pytest.raises(KeyboardInterrupt) as caught:
            raise KeyboardInterrupt  # noqa: B904 - without a cause, as a signal's handler raises it
    assert caught.value.__context__ is not None
    assert not is_retryable(caught.value)


EXCEPTIONS = {
    "AmbiguousIndexName",
    "AutoIDException",
    "CannotInferSchemaException",
    "ClusteringKeyException",
    "CollectionNotExistException",
    "ConnectError",
    "ConnectionConfigException",
    "ConnectionNotExistException",
    "DataNotMatchException",
    "DataTypeNotMatchException",
    "DataTypeNotSupportException",
    "DescribeCollectionException",
    "FieldTypeException",
    "FieldsTypeException",
    "FunctionsTypeException",
    "IndexNotExistException",
    "InvalidConsistencyLevel",
    "MilvusException",
    "MilvusUnavailableException",
    "ParamError",
    "PartitionAlreadyExistException",
    "PartitionKeyException",
    "PrimaryKeyException",
    "SchemaMismatchRetryableException",
    "SchemaNotReadyException",
    "ServerVersionIncompatibleException",
}
"""What pymilvus raises before it asks the server, all with code 1: the connector asked for something impossible."""


def pymilvus_exceptions() -> list[type[Exception]]:
    classes = [found for _, found in inspect.getmembers(pymilvus.exceptions, inspect.isclass)]
    return [found for found in classes if issubclass(found, Exception)]


def test_every_exception_of_pymilvus_is_decided() -> None:
    """A new one fails here until somebody has thought about it."""
    assert {found.__name__ for found in pymilvus_exceptions()} == EXCEPTIONS


@pytest.mark.parametrize("kind", pymilvus_exceptions(), ids=lambda kind: str(kind.__name__))
def test_what_pymilvus_raises_by_itself_is_internal_and_not_tried_again(kind: type[Exception]) -> None:
    error = kind(message=f"a row says {SECRET}")  # type: ignore[call-arg]
    answer = translated(error, INDEXING)
    assert type(answer) is InternalError
    assert kind.__name__ in answer.message
    assert not is_retryable(error)


@pytest.mark.parametrize(
    ("error", "kind", "retryable", "words"),
    [
        (milvus(2, "Fail connecting to server"), TransientError, True, "cannot be reached: check indexing.host"),
        (milvus(2, cause=RpcError(grpc.StatusCode.UNAUTHENTICATED)), ConfigError, False, "check indexing.auth"),
        (milvus(2, cause=RpcError(grpc.StatusCode.UNAVAILABLE)), TransientError, True, "cannot be reached"),
        (milvus(2, cause=grpc.FutureTimeoutError()), TransientError, True, "cannot be reached"),
        (milvus(8, "rate limit"), TransientError, True, "Lower advanced.concurrency"),
        (milvus(9, "deny to write"), TransientError, False, "Make room"),
        (milvus(100, "can't find collection"), TransientError, False, 'The collection "tickets" is gone'),
        (milvus(101, "not loaded"), TransientError, True, 'The collection "tickets" is not loaded'),
        (milvus(800, "database not found"), ConfigError, False, 'The database "default" does not exist'),
        (milvus(1400), ConfigError, False, "check indexing.auth"),
        (milvus(1401), ConfigError, False, "grant it"),
        (milvus(1100, "illegal value"), InternalError, False, "MilvusException, code 1100"),
        (milvus(2200, retriable=True), TransientError, True, "Sync again later"),
        (milvus(65535, "write: No space left on device"), TransientError, False, "disk under Milvus"),
        (RuntimeError("Open local milvus failed"), TransientError, False, "one process at a time"),
        (milvus(1, "uri is illegal, needs start with [unix, http, …]"), ConfigError, False, "indexing.host is no"),
        (ValueError("anything"), InternalError, False, "ValueError, code none"),
    ],
)
def test_an_error_is_told_in_the_projects_own_words(
    error: Exception, kind: type[DestinationError], retryable: bool, words: str
) -> None:
    answer = translated(error, INDEXING)
    assert type(answer) is kind
    assert words in answer.message
    assert is_retryable(error) == retryable
    assert answer.message[0].isupper() or answer.message.startswith("indexing.host")
    assert answer.message.endswith((".", "?"))


@pytest.mark.parametrize("code", [*range(500, 505), *range(901, 904)])
def test_a_server_that_recovers_is_waited_for(code: int) -> None:
    assert is_retryable(milvus(code))
    assert "is recovering" in translated(milvus(code), INDEXING).message


def test_no_message_repeats_milvus_words_or_the_credentials_of_the_address() -> None:
    """Milvus quotes the values of rows, and some write the password into the address."""
    for code in (1, 2, 8, 9, 100, 101, 800, 1100, 1400, 1401, 65535):
        answer = translated(milvus(code, f"row {SECRET}", cause=RpcError(grpc.StatusCode.NOT_FOUND)), INDEXING)
        assert SECRET not in answer.message


def test_a_missing_collection_is_known_by_its_code_also_in_a_cause() -> None:
    assert is_collection_missing(milvus(100))
    assert is_collection_missing(milvus(1, cause=milvus(100)))
    assert not is_collection_missing(milvus(101))


def test_our_own_errors_pass_as_they_are() -> None:
    error = ConfigError("Wrong.")
    assert translated(error, INDEXING) is error


def test_the_cause_may_lie_deep_and_may_be_a_context() -> None:
    context, unrelated = KeyError(), KeyError()
    context.__context__ = RpcError(grpc.StatusCode.UNAUTHENTICATED)
    assert type(translated(milvus(2, cause=context), INDEXING)) is ConfigError
    unrelated.__context__ = RpcError(grpc.StatusCode.UNAUTHENTICATED)
    unrelated.__suppress_context__ = True  # raised from None
    assert type(translated(unrelated, INDEXING)) is InternalError


def test_causes_that_go_round_in_a_circle_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert type(translated(one, INDEXING)) is InternalError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("http://milvus.internal:19530", "Milvus at milvus.internal:19530"),
        ("https://in01-abc.zillizcloud.com", "Milvus at in01-abc.zillizcloud.com"),
        ("https://host/path?token=s3cret", "Milvus at host"),
        ("milvus.internal:19530", "Milvus at milvus.internal:19530"),
        ("./milvus.db", "Milvus Lite (./milvus.db)"),
        ("https://milvus.example.com/shop.db", "Milvus at milvus.example.com"),
        ("http://[::1]:19530", "Milvus at [::1]:19530"),
        ("http://user:s3cret@host:19530", "Milvus at host:19530"),
        ("user:s3cret@host:19530", "Milvus at host:19530"),
        ("http://user:s3c@ret@host:19530", "Milvus at host:19530"),
        ("http://user:s3cret/x@host:19530", "Milvus at the address in indexing.host"),
        ("http://s3cret@", "Milvus at the address in indexing.host"),
        ("http://", "Milvus at the address in indexing.host"),
        ("http://host:notaport", "Milvus at host:notaport"),
        ("http://[half", "Milvus at [half"),
    ],
)
def test_an_address_is_described_without_its_credentials_and_never_raises(host: str, expected: str) -> None:
    assert described(host) == expected


def test_a_collection_that_is_still_being_loaded_is_named() -> None:
    """Pymilvus has no code for it, only words, in whatever sentence of its retries."""
    error = milvus(1, "[load_collection] Retry timeout: 120s, message=wait for loading collection timeout")
    assert is_still_loading(error)
    assert not is_still_loading(milvus(1))
    assert not is_retryable(error)
    failure = translated(error, INDEXING)
    assert isinstance(failure, TransientError)
    assert 'The collection "tickets" is still being loaded' in failure.message


def test_a_privilege_that_is_lacking_is_told_from_other_failures() -> None:
    """By gRPC's status or by Milvus' code."""
    assert is_denied(RpcError(grpc.StatusCode.PERMISSION_DENIED))
    assert is_denied(milvus(1401))
    assert not is_denied(milvus(1))
    assert not is_denied(RpcError(grpc.StatusCode.UNAUTHENTICATED))


def test_a_call_that_a_server_lacks_is_told_from_other_failures() -> None:
    """By gRPC's status, or by Milvus' own code."""
    assert is_unimplemented(RpcError(grpc.StatusCode.UNIMPLEMENTED))
    assert is_unimplemented(milvus(10))
    assert not is_unimplemented(RpcError(grpc.StatusCode.UNAVAILABLE))


def test_milvus_own_words_are_there_for_who_wrote_the_request() -> None:
    """In one line; nothing where the error came from elsewhere."""
    refused = translated(milvus(1100, "cannot parse expression:\n  a === b"), INDEXING)
    assert own_words(refused) == ""
    refused.__cause__ = milvus(1100, "cannot parse expression:\n  a === b")
    assert own_words(refused) == "cannot parse expression: a === b"
    refused.__cause__ = ValueError("else")
    assert own_words(refused) == ""
