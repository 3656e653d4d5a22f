"""Every failure this project raises on purpose, grouped by what the reader can do about it.

    DestinationError
    ├── ConfigError        change the configuration, the catalog or the account (Airbyte: config_error)
    │   ├── CollectionMissing  there is nothing to read yet
    │   └── ModelMismatch  two embedding models would meet in one collection
    ├── TransientError     run it again: the network, a limit, an overloaded service (Airbyte: transient_error)
    ├── InternalError      a bug or a broken input that neither helps (Airbyte: system_error)
    └── BadRecord          one record cannot be stored; `advanced.bad_records` decides what that means (config_error)

A message is one sentence or two for the person who runs the sync: what happened, where, what to do. It never holds a
secret, a record's text or a traceback; foreign errors are chained (`raise … from`), never quoted unread.

Where it names an option, it does so by `option("indexing.host")`: a program that has other names for the options, as
the support form has its environment variables, reads the same sentence with its own.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

_MARKED = re.compile("\ue000(.*?)\ue001")
"""Around the names of options stand two characters that Unicode leaves to private use: no text has them by chance."""

FailureType = Literal["config_error", "transient_error", "system_error"]


def option(path: str) -> str:
    """An option's dotted path, to be put into the sentence of an error."""
    return f"\ue000{path}\ue001"


class DestinationError(Exception):
    """Base of the tree; `failure_type` is the word Airbyte's platform acts upon."""

    failure_type: FailureType = "system_error"

    def __init__(self, message: str, *, stream: tuple[str, str | None] | None = None) -> None:
        self.marked = message
        """The sentence as it was written, for another error that says more."""
        self.message = self.named({})
        super().__init__(self.message)
        self.options = tuple(_MARKED.findall(message))
        """The options that it is about, in their order in the sentence."""
        self.stream = stream
        """Name and namespace of the stream at fault, as the platform knows it; None where no stream is, or not yet."""

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes from another process: whole, without what it was raised from."""
        return _restored, (type(self), self.__dict__)

    def named(self, names: Mapping[str, str]) -> str:
        """The sentence with other names for options; those without one keep their own."""
        return _MARKED.sub(lambda found: names.get(found[1], found[1]), self.marked)


def _restored(kind: type[DestinationError], state: Mapping[str, Any]) -> DestinationError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class ConfigError(DestinationError):
    """The user can mend it: configuration, catalog, credentials, quota, schema of an existing collection."""

    failure_type: FailureType = "config_error"


class CollectionMissing(ConfigError):
    """The collection that is to be read does not exist."""


class ModelMismatch(ConfigError):
    """The collection holds vectors of another embedding model than the configured one."""


class TransientError(DestinationError):
    """The same sync may succeed later: the platform retries it."""

    failure_type: FailureType = "transient_error"


class InternalError(DestinationError):
    """Neither the user nor a retry helps: a bug here, or input that breaks the protocol."""

    failure_type: FailureType = "system_error"


class BadRecord(DestinationError):
    """One record that cannot be stored as it is, named by its stream and, where it has one, its key."""

    failure_type: FailureType = "config_error"  # the platform need not retry: the record stays what it is

    def __init__(self, reason: str, *, stream: str, key: str | None = None, place: str = "") -> None:
        which = f"record {shorten(key)}" if key is not None else "a record without a key"
        where = f"{place}: " if place else ""
        super().__init__(f'{where}Stream "{stream}", {which}: {reason}.')
        self.reason = reason
        self.identifier = stream
        """Of its stream in the collection: who refuses a record knows no more, and `Sync` adds the name."""
        self.key = key

    def at(self, place: str) -> BadRecord:
        """The error, with where the record stands in front, where that is known."""
        return BadRecord(self.reason, stream=self.identifier, key=self.key, place=place)


def unexpected(error: Exception) -> InternalError:
    """What a user reads of an error that nobody has foreseen: its type and place, and no values."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    wrapped = InternalError(
        f"The connector failed unexpectedly ({type(error).__name__} in {Path(frame.filename).name}, line "
        f"{frame.lineno}). This is a bug: please report it. The next sync continues at the last acknowledged state."
    )
    wrapped.__traceback__ = error.__traceback__
    return wrapped


def shorten(value: str, limit: int = 80) -> str:
    """A value that came from a record, fit for a message: quoted, one line, at most `limit` characters."""
    text = ascii(value)[1:-1]
    return f'"{text if len(text) <= limit else text[: limit - 1] + "…"}"'
