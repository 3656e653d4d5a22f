"""Milvus, and only `schema` beside it imports pymilvus: connecting, the collection, the calls of the commit procedure.

All reads are strong: a server's default, bounded staleness, hides rows that were just written. Every call has a
timeout: a hung server would otherwise block for ever. Retries of a call live in `_call` and nowhere else; all writes
are idempotent, so a call whose answer got lost is sent again.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import stamina

from destination_milvus import rows
from destination_milvus.columns import NO_COLUMNS, Choice
from destination_milvus.config import Config, Indexing, NoAuth, PasswordAuth, Tls, TokenAuth
from destination_milvus.errors import ConfigError, DestinationError, InternalError, ModelMismatch, TransientError
from destination_milvus.identity import chunk_key
from destination_milvus.milvus_errors import (
    described,
    is_collection_missing,
    is_denied,
    is_message_too_large,
    is_retryable,
    is_still_loading,
    translated,
)
from destination_milvus.model import PENDING, Head, Json, Plan, RecordKey, StoredRow, Vector
from destination_milvus.phases import Upserts, phases
from destination_milvus.schema import (
    Found,
    Server,
    collection_indexes,
    collection_schema,
    computed_fields,
    found_fields,
    full_text_field,
    max_bytes,
    new_partition_key,
    schema_problems,
    typed_columns,
    warn_of_what_is_missing,
)
from destination_milvus.upsert_request import NotPackable, fill

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    Client: TypeAlias = MilvusClient
    """A connection, as `connect` makes it."""

T = TypeVar("T")
logger = logging.getLogger("airbyte.milvus")

MODEL_PROPERTY = "destination_milvus.embedding_model"
"""Collection property that names the model of its vectors."""

CALL_TIMEOUT = 120.0
"""Seconds for one call. Milvus Lite flushes for tens of seconds under its lock once it holds many rows."""

RETRY_SECONDS = 300.0
"""Longest time that a call is tried again, in which a server may restart."""

LOADING_TIMEOUT = CALL_TIMEOUT
"""Seconds after which a collection that is being loaded is asked how far it is."""

CONNECT_TIMEOUT = 20.0

READ_PAGE = 500
"""Whole rows a read: a strong read costs a server 0.2 s whatever its size, and so many stay below its 64 MiB."""

SWEEP_PAGE = 500
"""Records a round of the sweep; a query's window ends at 16,384 rows."""

ROWS_PAGE = 10_000
"""Rows a round where only their keys are read."""

EMBEDDED_ROWS_PAGE = 1_000_000
"""The same of Milvus Lite, which knows no window, holds its rows in this process, and looks at each for every query."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection is, as far as it matters here."""

    name: str
    layout: rows.Layout
    dimensions: int
    metric_type: str
    """Empty where the index is still to be made: the sync that created the collection got no further."""
    model: str | None
    """Identity of the embedding model; None where nobody has noted it."""
    no_key: Json
    """What a primary key could be and none is."""
    columns: frozenset[str]
    """Fields of the schema; all others are dynamic."""
    found: Found
    """What it may have besides."""


# --- connecting -------------------------------------------------------------------------------------------------------


def is_embedded(host: str) -> bool:
    """Whether the address is a Milvus Lite database on this machine."""
    return host.endswith(".db") and "://" not in host


def is_new_database(indexing: Indexing) -> bool:
    """Whether the address is a Milvus Lite database that the first sync will create.

    Raises:
        ConfigError: its folder does not exist or may not be written.
    """
    return is_embedded(indexing.host) and not _database_path(indexing.host).exists()


def connect(indexing: Indexing, *, timeout: float = CONNECT_TIMEOUT) -> MilvusClient:
    """A client on a connection of its own; the collection, where it is embedded, shows every row once.

    Raises:
        ConfigError: address, credentials or database are wrong.
        TransientError: nobody answers.
    """
    # gRPC's C core writes addresses and handshake failures straight to stderr, and credentials if it is asked to trace
    os.environ["GRPC_VERBOSITY"] = "NONE"
    from pymilvus import MilvusClient  # noqa: PLC0415 - 2 s that spec must not pay

    # its import configures logging: with tracebacks, which quote rows
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
    try:
        with _tls_options(indexing.tls) as tls_options:
            # dedicated: pymilvus shares channels by address and token, whatever their TLS options
            client = MilvusClient(
                uri=_uri(indexing),
                db_name=indexing.db,
                timeout=timeout,
                dedicated=True,
                **_credentials(indexing),
                **tls_options,
            )
    except DestinationError:
        raise
    except Exception as error:
        raise translated(error, indexing) from error
    _pack_by_columns(client)
    if is_embedded(indexing.host):
        try:
            _mend_doubled_rows(client, indexing)
        except BaseException:
            client.close()
            raise
    return client


