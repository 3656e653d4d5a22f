"""Texts and keys go to the origin that was configured, and to no other one that it points to.

HTTP clients follow redirects to wherever they lead, with the body, and with every header but `Authorization`: also from
https to http, and from an address that was allowed to one that was never checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from destination_milvus.errors import ConfigError

if TYPE_CHECKING:
    from destination_milvus.embedding.failures import Service


def keep_to_origin(client: httpx2.Client, address: str, service: Service) -> None:
    """Have a client raise ConfigError instead of sending anything to another origin than that of `address`."""

    def look(request: httpx2.Request) -> None:
        require_origin(request.url, address, service)

    client.event_hooks["request"].append(look)  # called for every request, those of a redirect too


def require_origin(url: httpx2.URL, address: str, service: Service) -> None:
    """Refuse an address of another origin (scheme, host, port) than the configured one.

    Raises:
        ConfigError: it has another. The message has neither its credentials nor its path, which may be anybody's.
    """
    origin = _origin(url)
    if origin != _origin(httpx2.URL(address)):
        raise ConfigError(
            f"{service.name} redirects to another address, {origin}, and texts and keys go to the configured one only: "
            f"check {service.address}, and set it to the other address if you trust that."
        )


def _origin(url: httpx2.URL) -> str:
    """Normalized: in small letters, and without the port that the scheme has anyway."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
