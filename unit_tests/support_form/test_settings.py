"""The environment as the form reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalEmbedding, OpenAIEmbedding
from destination_milvus.config.indexing import NoAuth, TokenAuth
from destination_milvus.config.models import parse_config
from destination_milvus.errors import ConfigError
from source_zendesk_stub import phrases
from source_zendesk_stub.world import organization_id
from support_form.customers import DEMO_CUSTOMERS, customers
from support_form.settings import THRESHOLDS, Thresholds, read_settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_no_environment_is_the_demo() -> None:
    """Nothing set: the demo's database and collection, the local model, no key."""
    settings = read_settings({}, Path("/somewhere/.demo/milvus.db"))
    config = settings.destination
    assert config.indexing.host == "/somewhere/.demo/milvus.db"
    assert config.indexing.collection == "zendesk"
    assert isinstance(config.indexing.auth, NoAuth)
    assert isinstance(config.embedding, LocalEmbedding)
    assert settings.thresholds == THRESHOLDS[MINILM]


def test_the_other_local_model_has_a_demo_of_its_own() -> None:
    """A collection holds vectors of one model."""
    settings = read_settings({"EMBEDDING_MODEL": MULTILINGUAL}, Path("/somewhere/.demo/milvus.db"))
    config = settings.destination
    assert config.indexing.host == f"/somewhere/.demo/{MULTILINGUAL}/milvus.db"
    assert isinstance(config.embedding, LocalEmbedding)
    assert config.embedding.model == settings.model == MULTILINGUAL
    assert settings.thresholds == THRESHOLDS[MULTILINGUAL]
    elsewhere = read_settings({"EMBEDDING_MODEL": MULTILINGUAL, "MILVUS_URL": "http://milvus.example:19530"})
    assert elsewhere.destination.embedding == config.embedding


def test_the_demo_is_looked_for_in_the_folder_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not beside the package, which may be installed anywhere."""
    monkeypatch.chdir(tmp_path)
    assert read_settings({}).destination.indexing.host == str(tmp_path / ".demo" / "milvus.db")


def test_a_key_alone_still_opens_the_demo_with_its_own_model() -> None:
    """Many have OPENAI_API_KEY set for other reasons: the demo's collection was filled with the local model."""
    assert isinstance(read_settings({"OPENAI_API_KEY": "sk-1"}).destination.embedding, LocalEmbedding)


def test_the_variables_of_the_tutorial() -> None:
    """MILVUS_URL, MILVUS_TOKEN and OPENAI_API_KEY are enough."""
    settings = read_settings(
        {
            "MILVUS_URL": "https://cluster.example",
            "MILVUS_TOKEN": "key",
            "OPENAI_API_KEY": "sk-1",
            "MILVUS_DATABASE": " ",
        }
    )
    config = settings.destination
    assert isinstance(config.indexing.auth, TokenAuth)
    assert config.indexing.auth.token.get_secret_value() == "key"
    assert isinstance(config.embedding, OpenAIEmbedding)
    assert config.embedding.openai_key.get_secret_value() == "sk-1"
    assert config.embedding.model is None
    assert config.indexing.db == ""


@pytest.mark.parametrize(
    ("environment", "thresholds"),
    [
        ({"EMBEDDING_MODEL": "text-embedding-ada-002"}, Thresholds(0.35, 0.362)),
        ({"EMBEDDING_MODEL": "text-embedding-ada-002", "DUPLICATE_DISTANCE": "0"}, Thresholds(0.0, 0.362)),
        ({"EMBEDDING_MODEL": "other", "DUPLICATE_DISTANCE": ".2", "ARTICLE_DISTANCE": "0.5"}, Thresholds(0.2, 0.5)),
    ],
)
def test_thresholds_follow_the_model_and_the_environment(environment: dict[str, str], thresholds: Thresholds) -> None:
    """The tutorial's numbers for the tutorial's model, and what is set goes first, zero included."""
    assert read_settings(environment).thresholds == thresholds


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DUPLICATE_DISTANCE": "near"}, "DUPLICATE_DISTANCE must be a number"),
        ({"ARTICLE_DISTANCE": "5", "ORGANIZATIONS": "[1]"}, "ARTICLE_DISTANCE must be .*; ORGANIZATIONS must be"),
        ({"DUPLICATE_DISTANCE": "nan"}, "DUPLICATE_DISTANCE must be a number"),
        ({"EMBEDDING_DIMENSIONS": "0"}, "EMBEDDING_DIMENSIONS must be"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(environment: dict[str, str], words: str) -> None:
    """The sentence says which variable, and what it takes."""
    with pytest.raises(ConfigError, match=words):
        read_settings(environment)


def test_an_unknown_model_needs_thresholds() -> None:
    """No number is good for every model: none is guessed."""
    with pytest.raises(ConfigError, match="DUPLICATE_DISTANCE and ARTICLE_DISTANCE"):
        _ = read_settings({"EMBEDDING_MODEL": "other", "DUPLICATE_DISTANCE": "0.1"}).thresholds


def test_a_missing_key_is_named() -> None:
    """The sentence tells of the key, and of the way without one."""
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY is not set.*EMBEDDING_MODEL=all-MiniLM-L6-v2"):
        _ = read_settings({"MILVUS_URL": "http://milvus.example:19530"}).destination


@pytest.mark.parametrize("example", ["milvus_lite_local.json", "milvus_server_openai.json"])
def test_tickets_are_stored_as_the_examples_store_them(example: str) -> None:
    """Same text, same metadata, same chunks: a submitted ticket is one among those of the source."""
    theirs = parse_config(json.loads((EXAMPLES / example).read_text())).processing
    environment = {} if "local" in example else {"MILVUS_URL": "http://milvus.example:19530", "OPENAI_API_KEY": "sk-1"}
    assert read_settings(environment).destination.processing == theirs


def test_who_can_sign_in() -> None:
    """The demo's customers work for organizations of the source stub; configured ones take their place."""
    for index, customer in enumerate(DEMO_CUSTOMERS):
        assert (customer.organization_id, customer.organization) == (organization_id(index), phrases.company(index))
    own = read_settings({"ORGANIZATIONS": '{"7": "Seven & Sons"}'})
    (customer,) = customers(own.organizations)
    assert (customer.organization_id, customer.organization) == (7, "Seven & Sons")
