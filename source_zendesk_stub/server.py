"""The stub as a server on this machine: HTTPS, the client's credentials, a rate limit, and the tunnel of a proxy.

Airbyte's Zendesk Support source knows one address, `https://{subdomain}.zendesk.com`. It reads from this server, its
code and the machine's names untouched, where the environment names the server as its proxy: whoever asks a proxy for
that one host gets a tunnel that ends here. The same port speaks plain HTTPS to clients that take an address.
"""

from __future__ import annotations

import base64
import json
import math
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import compare_digest
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

from source_zendesk_stub.api import Answer, Api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from source_zendesk_stub.certificates import Identity

_IDLE_TIMEOUT = 60.0
"""Seconds after which a connection that says nothing is closed."""

_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection (RFC 8446, 5.1: content type `handshake`); no HTTP method begins with it."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose API it is, and the credentials that open it."""

    subdomain: str
    email: str
    token: str

    @property
    def host(self) -> str:
        """The name that Airbyte's source connects to."""
        return f"{self.subdomain}.zendesk.com"

    def admits(self, authorization: str | None) -> bool:
        """Whether a request's `Authorization` is Zendesk's for an API token: `{email}/token` and the token."""
        expected = base64.b64encode(f"{self.email}/token:{self.token}".encode()).decode()
        return compare_digest((authorization or "").encode(), f"Basic {expected}".encode())


class RateLimit:
    """Requests a minute, evenly: after each one, the next has to wait for its share of the minute."""

    def __init__(self, requests_per_minute: int | None) -> None:
        """No limit with None."""
        self._share = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._lock = Lock()

    def seconds_to_wait(self) -> int:
        """0, and the request counts; or whole seconds after which it may be made again."""
        with self._lock:
            wait = self._next - time.monotonic()
            if wait > 0:
                return math.ceil(wait)
            self._next = time.monotonic() + self._share
            return 0


class ZendeskServer(ThreadingHTTPServer):
    """Serves `api` for `account` on the loopback address, with a thread for each connection."""

    daemon_threads = True

    def __init__(self, port: int, api: Api, account: Account, identity: Identity, limit: RateLimit) -> None:
        """Listen on `port`, or on a free one with 0."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.api = api
        self.account = account
        self.limit = limit
        self.tls = _tls_context(identity)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """One line for a connection that broke off, such as a client's that does not trust the certificate."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            sys.stderr.write(f"connection ended: {error}\n")
        else:
            super().handle_error(request, client_address)


def _tls_context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:  # the module `ssl` takes a server's key from a file only
        chain = Path(folder) / "server.pem"
        chain.touch(mode=0o600)
        chain.write_text(identity.key + identity.certificate)
        context.load_cert_chain(chain)
    return context


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "source-zendesk-stub"
    sys_version = ""
    server: ZendeskServer

    def setup(self) -> None:
        """Begin with TLS where the client does; a proxy's client begins with CONNECT in plain text."""
        self.request.settimeout(_IDLE_TIMEOUT)
        if self.request.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close the TLS connection too, which the server does not know of."""
        super().finish()
        self.request.close()

    def do_CONNECT(self) -> None:
        """A proxy's tunnel. It leads to the account and nowhere else: nothing that asks here leaves the machine."""
        if self._is_secure or self.path != f"{self.server.account.host}:443":
            self._send(HTTPStatus.FORBIDDEN, {"error": "Forbidden", "description": "This proxy leads nowhere else."})
            self.close_connection = True
            return
        self.send_response_only(HTTPStatus.OK, "Connection established")
        self.end_headers()
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.close_connection = False  # clients that ask in HTTP/1.0 want the tunnel kept open too

    def do_GET(self) -> None:
        """Refuse, or let the API answer."""
        if not self._is_secure:
            self._send(HTTPStatus.FORBIDDEN, {"error": "SSL is required", "description": "Use https."})
            return
        if not self.server.account.admits(self.headers.get("Authorization")):
            self._send(HTTPStatus.UNAUTHORIZED, {"error": "Couldn't authenticate you"})
            return
        if wait := self.server.limit.seconds_to_wait():
            body = {"error": "APIRateLimitExceeded", "description": "Too many requests a minute."}
            self._send(HTTPStatus.TOO_MANY_REQUESTS, body, {"Retry-After": str(wait)})
            return
        answer: Answer = self.server.api.answer(self.path, f"https://{self.headers.get('Host', 'localhost')}")
        self._send(answer.status, answer.body)

    @property
    def _is_secure(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def _send(self, status: HTTPStatus, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, message: str, *values: object) -> None:
        """One line a request on standard error."""
        sys.stderr.write(f"{message % values}\n")