@contextmanager
def held(indexing: Indexing) -> Iterator[None]:
    """Let go of a Milvus Lite database at the end, unless it was open before: other processes can have it then."""
    if not is_embedded(indexing.host):
        yield
        return
    from milvus_lite.server_manager import server_manager_instance as servers  # noqa: PLC0415 - as pymilvus does

    path = _uri(indexing)
    was_open = path in servers._servers  # noqa: SLF001 - nothing else tells
    try:
        yield
    finally:
        if not was_open:
            servers.release_server(path)


def _mend_doubled_rows(client: MilvusClient, indexing: Indexing) -> None:
    """Write the rows anew that an embedded collection shows twice.

    Milvus Lite 3.2.2 that was killed in a flush, between the commit of its manifest and the removal of its log, finds
    the log's rows in a segment too, under the same sequence numbers, and keeps both. A flush would hide that, but not
    where opening the collection has compacted the segment away, as it does with every fourth small one: then it
    stays. A row that is written has a newer number than both.

    Raises:
        DestinationError: Milvus Lite fails.
    """
    if next(_database_path(indexing.host).rglob("wal_*.arrow"), None) is None:
        return  # the log is gone: whoever had the database last has closed it
    name = indexing.collection
    try:
        description = client.describe_collection(name, timeout=CALL_TIMEOUT)
        key = next(field["name"] for field in description["fields"] if field.get("is_primary"))
        client.load_collection(name, timeout=RETRY_SECONDS, _async=True)  # it has loaded when it answers
        times = Counter(raw[key] for raw in client.query(name, filter="", output_fields=[key], timeout=CALL_TIMEOUT))
        doubled = [primary_key for primary_key, number in times.items() if number > 1]
        computed = computed_fields(description)
        for start in range(0, len(doubled), READ_PAGE):
            page = doubled[start : start + READ_PAGE]
            found = client.get(name, ids=page, output_fields=["*"], timeout=CALL_TIMEOUT)
            whole = [{field: value for field, value in raw.items() if field not in computed} for raw in found]
            client.upsert(name, whole, timeout=CALL_TIMEOUT)
    except Exception as error:
        if not is_collection_missing(error):
            raise translated(error, indexing) from error


def _pack_by_columns(client: MilvusClient) -> None:
    """Let the connection make its upsert requests by columns.

    A version of pymilvus that makes them elsewhere does so by rows: more slowly, and with the same result.
    """
    connection = client._get_connection()  # noqa: SLF001 - its requests are made nowhere else
    by_rows = getattr(connection, "_prepare_row_upsert_request", None)
    if by_rows is None:
        return

    def by_columns(collection: str, rows: list[Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - pymilvus'
        request = by_rows(collection, rows[:1], *arguments, **options)
        try:
            fill(request, rows)
        except NotPackable:
            return by_rows(collection, rows, *arguments, **options)
        return request

    connection._prepare_row_upsert_request = by_columns  # noqa: SLF001


def _uri(indexing: Indexing) -> str:
    host = indexing.host
    if is_embedded(host):
        return str(_database_path(host))
    return host if "://" in host else f"http://{host}"


def _database_path(host: str) -> Path:
    path = Path(host).expanduser().resolve()
    if not path.parent.is_dir():
        raise ConfigError(
            f"indexing.host is the Milvus Lite database {host}, but its folder {path.parent} does not exist: create it."
        )
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"indexing.host is the Milvus Lite database {host}, but {path.parent} may not be written to.")
    return path


def _credentials(indexing: Indexing) -> dict[str, Any]:
    auth = indexing.auth
    if isinstance(auth, TokenAuth):
        return {"token": auth.token.get_secret_value()}
    if isinstance(auth, PasswordAuth):
        return {"user": auth.username, "password": auth.password.get_secret_value()}
    assert isinstance(auth, NoAuth)  # noqa: S101 - exhaustive
    return {}


@contextmanager
def _tls_options(tls: Tls | None) -> Iterator[dict[str, Any]]:
    """Options for the client; pymilvus reads certificates from files, and only while it connects."""
    if tls is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="milvus-tls-") as folder:  # mode 0700

        def file(name: str, content: str) -> str:
            path = Path(folder) / name
            path.write_text(content)
            return str(path)

        options: dict[str, Any] = {"secure": True, "server_name": tls.server_name}
        if tls.client_certificate:
            options["client_pem_path"] = file("client.pem", tls.client_certificate)
            options["client_key_path"] = file("client.key", tls.client_key.get_secret_value())
            # without an authority pymilvus would not show the client's certificate, and say nothing
            options["ca_pem_path"] = file("ca.pem", tls.ca_certificate or _default_authorities())
        elif tls.ca_certificate:
            # what pymilvus calls the server's certificate is what it trusts where the client shows none
            options["server_pem_path"] = file("ca.pem", tls.ca_certificate)
        yield options


