"""What an error of pymilvus or gRPC means, in one table.

Neither library is imported: both are read by the codes that their exceptions carry. pymilvus raises one class with code
2 for a closed port, a wrong token and a failed TLS handshake; only the gRPC status in its cause tells them apart. What
Milvus says in words is not repeated: it quotes values of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from destination_milvus.config.indexing import Indexing
from destination_milvus.errors import ConfigError, DestinationError, InternalError, TransientError, option
from destination_milvus.milvus.address import described

_CONNECT_FAILED = 2
_RATE_LIMITED = 8
_WRITES_DENIED = 9
_UNIMPLEMENTED = 10
_COLLECTION_MISSING = 100
_NOT_LOADED = 101
_DATABASE_MISSING = 800
_PERMISSION_DENIED = 1401
_UNAUTHENTICATED = 1400


_OPTION = re.compile(r"\b(?:indexing|advanced)\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[DestinationError]
    sentence: str
    retryable: bool = False


_BY_STATUS = {
    "UNAUTHENTICATED": _Meaning(
        ConfigError, "{where} refused the credentials: check indexing.auth (token, or username and password)."
    ),
    "PERMISSION_DENIED": _Meaning(
        ConfigError,
        "{where} denies the user of indexing.auth something that the sync needs: grant it reading, writing and "
        "creating of the collection.",
    ),
    "UNIMPLEMENTED": _Meaning(
        ConfigError, "{where} does not know a call that the connector needs: Milvus 2.3 or newer is required."
    ),
    "RESOURCE_EXHAUSTED": _Meaning(
        TransientError, "{where} refused a message as too large, or is out of memory or quota. Try again later."
    ),
    "DEADLINE_EXCEEDED": _Meaning(
        TransientError, "{where} did not answer in time. Check its health and load, then sync again.", retryable=True
    ),
    "UNAVAILABLE": _Meaning(
        TransientError,
        "{where} cannot be reached: check indexing.host, that the server runs, and TLS (https) on both sides.",
        retryable=True,
    ),
    **{
        status: _Meaning(
            TransientError,
            "The connection to {where} failed. Check the server's health, then sync again.",
            retryable=True,
        )
        for status in ("CANCELLED", "UNKNOWN", "ABORTED", "INTERNAL", "DATA_LOSS")
    },
}

_BY_CODE = {
    _CONNECT_FAILED: _BY_STATUS["UNAVAILABLE"],
    _RATE_LIMITED: _Meaning(
        TransientError,
        "{where} limits the rate of requests. Lower advanced.concurrency, or sync later.",
        retryable=True,
    ),
    _WRITES_DENIED: _Meaning(
        TransientError, "{where} denies writing: it is out of disk, memory or quota. Make room, then sync again."
    ),
    _COLLECTION_MISSING: _Meaning(
        TransientError, 'The collection "{collection}" is gone from {where}: was it dropped during the sync?'
    ),
    _NOT_LOADED: _Meaning(
        TransientError,
        'The collection "{collection}" is not loaded in {where}: was it released during the sync?',
        retryable=True,  # a server that restarts loads its collections one after the other
    ),
    _DATABASE_MISSING: _Meaning(
        ConfigError, 'The database "{db}" does not exist in {where}: create it, or change indexing.db.'
    ),
    _UNAUTHENTICATED: _BY_STATUS["UNAUTHENTICATED"],
    _PERMISSION_DENIED: _BY_STATUS["PERMISSION_DENIED"],
}

_RECOVERING = _Meaning(
    TransientError, "{where} is recovering and cannot serve yet. Check its health, then sync again.", retryable=True
)
_TOO_MANY = _Meaning(
    ConfigError, "{where} allows no further collections: drop one, or raise its limit, or name an existing collection."
)
# Milvus' pkg/util/merr; what it marks as retriable itself need not be named
_BY_CODE |= {
    3: _BY_CODE[_WRITES_DENIED],  # memory
    7: _BY_CODE[_WRITES_DENIED],  # disk
    _UNIMPLEMENTED: _BY_STATUS["UNIMPLEMENTED"],
    102: _TOO_MANY,
    250: _TOO_MANY,
    701: _Meaning(ConfigError, "{where} does not support the index: check indexing.index_type and its parameters."),
    802: _Meaning(ConfigError, 'The database "{db}" has a name that {where} does not allow: check indexing.db.'),
}
_BY_CODE |= dict.fromkeys(
    (
        11,  # clocks behind
        401,  # replica
        *range(500, 505),  # channels
        *range(600, 605),  # segments
        *range(901, 907),  # nodes
        *(1001, 1002, 1302),  # storage and message queue
        *(10000, 10001),  # cancelled, timed out
    ),
    _RECOVERING,
)

_LOADING = "wait for loading collection timeout"
"""pymilvus', when it has waited for as long as it was told."""

