"""A connection to Milvus: the address, the credentials, TLS, and what answers there."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from destination_milvus.config.indexing import Indexing, NoAuth, PasswordAuth, Tls, TokenAuth
from destination_milvus.errors import DestinationError
from destination_milvus.milvus.address import database_path, is_embedded, needs_jieba, require_milvus_lite, uri
from destination_milvus.milvus.errors import translated
from destination_milvus.milvus.repairs import show_rows_once
from destination_milvus.milvus.upsert_request import pack_by_columns

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    Client: TypeAlias = MilvusClient
    """A connection, as `connect` makes it."""

CONNECT_TIMEOUT = 20.0
"""Seconds for a connection, and for a question about the server or the collection."""


def connect(indexing: Indexing, *, timeout: float = CONNECT_TIMEOUT) -> MilvusClient:
    """A client on a connection of its own; the collection, where it is embedded, shows every row once.

    Raises:
        ConfigError: address, credentials or database are wrong.
        TransientError: nobody answers.
    """
    require_milvus_lite(indexing)
    # gRPC's C core writes addresses and handshake failures straight to stderr, and credentials if it is asked to trace
    os.environ["GRPC_VERBOSITY"] = "NONE"
    from pymilvus import MilvusClient  # noqa: PLC0415 - 2 s that spec must not pay

    # its import configures logging: with tracebacks, which quote rows
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
    if is_embedded(indexing.host) and needs_jieba(indexing.full_text_analyzer):
        _import_jieba()
    try:
        with _tls_options(indexing.tls) as tls_options:
            # dedicated: pymilvus shares channels by address and token, whatever their TLS options
            client = MilvusClient(
                uri=uri(indexing),
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
    pack_by_columns(client)
    if is_embedded(indexing.host):
        try:
            show_rows_once(client, indexing, database_path(indexing.host))
        except BaseException:
            client.close()
            raise
    return client


def _import_jieba() -> None:
    """Import Milvus Lite's package for Chinese before Milvus Lite does: it is old, and not quiet.

    Its patterns and `pkg_resources` cause warnings, and it logs to standard error by a handler of its own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba  # noqa: PLC0415 - it is there only where it is needed
    jieba.setLogLevel(logging.WARNING)


@contextmanager
def held(indexing: Indexing) -> Iterator[None]:
    """Let go of a Milvus Lite database at the end, unless it was open before: other processes can have it then."""
    if not is_embedded(indexing.host):
        yield
        return
    require_milvus_lite(indexing)
    from milvus_lite.server_manager import server_manager_instance as servers  # noqa: PLC0415 - as pymilvus does

    path = uri(indexing)
    was_open = path in servers._servers  # noqa: SLF001 - nothing else tells
    try:
        yield
    finally:
        if not was_open:
            servers.release_server(path)


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
