"""Where Milvus is: a server's address, or the file of a Milvus Lite database."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from destination_milvus.config.analyzer import CustomAnalyzer, FullTextAnalyzer, LanguageAnalyzer
from destination_milvus.config.indexing import Indexing
from destination_milvus.errors import ConfigError, option


def is_embedded(host: str) -> bool:
    """Whether the address is a Milvus Lite database on this machine."""
    return host.endswith(".db") and "://" not in host


def require_milvus_lite(indexing: Indexing) -> None:
    """Find out that Milvus Lite is needed and missing, before there is anything to undo.

    Raises:
        ConfigError: it is: the connector is installed without its extra `lite`, or for Chinese without `chinese`.
    """
    if is_embedded(indexing.host) and find_spec("milvus_lite") is None:
        raise ConfigError(
            f"{option('indexing.host')} is the Milvus Lite database {indexing.host}, but Milvus Lite is not installed: "
            "run pip install 'airbyte-destination-milvus[lite]', build the image with --build-arg EXTRAS=lite,local, "
            "or name a server that begins with https:// or http://."
        )
    if is_embedded(indexing.host) and needs_jieba(indexing.full_text_analyzer) and find_spec("jieba") is None:
        raise ConfigError(
            f"{option('indexing.full_text_analyzer')} asks for Chinese words, which Milvus Lite finds with the package "
            "jieba, and it is not installed: run pip install 'airbyte-destination-milvus[lite,chinese]', or choose the "
            "mode standard."
        )


def needs_jieba(analyzer: FullTextAnalyzer) -> bool:
    """Whether Milvus Lite needs a package of its own for the words of this analyzer."""
    if isinstance(analyzer, LanguageAnalyzer):
        return analyzer.language == "chinese"
    if not isinstance(analyzer, CustomAnalyzer):
        return False
    return "jieba" in str(analyzer.params.get("tokenizer", analyzer.params.get("type")))


def is_absent(indexing: Indexing) -> bool:
    """Whether the address is a Milvus Lite database that is not there: connecting would create it."""
    return is_embedded(indexing.host) and not _path(indexing.host).exists()


def is_new_database(indexing: Indexing) -> bool:
    """Whether the address is a Milvus Lite database that the first sync will create.

    Raises:
        ConfigError: its folder does not exist or may not be written.
    """
    return is_embedded(indexing.host) and not database_path(indexing.host).exists()


def uri(indexing: Indexing) -> str:
    """The address as pymilvus wants it."""
    host = indexing.host
    if is_embedded(host):
        return str(database_path(host))
    return host if "://" in host else f"http://{host}"


def database_path(host: str) -> Path:
    """The file of a Milvus Lite database.

    Raises:
        ConfigError: its folder does not exist or may not be written.
    """
    path = _path(host)
    if not path.parent.is_dir():
        raise ConfigError(
            f"{option('indexing.host')} is the Milvus Lite database {host}, but its folder {path.parent} does not "
            "exist: create it."
        )
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"{option('indexing.host')} is the Milvus Lite database {host}, but {path.parent} may not be written to."
        )
    return path


def _path(host: str) -> Path:
    return Path(host).expanduser().resolve()


def described(host: str) -> str:
    """The address for a sentence, without the credentials that it may hold."""
    if "://" not in host and host.endswith(".db"):
        return f"Milvus Lite ({host})"
    # not urlsplit: it raises where the address is wrong, and then a sentence about it is needed most
    _, has_scheme, rest = host.partition("://")
    address = rest if has_scheme else host
    authority = re.split(r"[/?#]", address, maxsplit=1)[0] if has_scheme else address
    if "@" in address and "@" not in authority:
        return "Milvus at the address in indexing.host"  # a password with a slash in it
    return f"Milvus at {authority.rpartition('@')[2] or 'the address in indexing.host'}"