_BY_WORDS = {
    "No space left on device": _Meaning(TransientError, "The disk under {where} is full: make room, then sync again."),
    # pymilvus says no more than this
    "Open local milvus failed": _Meaning(
        TransientError,
        "{where} cannot be opened. Milvus Lite serves one process at a time: wait for the other one or end it, then "
        "sync again.",
    ),
    # Milvus Lite's, where the collection was made with it
    "requires the 'jieba' package": _Meaning(
        ConfigError,
        'The collection "{collection}" finds Chinese words with the package jieba, which is not installed: run pip '
        "install 'airbyte-destination-milvus[lite,chinese]'.",
    ),
    _LOADING: _Meaning(
        TransientError,
        'The collection "{collection}" is still being loaded into {where}. Sync again once it is; if that does not '
        "end, Milvus lacks memory for it.",
    ),
    "illegal, needs start with": _Meaning(
        ConfigError,
        "indexing.host is no address that Milvus knows: write http://host:port, https://host:port, or for Milvus Lite "
        "the path of a database that ends in .db.",
    ),
}


def translated(error: BaseException, indexing: Indexing) -> DestinationError:
    """The error in the project's own words."""
    if isinstance(error, DestinationError):
        return error
    meaning = _meaning(error)
    where = described(indexing.host)
    if meaning is None and is_retryable(error):
        return TransientError(f"{where} was not able to answer for minutes. Sync again later.")
    if meaning is None:
        codes = ", ".join(str(code) for code in _codes(error)) or "none"
        return InternalError(
            f"{where} refused a request of the connector ({type(error).__name__}, code {codes}). "
            "If it goes on, report this with the version of your Milvus."
        )
    sentence = _OPTION.sub(lambda found: option(found[0]), meaning.sentence)
    return meaning.kind(sentence.format(where=where, collection=indexing.collection, db=indexing.db or "default"))


def own_words(error: DestinationError) -> str:
    """What Milvus itself said, in one line; empty where the error is not of its making.

    It quotes the request and values of rows: for whoever wrote the request, and for no log.
    """
    cause = error.__cause__
    said = getattr(cause, "message", None)
    return " ".join(said.split()) if isinstance(said, str) else ""


def is_retryable(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    if not isinstance(error, Exception):
        return False  # a request to stop is none, though pymilvus may have been at a failure when it came
    meaning = _meaning(error)
    return (meaning is not None and meaning.retryable) or any(
        getattr(cause, "retriable", False) is True for cause in _causes(error)
    )


def is_collection_missing(error: BaseException) -> bool:
    """Whether the collection does not exist."""
    return _COLLECTION_MISSING in _codes(error)


def is_message_too_large(error: BaseException) -> bool:
    """Whether an answer or a request exceeded the limit of a message."""
    return "RESOURCE_EXHAUSTED" in _statuses(error)


def is_still_loading(error: BaseException) -> bool:
    """Whether a collection was not loaded in the time given."""
    return _LOADING in str(error)


def is_denied(error: BaseException) -> bool:
    """Whether the user lacks a privilege."""
    return "PERMISSION_DENIED" in _statuses(error) or _PERMISSION_DENIED in _codes(error)


def is_unimplemented(error: BaseException) -> bool:
    """Whether Milvus does not know the call."""
    return "UNIMPLEMENTED" in _statuses(error) or _UNIMPLEMENTED in _codes(error)


def _meaning(error: BaseException) -> _Meaning | None:
    """The gRPC status first: it is the more specific."""
    for status in _statuses(error):
        if status in _BY_STATUS:
            return _BY_STATUS[status]
    words = str(error)
    for phrase, meaning in _BY_WORDS.items():
        if phrase in words:
            return meaning
    for code in _codes(error):
        if code in _BY_CODE:
            return _BY_CODE[code]
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _statuses(error: BaseException) -> list[str]:
    """Names of gRPC's status codes, of the error and its causes."""
    codes = [getattr(cause, "code", None) for cause in _causes(error)]
    statuses = [code() if callable(code) else code for code in codes]
    return [name for status in statuses if isinstance(name := getattr(status, "name", None), str)]


def _codes(error: BaseException) -> list[int]:
    """Milvus' own codes, of the error and its causes."""
    codes = [getattr(cause, "code", None) for cause in _causes(error)]
    return [int(code) for code in codes if isinstance(code, int)]
