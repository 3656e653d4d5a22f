"""Keys and addresses, checked before a request is made of them.

A key with a line break fails deep inside the HTTP library, in a message that quotes the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from destination_milvus.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from destination_milvus.embedding.failures import Service


def checked_key(secret: SecretStr, service: Service) -> str:
    """The key without the white space that pasting leaves around it.

    Raises:
        ConfigError: it is empty, or holds characters that no key has.
    """
    key = secret.get_secret_value().strip()
    if not key:
        raise ConfigError(f"{service.key} is empty: enter the API key.")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{service.key} holds characters that no API key has: enter it again.")
    return key


def checked_address(address: str, service: Service) -> str:
    """The address without white space around it.

    Raises:
        ConfigError: it is not one of HTTP.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{service.address} is not an address of the form https://host/path.")
    return address
