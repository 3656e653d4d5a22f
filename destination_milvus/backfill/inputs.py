"""Files of this machine or of object storage: found by pattern, opened, read line by line or row by row.

pyarrow is imported for object storage and for Parquet, and only then.
"""

from __future__ import annotations

import errno
import glob
import gzip
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from destination_milvus.backfill.forms import EXTRACTED_AT, Wrong, from_arrow
from destination_milvus.backfill.patterns import is_hidden, matches, scheme_of, shown, without_wildcards
from destination_milvus.errors import ConfigError, DestinationError, TransientError
from destination_milvus.model import Json
from destination_milvus.protocol.exact_json import read, read_exactly

if TYPE_CHECKING:
    import pyarrow as pa

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
OTHERS = {b"Obj\x01": "Avro", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "ZIP", b"BZh": "bzip2", b"ORC": "ORC"}
"""How formats begin that are not read."""

BUFFER = 8 * 1024 * 1024
"""Bytes a read: each is a request where the file lies in object storage."""

AGAIN = "what is stored already is found unchanged, and costs nothing."

ROWS = 1_000
"""Of a Parquet file at a time."""


class Line(NamedTuple):
    """One object of a file."""

    number: int
    """From 1; of a Parquet file, the row."""
    loaded: Mapping[str, Json]
    size: int
    """Bytes, about."""
    text: bytes
    """As it stands; empty for a row of a Parquet file."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that exists."""

    path: str
    """For people: without credentials."""
    size: int
    """Bytes, as stored."""
    open: Callable[[], BinaryIO] = field(compare=False, repr=False)

    def place(self, line: int) -> str:
        """A line of it, in words."""
        return f"{self.path}, line {line}"


def find_files(patterns: list[str]) -> list[InputFile]:
    """The files that patterns mean: each once, those of the first pattern first, each pattern's in order of names.

    Raises:
        ConfigError: a pattern means none, or needs a library that is not installed, or credentials.
    """
    found: dict[str, InputFile] = {}
    for pattern in patterns:
        files = _local(pattern) if scheme_of(pattern) is None else _remote(pattern)
        if not files:
            raise ConfigError(
                f"--input {shown(pattern)} matches no file. `*` stands for anything inside a name, `**` for "
                "any folders; put the pattern in quotes, so that the shell leaves it alone."
            )
        found |= {file.path: file for file in files if file.path not in found}
    return list(found.values())


def _local(pattern: str) -> list[InputFile]:
    path = Path(pattern.removeprefix("file://")).expanduser()
    if path.is_dir():
        paths = [each for each in sorted(path.rglob("*")) if not is_hidden(each.name)]
    elif path.exists():
        paths = [path]  # it may have brackets in its name
    else:
        paths = [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - it may be absolute
    return [_local_file(each) for each in paths if each.is_file()]


def _local_file(path: Path) -> InputFile:
    return InputFile(str(path), path.stat().st_size, lambda: path.open("rb"))


def _remote(pattern: str) -> list[InputFile]:
    require_pyarrow(f"--input {shown(pattern)}")
    from pyarrow import fs  # noqa: PLC0415 - see above

    folder, options = without_wildcards(pattern)
    prefix = f"{pattern.partition('://')[0]}://"
    with _storage_errors(shown(pattern)):
        system, base = fs.FileSystem.from_uri(folder + options)
        info = system.get_file_info(base)
        if info.type == fs.FileType.File:
            return [_remote_file(system, info, prefix)]
        infos = system.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    is_folder = folder == pattern.partition("?")[0]
    wanted = base + pattern.partition("?")[0][len(folder) :]
    return [
        _remote_file(system, each, prefix)
        for each in sorted(infos, key=lambda each: each.path)
        if each.type == fs.FileType.File and (not is_hidden(each.path) if is_folder else matches(each.path, wanted))
    ]


def _remote_file(system: Any, info: Any, prefix: str) -> InputFile:  # noqa: ANN401 - pyarrow's own
    place = str(info.path)  # what opens it goes to other processes, which pyarrow's own description cannot
    path = prefix + place

    def opened() -> BinaryIO:
        with _storage_errors(path):
            return cast("BinaryIO", system.open_input_file(place))

    return InputFile(path, int(info.size or 0), opened)


def require_pyarrow(what: str) -> None:
    """Find out that pyarrow is needed and missing.

    Raises:
        ConfigError: it is: the connector is installed without its extra `backfill`.
    """
    if find_spec("pyarrow") is None:
        raise ConfigError(
            f"{what} is read by pyarrow, which is not installed: run pip install "
            "'airbyte-destination-milvus[backfill]'. JSONL files of this machine need nothing."
        )


_CREDENTIALS = (
    *("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID", "EXPIRED_TOKEN"),
    *(
        "Could not retrieve credentials",
        "Unauthenticated",
        "PermissionDenied",
        "AuthenticationFailed",
        "HTTP status 403",
    ),
)
_ABSENT = ("NO_SUCH_BUCKET", "bucket does not exist", "HTTP status 404", "ContainerNotFound")


@contextmanager
def _storage_errors(path: str) -> Iterator[None]:
    """What object storage says, in a sentence; its own words quote keys and requests."""
    try:
        yield
    except DestinationError:
        raise
    except Exception as error:
        text = str(error)
        if any(word.lower() in text.lower() for word in _CREDENTIALS):
            raise ConfigError(
                f"{path} may not be read: the credentials are missing or wrong, or lack the right to list and read it. "
                "They are taken from where each cloud's own tools take them: AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY or AWS_PROFILE for S3, "
                "GOOGLE_APPLICATION_CREDENTIALS for GCS, az login or AZURE_STORAGE_… for Azure."
            ) from error
        if any(word in text for word in _ABSENT) or isinstance(error, FileNotFoundError):
            raise ConfigError(f"{path} does not exist: check the name of its bucket, and of its region.") from error
        if isinstance(error, OSError):
            raise TransientError(
                f"{path} cannot be read now ({_reason(error)}). Run the same command again: {AGAIN}"
            ) from error
        raise ConfigError(f"{path} is no address that can be read ({type(error).__name__}).") from error


def _reason(error: OSError) -> str:
    known = errno.errorcode.get(error.errno or 0)
    return os.strerror(error.errno) if known and error.errno is not None else "the storage or the network failed"


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, raw: BinaryIO, path: str, count: Callable[[int], None]) -> None:
        self._raw, self._path, self._count = raw, path, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        with _storage_errors(self._path):
            data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._count(len(data))
        return len(data)

    def close(self) -> None:
        self._raw.close()
        super().close()


