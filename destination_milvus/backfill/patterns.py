"""Which files a pattern means, and which stream a file is of, by their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from destination_milvus.errors import ConfigError
from destination_milvus.protocol.catalog import StreamName

REMOTE = ("s3", "gs", "gcs", "abfs", "abfss")
"""Schemes that pyarrow has a file system for."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WILDCARD = re.compile(r"[*\[]")
_OLD_LOCAL_NAME = re.compile(r"_airbyte_raw_(.+?)\.")
"""Airbyte's Local JSON destination has no folder a stream: it puts the stream into the name of the file."""


def scheme_of(pattern: str) -> str | None:
    """The scheme of a remote pattern; None for a path of this machine.

    Raises:
        ConfigError: it has one that nothing here reads.
    """
    found = _SCHEME.match(pattern)
    if found is None or found[1].lower() == "file":
        return None
    if found[1].lower() not in REMOTE:
        raise ConfigError(
            f"--input {shown(pattern)}: {found[1]}:// cannot be read. Name files of this machine, or of "
            "s3://, gs:// or abfs://."
        )
    return found[1].lower()


def shown(address: str) -> str:
    """An address without the credentials and options that it may hold."""
    found = _SCHEME.match(address)
    if found is None:
        return address
    rest = address[found.end() :].partition("?")[0]
    bucket, slash, path = rest.partition("/")
    return f"{found[0]}{bucket.rpartition('@')[2]}{slash}{path}"


def without_wildcards(pattern: str) -> tuple[str, str]:
    """The folder below which a remote pattern looks, and the options behind its question mark."""
    address, question_mark, options = pattern.partition("?")
    wildcard = _WILDCARD.search(address)
    folder = address if wildcard is None else address[: address.rindex("/", 0, wildcard.start())]
    return folder, f"{question_mark}{options}"


def matches(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern means: `*` stays inside a name, `**` is any number of folders."""
    return _match(path.strip("/").split("/"), pattern.strip("/").split("/"))


def _match(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not names
    first, *others = patterns
    if first == "**":
        return any(_match(names[start:], others) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], first) and _match(names[1:], others)


def is_hidden(path: str) -> bool:
    """Whether a file is no data of a folder: tools leave such names beside what they write."""
    return path.rpartition("/")[2].startswith(".")


def stream_of(path: str, streams: Iterable[StreamName]) -> StreamName | None:
    """The stream that a file's path names, as Airbyte's path template does: `…/namespace/stream/file`.

    Args:
        path: of the file.
        streams: those that there are. One without a namespace is named by its folder alone.
    """
    *folders, name = path.split("/")
    old = _OLD_LOCAL_NAME.match(name)
    places = [*folders, old[1]] if old else folders
    known = sorted(streams, key=lambda stream: stream[1] is None)  # a namespace says more
    for end in range(len(places), 0, -1):
        for stream in known:
            if places[end - 1] == stream[0] and (stream[1] is None or stream[1] in places[: end - 1][-1:]):
                return stream
    return None


def chosen_stream(wanted: str, streams: Iterable[StreamName]) -> StreamName:
    """The stream that `--stream` means: its name, or `namespace.name`.

    Raises:
        ConfigError: none, or more than one.
    """
    streams = list(streams)
    found = [stream for stream in streams if wanted in {stream[0], ".".join(filter(None, (stream[1], stream[0])))}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(".".join(filter(None, (namespace, name))) for name, namespace in (found or streams))
    if found:
        raise ConfigError(f'--stream "{wanted}" is the name of several streams of the catalog: name one of {names}.')
    raise ConfigError(f'--stream "{wanted}" is not in the catalog, which has {names or "no stream"}.')
