"""A proxy that leads nowhere and remembers who wanted to leave the machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Outside:
    """The way out, which is closed.

    Attributes:
        attempts: the requests that came this way, such as `CONNECT api.example:443 HTTP/1.1`.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.attempts))
        self.server.daemon_threads = True

    @property
    def environment(self) -> dict[str, str]:
        """Variables that send a process this way for all but this machine."""
        proxy = f"http://127.0.0.1:{self.server.server_address[1]}"
        ways = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy)
        return {**ways, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _handler(attempts: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            attempts.append(self.requestline)
            self.send_error(403)

        do_CONNECT = do_GET = do_POST = refuse  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def closed() -> Iterator[Outside]:
    """The closed way out, while it is needed."""
    outside = Outside()
    with outside.server:
        threading.Thread(target=outside.server.serve_forever, args=(0.05,), daemon=True).start()
        yield outside
        outside.server.shutdown()