def lines(file: InputFile, count: Callable[[int], None] = lambda _: None) -> Generator[Line, None, None]:
    """The objects of a file, in their order; `count` hears of the bytes that were read of it.

    Raises:
        DestinationError: it cannot be read, is cut off or damaged, or is none of JSON lines or Parquet. What came
            before was yielded.
    """
    try:
        raw = file.open()
    except OSError as error:
        raise ConfigError(f"{file.path} cannot be read: {error.strerror or 'the system refuses it'}.") from error
    with closing(raw):
        start = _start(raw, file)
        if start.startswith(PARQUET):
            yield from _rows(raw, file, count)
            return
        for beginning, name in OTHERS.items():
            if start.startswith(beginning):
                raise ConfigError(
                    f"{file.path} is {name}, which is not read. JSON lines, gzip or not, and Parquet are."
                )
        with closing(io.BufferedReader(_Counted(raw, file.path, count), BUFFER)) as buffered:
            stream = gzip.GzipFile(fileobj=buffered) if start.startswith(GZIP) else buffered
            yield from _json_lines(cast("BinaryIO", stream), file)


def _start(raw: BinaryIO, file: InputFile) -> bytes:
    with _storage_errors(file.path):
        start = raw.read(4)
        raw.seek(0)
    return start


def _json_lines(stream: BinaryIO, file: InputFile) -> Iterator[Line]:
    number = 0
    while True:
        try:
            line = stream.readline()
        except EOFError as error:
            raise _cut_off(file, number + 1) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise ConfigError(
                f"{file.path} is damaged behind line {number}: it does not unpack as gzip. Replace it, or leave "
                f"it out, then run the same command again: {AGAIN}"
            ) from error
        if not line:
            return
        number += 1
        if line.strip():
            yield Line(number, _object(line, file, number), len(line), line)


def _object(line: bytes, file: InputFile, number: int) -> Mapping[str, Json]:
    loaded = read(line)
    if isinstance(loaded, dict):
        return loaded
    if not line.endswith(b"\n") and not _is_json(line):
        raise _cut_off(file, number)
    raise ConfigError(
        f"{file.place(number)}, is no JSON object: the file is damaged, or of another format. Mend the line, or "
        f"leave the file out, then run the same command again: {AGAIN}"
    )


def _is_json(line: bytes) -> bool:
    try:
        read_exactly(line)
    except (ValueError, RecursionError):
        return False
    return True


def _cut_off(file: InputFile, number: int) -> DestinationError:
    return ConfigError(
        f"{file.path} ends in the middle of line {number}: it was not written to its end. Replace it, or leave it "
        f"out, then run the same command again: {AGAIN}"
    )


def _rows(raw: BinaryIO, file: InputFile, count: Callable[[int], None]) -> Iterator[Line]:
    parquet = _parquet(raw, file)
    number, told = 0, 0
    total = max(1, parquet.metadata.num_rows)
    with _storage_errors(file.path):
        for batch in parquet.iter_batches(ROWS):
            size = batch.nbytes // max(1, batch.num_rows)
            for row in batch.to_pylist():
                number += 1
                yield Line(number, _json_row(row, file, number), size, b"")
            now = file.size * number // total
            count(now - told)
            told = now


def _json_row(row: Mapping[str, Json], file: InputFile, number: int) -> Mapping[str, Json]:
    try:
        # the moment of extraction stays one: it is no value of the record's
        return {name: value if name in EXTRACTED_AT else from_arrow(value) for name, value in row.items()}
    except Wrong as error:
        raise ConfigError(f"{file.path}, row {number}: {error}. Leave the column out, or write it as text.") from None


def _parquet(raw: BinaryIO, file: InputFile) -> Any:  # noqa: ANN401 - pyarrow's own
    require_pyarrow(file.path)
    from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415 - see above

    try:
        return parquet.ParquetFile(raw)
    except ArrowInvalid as error:
        raise ConfigError(
            f"{file.path} is no whole Parquet file: it was not written to its end, or is damaged. Replace it, or "
            f"leave it out, then run the same command again: {AGAIN}"
        ) from error


def columns(file: InputFile) -> list[str] | None:
    """The columns of a Parquet file; None for any other. Raises as `lines`."""
    with closing(file.open()) as raw:
        if _start(raw, file) != PARQUET:
            return None
        schema: pa.Schema = _parquet(raw, file).schema_arrow
        return list(schema.names)