def _default_authorities() -> str:
    """What gRPC trusts where it is told nothing."""
    configured = os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    return (Path(configured) if configured else files("grpc") / "_cython/_credentials/roots.pem").read_text()


def find_server(client: MilvusClient, indexing: Indexing) -> Server:
    """What answers at the address, asked.

    Raises:
        DestinationError: nobody answers.
    """
    try:
        version = client.get_server_version(timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error
    return Server(described(indexing.host), str(version), embedded=is_embedded(indexing.host))


# --- the collection ---------------------------------------------------------------------------------------------------


def find_collection(client: MilvusClient, config: Config) -> Collection | None:
    """The configured collection; None where it does not exist yet.

    Raises:
        ConfigError: it exists and cannot be used; every reason is named.
    """
    indexing = config.indexing
    description = _description(client, indexing)
    if description is None:
        return None
    fields = {field["name"]: field for field in description["fields"]}
    problems = list(schema_problems(description, config))
    if problems:
        raise ConfigError(
            f'The collection "{indexing.collection}" exists but cannot be used: {"; ".join(problems)}. '
            "Name another collection, or adapt the configuration."
        )
    key = next(field for field in description["fields"] if field.get("is_primary"))
    auto_id = bool(description.get("auto_id"))
    layout = rows.Layout(
        key_field=key["name"],
        auto_id=auto_id,
        vector_field=indexing.vector_field,
        text_field=None if config.omit_raw_text else indexing.text_field,
        dynamic=frozenset({*rows.SYSTEM_FIELDS, indexing.text_field} - fields.keys()),
        record_id_bytes=max_bytes(fields.get(rows.RECORD_ID)),
        merges_upserts=is_embedded(indexing.host) and not auto_id,
        computed=frozenset(computed_fields(description)),
    )
    model = (description.get("properties") or {}).get(MODEL_PROPERTY)
    return Collection(
        name=indexing.collection,
        layout=layout,
        dimensions=int(fields[indexing.vector_field]["params"]["dim"]),
        metric_type=_metric(client, indexing, is_ours=model is not None),
        model=model,
        no_key="no such key" if key["type"].name == "VARCHAR" else -1,
        columns=frozenset(fields),
        found=found_fields(description, layout.text_field, layout.reserved),
    )


def _description(client: MilvusClient, indexing: Indexing) -> Mapping[str, Any] | None:
    try:
        description: Mapping[str, Any] = client.describe_collection(indexing.collection, timeout=CONNECT_TIMEOUT)
    except Exception as error:
        if not is_collection_missing(error):
            raise translated(error, indexing) from error
    else:
        return description
    try:
        # a server answers the same where the database does not exist; this call tells
        client.list_collections(timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error
    return None


def _metric(client: MilvusClient, indexing: Indexing, *, is_ours: bool) -> str:
    try:
        names = client.list_indexes(indexing.collection, indexing.vector_field)
        described = client.describe_index(indexing.collection, names[0], timeout=CONNECT_TIMEOUT) if names else None
    except Exception as error:
        raise translated(error, indexing) from error
    if not described and is_ours:
        return ""
    if not described:
        raise ConfigError(
            f'The vector field "{indexing.vector_field}" of the collection "{indexing.collection}" has no index, and '
            "Milvus cannot search without one: create it."
        )
    return str(described.get("metric_type", ""))


def require_model(
    collection: Collection, *, identity: str, dimensions: int, named: bool, is_empty: Callable[[], bool]
) -> None:
    """Refuse to mix the vectors of two models, or of two lengths, in one collection.

    Args:
        collection: as found.
        identity: of the configured model.
        dimensions: of its vectors.
        named: whether the configuration names the model, rather than leaving it to the default.
        is_empty: asks whether the collection has rows; called only where its model is unknown.

    Raises:
        ModelMismatch: they would mix.
    """
    name = collection.name
    if collection.model is not None and collection.model != identity:
        raise ModelMismatch(
            f'The collection "{name}" holds vectors of the model {collection.model}, and the configuration asks for '
            f"{identity}. Vectors of two models cannot be compared: configure that model, or another collection."
        )
    if collection.dimensions != dimensions:
        raise ModelMismatch(
            f'The vectors of the collection "{name}" have {collection.dimensions} dimensions, and those of {identity} '
            f"have {dimensions}: configure the model that filled the collection, or another collection."
        )
    if collection.model is None and not named and not is_empty():
        raise ModelMismatch(
            f'The collection "{name}" holds vectors of a model that is not recorded, and the configuration names '
            "none. Set embedding.model to the model that filled it (Airbyte's own connector uses "
            "text-embedding-ada-002), or name another collection. What that connector filled with Cohere is of a model "
            "that Cohere has retired: name another collection, and sync everything into it."
        )


def is_empty(client: MilvusClient, collection: str, indexing: Indexing) -> bool:
    """Whether a collection has no rows."""
    try:
        client.load_collection(collection, timeout=CALL_TIMEOUT)
        counted = client.query(
            collection, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=CALL_TIMEOUT
        )
    except Exception as error:
        raise translated(error, indexing) from error
    return int(counted[0]["count(*)"]) == 0


def require_partitions(client: MilvusClient, collection: Collection, indexing: Indexing) -> None:
    """Refuse a collection with a partition key on a server that would hide its updated rows.

    Raises:
        ConfigError: it is one.
    """
    if collection.found.partition_key is None or collection.layout.auto_id:
        return  # rows of such collections are inserted, never upserted
    server = find_server(client, indexing)
    if not server.keeps_partitions:
        raise ConfigError(
            f'The collection "{collection.name}" has the partition key "{collection.found.partition_key}", and '
            f"{server.where} has the version {server.version or 'unknown'}: before 2.5 updated rows go into partitions "
            "where they are not found. Name a collection without a partition key, or update Milvus."
        )


def require_write_permission(client: MilvusClient, collection: Collection, indexing: Indexing) -> None:
    """Delete a row that cannot exist: it changes nothing, and a user who may only read is refused.

    Raises:
        ConfigError: the user may not write.
    """
    condition = f"{collection.layout.key_field} in {rows.literals([collection.no_key])}"
    try:
        client.delete(collection.name, filter=condition, timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error


def create_collection(client: MilvusClient, config: Config, *, dimensions: int, model: str, choice: Choice) -> None:
    """Create the collection of the architecture, with what the configuration asks for and the server can.

    Raises:
        ConfigError: Milvus refuses the schema, or the user may not create collections.
    """
    indexing = config.indexing
    server = find_server(client, indexing)
    sparse_field = full_text_field(config, server)
    columns = typed_columns(config, server, choice)
    partition = new_partition_key(config, server)
    try:
        client.create_collection(
            indexing.collection,
            schema=collection_schema(
                config, dimensions=dimensions, sparse_field=sparse_field, columns=columns, partition=partition
            ),
            consistency_level="Strong",
            properties={MODEL_PROPERTY: model},
            timeout=CALL_TIMEOUT,
        )
    except Exception as error:
        raise translated(error, indexing) from error
    logger.info('Created the collection "%s" for vectors of %s.', indexing.collection, model)


def create_indexes(client: MilvusClient, indexing: Indexing, collection: Collection) -> None:
    """Create the indexes of a collection that has no rows, without waiting for them.

    Raises:
        ConfigError: Milvus refuses an index.
    """
    indexes = collection_indexes(indexing, collection.found, embedded=is_embedded(indexing.host))
    try:
        client.create_index(indexing.collection, indexes, timeout=CALL_TIMEOUT, sync=False)
    except Exception as error:
        failure = translated(error, indexing)
        if isinstance(failure, InternalError):  # a refusal, for which Milvus has no code of its own
            raise ConfigError(
                f"Milvus refuses an index of the type {indexing.index_type} with the metric {indexing.metric_type} on "
                f'the vectors of the collection "{indexing.collection}": check indexing.index_type, '
                "indexing.metric_type and indexing.index_params against what this version of Milvus has."
            ) from error
        raise failure from error


def open_store(
    client: MilvusClient,
    config: Config,
    *,
    model: str,
    dimensions: int,
    named: bool,
    choice: Choice = NO_COLUMNS,
) -> MilvusStore:
    """The configured collection, created if it is missing, ready to be written; being loaded, to be read.

    Raises:
        ConfigError: it cannot be used, or holds vectors of another model.
    """
    indexing = config.indexing
    collection = find_collection(client, config)
    is_new = collection is None
    if collection is None:
        create_collection(client, config, dimensions=dimensions, model=model, choice=choice)
        collection = find_collection(client, config)
        if collection is None:
            raise TransientError(
                f'The collection "{indexing.collection}" was created and is gone: does something else drop it?'
            )
    else:
        require_partitions(client, collection, indexing)
        warn_of_what_is_missing(config, collection.name, collection.found)
    require_model(
        collection,
        identity=model,
        dimensions=dimensions,
        named=named,
        is_empty=lambda: is_empty(client, collection.name, indexing),
    )
    if not collection.metric_type:
        create_indexes(client, indexing, collection)
    try:
        # a server takes 2 s to load even an empty collection, and rows can be written meanwhile
        client.load_collection(collection.name, timeout=CALL_TIMEOUT, _async=True)
    except Exception as error:
        raise translated(error, indexing) from error
    if collection.model is None:
        note_model(client, collection, indexing, model)
    return MilvusStore(client, indexing, collection, is_new=is_new)


def note_model(client: MilvusClient, collection: Collection, indexing: Indexing, model: str) -> None:
    """Note in the collection which model its vectors are of.

    A user who may write but not alter it goes on without: what keeps models apart is then the configuration alone.
    """
    try:
        client.alter_collection_properties(collection.name, {MODEL_PROPERTY: model}, timeout=CALL_TIMEOUT)
    except Exception as error:
        if not is_denied(error):
            raise translated(error, indexing) from error
        logger.warning(
            'The user of indexing.auth may not note in the collection "%s" which model its vectors are of, so nothing '
            "but the configuration keeps another model out. Somebody who may create collections can note it once: "
            'alter_collection_properties("%s", {"%s": "%s"}).',
            collection.name,
            collection.name,
            MODEL_PROPERTY,
            model,
        )


# --- the calls of the commit procedure --------------------------------------------------------------------------------


class _Requests(threading.local):
    """How many requests a thread has made, those included that pymilvus repeats by itself."""

    made = 0


def _counted_inserts(client: MilvusClient) -> _Requests:
    """A count of the insert requests that a connection makes from now on.

    A version of pymilvus that makes them elsewhere leaves it at 0: then no insert is known to have been sent just once.
    """
    connection = client._get_connection()  # noqa: SLF001 - its requests are made nowhere else
    prepare = getattr(connection, "_prepare_row_insert_request", None)
    requests = _Requests()
    if prepare is not None:

        def counted(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - pymilvus'
            requests.made += 1
            return prepare(*arguments, **options)

        connection._prepare_row_insert_request = counted  # noqa: SLF001
    return requests


class MilvusStore:
    """A collection, as a `VectorStore`. Safe to use from several threads."""

    def __init__(self, client: MilvusClient, indexing: Indexing, collection: Collection, *, is_new: bool) -> None:
        self.is_new = is_new
        """Whether it was created just now: nothing is stored that could be looked up."""
        self._client = client
        self._inserts = _counted_inserts(client)
        self._indexing = indexing
        self._name = collection.name
        self._layout = collection.layout
        self._found = collection.found
        self._generation_is_dynamic = rows.GENERATION not in collection.columns
        # Milvus Lite has one writer a collection
        embedded = is_embedded(indexing.host)
        self._writing: AbstractContextManager[Any] = threading.Lock() if embedded else nullcontext()
        self._loading = threading.Lock()
        self._is_loaded = False

    @property
    def layout(self) -> rows.Layout:
        """How its rows look."""
        return self._layout

    @property
    def found(self) -> Found:
        """Which optional fields it has."""
        return self._found

    def load(self) -> None:
        """Wait until the collection can be read and searched; at once where it can.

        A large one takes its time: as long as it gets on, however long that is.

        Raises:
            DestinationError: Milvus cannot load it, or has not got on with it for `RETRY_SECONDS`.
        """
        with self._loading:
            progress, since = -1, time.monotonic()
            while not self._is_loaded:
                failure = self._load()
                if failure is None:
                    self._is_loaded = True
                    return
                state = self._call(lambda: self._client.get_load_state(self._name, timeout=CALL_TIMEOUT))
                now = state.get("progress", 0)
                if now > progress:
                    progress, since = now, time.monotonic()
                elif time.monotonic() - since > RETRY_SECONDS:
                    raise failure

    def _load(self) -> _StillLoading | None:
        try:
            self._call(lambda: self._client.load_collection(self._name, timeout=LOADING_TIMEOUT))
        except _StillLoading as failure:
            return failure
        return None

    def heads(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        """The head rows of those records that have one; with `auto_id`, all rows of a record vouch for it together."""
        if self._layout.auto_id:
            fields = [rows.STREAM, rows.RECORD_ID, rows.CHUNK, rows.CHUNKS, rows.FINGERPRINT]
            return {key: _head_of_rows(found) for key, found in self._rows_by_record(keys, fields).items()}
        by_primary_key = {chunk_key(key, 0): key for key in keys}
        fields = [self._layout.key_field, rows.FINGERPRINT, rows.CHUNKS]
        return {
            by_primary_key[raw[self._layout.key_field]]: Head(raw.get(rows.FINGERPRINT) or PENDING, raw[rows.CHUNKS])
            for raw in self._get(list(by_primary_key), fields, ROWS_PAGE)
        }

    def rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """Rows 0 … count-1 of each record, whole, by number; absent ones tolerated."""
        if self._layout.auto_id:
            several = {key.record_id for key, count in counts.items() if count > 1}
            found = self._rows_by_record(counts, ["*"], several)
            return {key: dict(enumerate(self._stored(raw) for raw in raws)) for key, raws in found.items()}
        wanted = [chunk_key(key, number) for key, count in counts.items() for number in range(count)]
        stored: dict[RecordKey, dict[int, StoredRow]] = {}
        for raw in self._get(wanted, ["*"]):
            row = self._stored(raw)
            stored.setdefault(rows.record_of(raw), {})[row.number] = row
        return stored

    def apply(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """Carry out a plan: every phase is acknowledged before the next starts, heads last."""
        if self._layout.auto_id:
            self._replace(plan, vectors)
            return
        for phase in phases(plan, vectors, self._layout):
            if isinstance(phase, Upserts):
                self._upsert(phase.entities)
            else:
                self._delete(phase.primary_keys)

    def has_rows(self, stream: str) -> bool:
        """Whether anything is stored of a stream."""
        return bool(self._query(rows.stream_filter(stream), [self._layout.key_field], limit=1))

    def lowest_generation(self, stream: str) -> int:
        """Lowest generation stored for a stream; 0 where none is below that."""
        lowest = 0
        while True:
            # a server of version 2.3 has no min(): climb down, one read for each generation that is stored
            below = self._query(rows.before_filter(stream, lowest), [rows.GENERATION], limit=1)
            if not below:
                return lowest
            lowest = int(below[0][rows.GENERATION])

    def sweep(self, stream: str, generation: int, minimum: int, *, keyed: bool) -> int:
        """Delete what older generations left, and rows that no head vouches for; returns how many records went.

        By heads and not by the generation of each row: that would leave rows without a head when it is interrupted,
        and take rows from a record that did not change and whose head alone was renewed. Where no record can have rows
        of two generations, or none of an older one is to stay, it is by the generation, and 0 are told.
        """
        stale_rows = rows.stale_rows_filter(stream, generation, minimum, dynamic=self._generation_is_dynamic)
        if self._layout.auto_id or (not keyed and minimum >= generation):
            self._delete_matching(stale_rows)
            return 0
        swept = self._sweep_heads(stream, rows.stale_heads_filter(stream, generation, minimum))
        self._sweep_rows_without_head(stream, stale_rows)
        return swept

    def _sweep_heads(self, stream: str, stale: str) -> int:
        """Take out the records of these heads, page by page, each head after its other rows."""
        key_field = self._layout.key_field
        swept, before = 0, frozenset[str]()
        while heads := self._query(stale, [key_field, rows.STREAM, rows.RECORD_ID, rows.CHUNKS], SWEEP_PAGE):
            page = frozenset(raw[key_field] for raw in heads)
            self._require_progress(stream, page, before)
            # a head that was copied under another key stands for no other rows: those are the original's
            self._delete(
                chunk_key(rows.record_of(raw), number)
                for raw in heads
                if raw[key_field] == chunk_key(rows.record_of(raw), 0)
                for number in range(1, int(raw[rows.CHUNKS]))
            )
            self._delete(page)
            swept, before = swept + len(page), page
        return swept

    def _sweep_rows_without_head(self, stream: str, stale: str) -> None:
        """Take out of these rows those that no head vouches for: once no head is stale, all heads are of today.

        What is vouched for stays and is found again by every query, so that pages are ranges of the primary key.
        """
        key_field = self._layout.key_field
        page = EMBEDDED_ROWS_PAGE if is_embedded(self._indexing.host) else ROWS_PAGE
        fields = [key_field, rows.STREAM, rows.RECORD_ID, rows.CHUNK]
        ranges, before = [rows.KeyRange()], frozenset[str]()
        while ranges:
            keys = ranges.pop()
            found = self._query(f"{stale} and {keys.filter(key_field)}", fields, page)
            records = {rows.record_of(raw) for raw in found if raw.get(rows.RECORD_ID) is not None}
            chunks = {record: head.chunks for record, head in self.heads(records).items()}
            unvouched = frozenset(raw[key_field] for raw in found if not rows.is_vouched_for(raw, chunks, self._layout))
            self._require_progress(stream, unvouched, before)
            self._delete(unvouched)
            before = unvouched
            if len(found) == page:
                ranges += [keys] if unvouched else keys.split()

    def _require_progress(self, stream: str, page: frozenset[str], before: frozenset[str]) -> None:
        """Refuse to delete for ever what comes back each time."""
        if page & before:
            raise TransientError(
                f'Sweeping stream "{stream}" makes no progress: {described(self._indexing.host)} acknowledges the '
                "deletion of rows of older generations, and still has them. Check its health, then sync again."
            )

    def _stored(self, raw: Mapping[str, Json]) -> StoredRow:
        return rows.stored_row(raw, self._layout)

    def _replace(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """The plan where Milvus makes the keys: all rows of a new version go in, then every other row of it goes out.

        An insert that was sent again may have been applied before; the rows that nobody acknowledged go out with the
        old ones. Append has no old ones: there its records are looked up only after such an insert.
        """
        doubtful: set[RecordKey] = set()
        acknowledged: dict[RecordKey, set[Json]] = {removal.key: set() for removal in plan.removals}
        new = [
            (write.upsert.key, rows.self_contained(write, number, vectors, self._layout))
            for write in plan.writes
            for number in range(len(write.chunks))
        ]
        owners = iter([key for key, _ in new])
        for portion in rows.calls([row for _, row in new], self._layout.vector_field):
            before = self._inserts.made
            answer = self._write(self._client.insert, portion)
            once = self._inserts.made == before + 1
            for primary_key, owner in zip(answer["ids"], owners, strict=False):
                acknowledged.setdefault(owner, set()).add(primary_key)
                if not once:
                    doubtful.add(owner)
        keys = (write.upsert.key for write in plan.writes if write.upsert.lookup or write.upsert.key in doubtful)
        fields = [self._layout.key_field, rows.STREAM, rows.RECORD_ID]
        found = self._rows_by_record([*keys, *(removal.key for removal in plan.removals)], fields)
        self._delete(
            raw[self._layout.key_field]
            for key, raws in found.items()
            for raw in raws
            if raw[self._layout.key_field] not in acknowledged[key]
        )

    def _rows_by_record(
        self, keys: Iterable[RecordKey], fields: list[str], several: set[str] | None = None
    ) -> dict[RecordKey, list[Mapping[str, Json]]]:
        """Rows found by stream and record id: for collections whose keys Milvus makes.

        In the order of their chunks, where those are among the fields. Of records that are not among `several`, where
        that is given, the first row.
        """
        by_stream: dict[str, list[str]] = {}
        for key in keys:
            by_stream.setdefault(key.stream, []).append(key.record_id)
        found: dict[RecordKey, list[Mapping[str, Json]]] = {}
        for stream, record_ids in by_stream.items():
            for raw in self._paged(record_ids, partial(self._query_records, stream, fields, several)):
                found.setdefault(rows.record_of(raw), []).append(raw)
        return {key: sorted(raws, key=lambda raw: int(raw.get(rows.CHUNK) or 0)) for key, raws in found.items()}

    def _query_records(
        self, stream: str, fields: list[str], several: set[str] | None, record_ids: Sequence[str]
    ) -> Sequence[Mapping[str, Json]]:
        whole = record_ids if several is None else several
        return self._query(rows.first_rows_filter(stream, record_ids, whole), fields)

    def _get(
        self, primary_keys: Sequence[str], fields: list[str], page_size: int = READ_PAGE
    ) -> Iterator[Mapping[str, Json]]:
        return self._paged(
            primary_keys,
            lambda page: self._read(
                lambda: self._client.get(
                    self._name,
                    ids=list(page),
                    output_fields=fields,
                    consistency_level="Strong",
                    timeout=CALL_TIMEOUT,
                )
            ),
            page_size,
        )

    def _paged(
        self,
        items: Sequence[str],
        read: Callable[[Sequence[str]], Sequence[Mapping[str, Json]]],
        page_size: int = READ_PAGE,
    ) -> Iterator[Mapping[str, Json]]:
        """Read in pages; one whose answer may be too large is read in halves.

        Where that is not the limit of a message but one of the server's own (`quotaAndLimits.limits.maxOutputSize`),
        each version says so in other words and under another code: every refusal without a meaning counts.
        """
        pages = [items[start : start + page_size] for start in range(0, len(items), page_size)]
        while pages:
            page = pages.pop(0)
            try:
                yield from read(page)
            except (_MessageTooLarge, InternalError):
                if len(page) == 1:
                    raise
                pages[:0] = [page[: len(page) // 2], page[len(page) // 2 :]]

    def _query(self, query_filter: str, fields: list[str], limit: int | None = None) -> Sequence[Mapping[str, Json]]:
        limits = {} if limit is None else {"limit": limit}
        return self._read(
            lambda: self._client.query(
                self._name,
                filter=query_filter,
                output_fields=fields,
                consistency_level="Strong",
                timeout=CALL_TIMEOUT,
                **limits,
            )
        )

    def _upsert(self, entities: Iterable[Mapping[str, Json]]) -> None:
        for portion in rows.calls(list(entities), self._layout.vector_field):
            self._write(self._client.upsert, portion)

    def _delete(self, primary_keys: Iterable[Json]) -> None:
        remaining = list(primary_keys)
        for start in range(0, len(remaining), rows.MAX_ROWS_A_CALL):
            self._write(self._client.delete, ids=remaining[start : start + rows.MAX_ROWS_A_CALL])

    def _delete_matching(self, query_filter: str) -> None:
        self._write(self._client.delete, filter=query_filter)

    def _write(self, call: Callable[..., Any], *data: Json, **selection: Json) -> Any:  # noqa: ANN401 - pymilvus' answers
        with self._writing:
            return self._call(lambda: call(self._name, *data, timeout=CALL_TIMEOUT, **selection))

    def _read(self, call: Callable[[], T]) -> T:
        self.load()
        return self._call(call)

    def _call(self, call: Callable[[], T]) -> T:
        """One call, tried again while the server is away or overloaded.

        Raises:
            DestinationError: it failed for good.
        """
        for attempt in stamina.retry_context(
            on=is_retryable, attempts=None, timeout=RETRY_SECONDS, wait_initial=0.2, wait_max=10.0
        ):
            with attempt:
                return self._once(call)
        raise AssertionError("stamina ends with a result or an exception")

    def _once(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            failure = translated(error, self._indexing)
            if is_message_too_large(error):
                raise _MessageTooLarge(failure.message) from error
            if is_still_loading(error):
                raise _StillLoading(failure.message) from error
            raise failure from error


class _MessageTooLarge(TransientError):
    """An answer exceeds the limit of a message."""


class _StillLoading(TransientError):
    """A collection was not loaded in time; it goes on being loaded."""


def _head_of_rows(found: Sequence[Mapping[str, Json]]) -> Head:
    """What the rows of a record say together: complete only if they are exactly the rows of one version."""
    fingerprints = {raw.get(rows.FINGERPRINT) or PENDING for raw in found}
    numbers = [raw.get(rows.CHUNK) for raw in found]
    whole = numbers == list(range(len(found))) and found[0].get(rows.CHUNKS) == len(found)
    exact = whole and len(fingerprints) == 1
    return Head(fingerprints.pop() if exact else PENDING, len(found))
