"""Collections that are there already: what does not fit is named before anything is written, and what fits is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from integration_tests.backends import Backend, config
from integration_tests.connector import catalog, record, stream, write

TICKETS = catalog(stream("tickets"))
PROCESSING = {"text_fields": ["text"], "include_field_names": False}


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """A Milvus Lite of its own."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def make(
    backend: Backend,
    name: str,
    *columns: tuple[str, str, Mapping[str, Any]],
    auto_id: bool = False,
    key: str = "VARCHAR",
    **options: Any,
) -> None:
    """A collection made by hand: key, vector, these columns (name, type, options), all else dynamic."""
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415 - as in the product

    schema = MilvusClient.create_schema(auto_id=auto_id, enable_dynamic_field=True)
    schema.add_field("pk", DataType[key], is_primary=True, **({"max_length": 64} if key == "VARCHAR" else {}))
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1536)
    for column, kind, given in columns:
        schema.add_field(column, DataType[kind], **given)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    with backend.client() as client:
        client.create_collection(name, schema=schema, index_params=index, **options)


def rows(backend: Backend, name: str, fields: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
    """All rows, by record and chunk, without nulls."""
    with backend.client() as client:
        client.load_collection(name, timeout=60)
        found = client.query(
            name, filter='_ab_stream != ""', output_fields=list(fields), consistency_level="Strong", timeout=60
        )
        plain = [{field: value for field, value in row.items() if value is not None} for row in found]
    return sorted(plain, key=lambda row: (row["_ab_record_id"], row["_ab_chunk"]))


@pytest.mark.parametrize("column", [False, True], ids=["dynamic text", "nullable column"])
def test_a_text_that_is_left_out_from_now_on_is_gone_from_every_record_that_comes(lite: Backend, column: bool) -> None:
    """Milvus Lite merges an upsert into the row before it: the old text would stay beside the new vector."""
    conf = config(lite, processing={**PROCESSING, "chunk_size": 8, "metadata_fields": ["id"]})
    name = conf["indexing"]["collection"]
    make(lite, name, *([("text", "VARCHAR", {"max_length": 65_535, "nullable": True})] if column else []))
    lines = [record({"id": key, "text": " ".join(f"word{number}" for number in range(30))}) for key in (1, 2)]
    write(conf, TICKETS, lines)
    assert len([row for row in rows(lite, name) if row["text"]]) > 4
    write({**conf, "omit_raw_text": True}, TICKETS, lines)
    assert not [row for row in rows(lite, name) if "text" in row]
