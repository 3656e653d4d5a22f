from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, SecretStr

from destination_milvus.config import embedding, indexing, models, processing
from destination_milvus.config.embedding import FromFieldEmbedding, LocalEmbedding
from destination_milvus.config.indexing import NoAuth, PasswordAuth, TokenAuth
from destination_milvus.config.models import Config, parse_config
from destination_milvus.config.processing import SeparatorSplitter
from destination_milvus.config.secrets import secrets_in
from destination_milvus.config.specification import specification
from destination_milvus.errors import ConfigError

SECRET = "s3cret-value"  # noqa: S105 - what must not be seen
SPECIFICATION = specification()

OPENAI = {"mode": "openai", "openai_key": SECRET}
INDEXING = {"host": "https://host:19530", "collection": "tickets", "auth": {"mode": "no_auth"}}
MINIMAL: dict[str, Any] = {"embedding": OPENAI, "processing": {"chunk_size": 1000}, "indexing": INDEXING}


def changed(path: str, value: object) -> dict[str, Any]:
    """The minimal configuration with another value at one place."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    node = raw
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return raw


# --- configurations of the existing connector -------------------------------------------------------------------------

EXISTING = {
    "openai with token": {
        "embedding": OPENAI,
        "processing": {
            "chunk_size": 1000,
            "chunk_overlap": 50,
            "text_fields": ["subject", "users.*.name"],
            "metadata_fields": ["id", "status"],
        },
        "indexing": {
            "host": "https://in01-abc.aws-us-west-2.vectordb.zillizcloud.com:19530",
            "collection": "my_collection",
            "auth": {"mode": "token", "token": SECRET},
            "vector_field": "vec",
            "text_field": "txt",
        },
        "omit_raw_text": True,
    },
    "azure with password": {
        "embedding": {
            "mode": "azure_openai",
            "openai_key": SECRET,
            "api_base": "https://your-resource-name.openai.azure.com",
            "deployment": "your-deployment",
        },
        "processing": {
            "chunk_size": 8191,
            "text_splitter": {"mode": "separator", "separators": ['"\\n\\n"', '" "'], "keep_separator": True},
            "field_name_mappings": [{"from_field": "a", "to_field": "b"}],
        },
        "indexing": {
            "host": "tcp://my-local-milvus:19530",
            "collection": "c",
            "db": "shop",
            "auth": {"mode": "username_password", "username": "root", "password": SECRET},
        },
    },
    "compatible with everything by default": {
        "embedding": {
            "mode": "openai_compatible",
            "base_url": "https://your-service-name.com",
            "dimensions": 1536,
        },
        "processing": {"chunk_size": 1, "chunk_overlap": 0, "text_splitter": {"mode": "markdown", "split_level": 6}},
        "indexing": {"host": "./milvus.db", "collection": "_c", "auth": {"mode": "no_auth"}, "db": ""},
    },
    "compatible with a key": {
        "embedding": {
            "mode": "openai_compatible",
            "api_key": SECRET,
            "base_url": "https://your-service-name.com",
            "model_name": "text-embedding-ada-002",
            "dimensions": 128,
        },
        "processing": {"chunk_size": 500, "text_splitter": {"mode": "code", "language": "python"}},
        "indexing": {**INDEXING, "auth": {"mode": "no_auth"}},
        "omit_raw_text": False,
    },
    "cohere": {
        "embedding": {"mode": "cohere", "cohere_key": SECRET},
        "processing": {"chunk_size": 1000, "text_fields": [], "metadata_fields": [], "field_name_mappings": []},
        "indexing": INDEXING,
    },
    "fake with unknown keys": {
        "embedding": {"mode": "fake", "left": "over"},
        "processing": {"chunk_size": 100, "text_splitter": {"mode": "markdown"}},
        "indexing": {**INDEXING, "left": ["over"]},
        "left": {"over": 1},
    },
}


@pytest.mark.parametrize("raw", EXISTING.values(), ids=EXISTING.keys())
def test_every_configuration_of_the_existing_connector_is_taken_by_models_and_form(raw: dict[str, Any]) -> None:
    assert parse_config(raw).processing.chunk_size == raw["processing"]["chunk_size"]
    jsonschema.Draft7Validator(SPECIFICATION).validate(raw)


@pytest.mark.parametrize("raw", EXISTING.values(), ids=EXISTING.keys())
def test_what_was_configured_is_what_is_read(raw: dict[str, Any]) -> None:
    parsed = revealed(parse_config(raw).model_dump())

    def holds(part: Any, whole: Any) -> bool:
        if isinstance(part, dict):
            return all(holds(value, whole[name]) for name, value in part.items() if name != "left")
        return bool(part == whole)

    assert holds(raw, parsed)


def revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return {name: revealed(item) for name, item in value.items()} if isinstance(value, dict) else value


def test_what_is_not_said_means_what_it_always_meant() -> None:
    parsed = parse_config(MINIMAL)
    assert parsed.processing.text_splitter == SeparatorSplitter()
    assert parsed.processing.text_splitter.separator_texts == ("\n\n", "\n", " ", "")
    assert (parsed.processing.chunk_overlap, parsed.omit_raw_text) == (0, False)
    assert (parsed.indexing.db, parsed.indexing.vector_field, parsed.indexing.text_field) == ("", "vector", "text")
    assert parsed.processing.include_field_names
    assert parsed.advanced.bad_records == "fail"


@pytest.mark.parametrize(
    "path",
    [
        "embedding.model",
        "embedding.dimensions",
        "processing.chunk_overlap",
        "processing.text_fields",
        "processing.metadata_fields",
        "processing.text_splitter",
        "processing.field_name_mappings",
        "processing.html_fields",
        "indexing.db",
        "indexing.text_field",
        "indexing.tls",
        "advanced",
        "advanced.requests_per_minute",
        "omit_raw_text",
    ],
)
def test_null_is_as_good_as_nothing(path: str) -> None:
    """Terraform and PyAirbyte write out what was left empty."""
    assert parse_config(changed(path, None)) == parse_config(MINIMAL)


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("embedding", {"mode": "local"}, LocalEmbedding),
        ("embedding", {"mode": "from_field", "field_name": "e", "dimensions": 3}, FromFieldEmbedding),
        ("indexing.auth", {"mode": "token", "token": "t"}, TokenAuth),
        ("indexing.auth", {"mode": "username_password", "username": "u", "password": "p"}, PasswordAuth),
        ("indexing.auth", {"mode": "no_auth"}, NoAuth),
    ],
)
def test_a_mode_chooses_its_model(path: str, value: dict[str, Any], kind: type[BaseModel]) -> None:
    parsed = parse_config(changed(path, value))
    assert kind in {type(parsed.embedding), type(parsed.indexing.auth)}


# --- what is refused --------------------------------------------------------------------------------------------------

BAD: list[tuple[str, object, str]] = [
    ("embedding", None, "embedding is missing"),
    ("embedding", [], "embedding must be an object"),
    ("embedding", {}, "embedding.mode is missing"),
    ("embedding", {"mode": "gpt"}, "embedding.mode must be one of 'openai', 'azure_openai', "),
    ("embedding", {"mode": "openai"}, "embedding.openai_key is missing"),
    (
        "embedding",
        {"mode": "local", "model": "all-MiniLM-L12-v2"},
        "embedding.model must be 'all-MiniLM-L6-v2' or 'universal-sentence-encoder-multilingual'",
    ),
    ("embedding.openai_key", 7, "embedding.openai_key must be a text"),
    ("embedding.dimensions", 0, "embedding.dimensions must be at least 1"),
    ("embedding.dimensions", 40_000, "embedding.dimensions must be at most 32768"),
    (
        "embedding",
        {"mode": "azure_openai", "openai_key": "k"},
        "embedding.api_base is missing; embedding.deployment is",
    ),
    ("embedding", {"mode": "openai_compatible", "base_url": "u"}, "embedding.dimensions is missing"),
    ("embedding", {"mode": "from_field", "field_name": "", "dimensions": 3}, "embedding.field_name must not be empty"),
    ("processing", [], "processing must be an object"),
    ("processing", {}, "processing.chunk_size is missing"),
    ("processing.chunk_size", 0, "processing.chunk_size must be at least 1"),
    ("processing.chunk_size", 8192, "processing.chunk_size must be at most 8191"),
    ("processing.chunk_size", "many", "processing.chunk_size must be a whole number"),
    ("processing.chunk_size", 1.5, "processing.chunk_size must be a whole number"),
    ("processing.chunk_size", [1], "processing.chunk_size must be a whole number"),
    ("processing.chunk_overlap", -1, "processing.chunk_overlap must be at least 0"),
    ("processing.text_fields", "body", "processing.text_fields must be a list"),
    ("processing.text_fields", [1], "processing.text_fields.0 must be a text"),
    ("processing.text_splitter", {"mode": "words"}, "processing.text_splitter.mode must be one of 'separator', "),
    ("processing.text_splitter", {"mode": "markdown", "split_level": 7}, "text_splitter.split_level must be at most 6"),
    ("processing.text_splitter", {"mode": "code", "language": "cobol"}, "text_splitter.language must be 'cpp', 'go', "),
    ("processing.text_splitter", {"mode": "code"}, "processing.text_splitter.language is missing"),
    ("processing.field_name_mappings", [{"from_field": "a"}], "processing.field_name_mappings.0.to_field is missing"),
    ("indexing.host", "", "indexing.host must not be empty"),
    ("indexing.host", 7, "indexing.host must be a text"),
    ("indexing.collection", "my-tickets", "indexing.collection may hold letters of ASCII, digits and underscores"),
    ("indexing.collection", "7tickets", "must not begin with a digit"),
    ("indexing.collection", "x" * 256, "must have 1 to 255 characters"),
    ("indexing.collection", "", "indexing.collection may hold"),
    ("indexing.vector_field", "a b", "indexing.vector_field may hold"),
    ("indexing.auth", {"mode": "token"}, "indexing.auth.token is missing"),
    (
        "indexing.auth",
        {"mode": "kerberos"},
        "indexing.auth.mode must be one of 'token', 'username_password', 'no_auth'",
    ),
    ("indexing.metric_type", "cosine", "indexing.metric_type must be 'COSINE', 'L2' or 'IP'"),
    ("indexing.index_type", "hnsw", "indexing.index_type may hold capital letters, digits and underscores only"),
    ("indexing.index_params", [], "indexing.index_params must be an object"),
    ("indexing.full_text_search", "perhaps", "indexing.full_text_search must be true or false"),
    ("indexing.indexed_metadata_fields", "status", "indexing.indexed_metadata_fields must be a list"),
    ("indexing.partition_key", "", "indexing.partition_key must not be empty"),
    ("omit_raw_text", "perhaps", "omit_raw_text must be true or false"),
    ("omit_raw_text", [], "omit_raw_text must be true or false"),
    ("advanced.bad_records", "ignore", "advanced.bad_records must be 'fail' or 'skip'"),
    ("advanced.concurrency", 65, "advanced.concurrency must be at most 64"),
]
BEYOND_A_SCHEMA: list[tuple[str, object, str]] = [
    ("processing.chunk_overlap", 1000, "processing: chunk_overlap (1000) must be below chunk_size (1000)"),
    ("indexing.vector_field", "text", 'indexing: vector_field and text_field are both "text": they must differ'),
    ("indexing.collection", "tickets\n", "indexing.collection may hold"),
    ("indexing.tls", {"client_certificate": "c"}, "indexing.tls: client_certificate and client_key belong together"),
    ("indexing.tls", {"client_key": SECRET}, "indexing.tls: client_certificate and client_key belong together"),
    (
        "processing.text_splitter",
        {"mode": "separator", "separators": ["\\n"]},
        'processing.text_splitter.separators: separators are JSON strings, written with their quotes, as in "\\n"',
    ),
    ("processing.text_splitter", {"mode": "separator", "separators": ["7"]}, "separators are JSON strings"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), BAD + BEYOND_A_SCHEMA)
def test_a_wrong_option_is_named_with_what_it_may_be(path: str, value: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(path, value))
    message = caught.value.message
    assert message.startswith("The configuration is not valid: ")
    assert sentence in message
    assert message.endswith(".")
    assert not re.search(r"[Ii]nput|instance|dictionary|pattern|tag|pydantic|Value error|valid [sidbl]", message[32:])


@pytest.mark.parametrize(("path", "value", "sentence"), BAD)
def test_the_form_refuses_what_the_models_refuse(path: str, value: object, sentence: str) -> None:
    raw = changed(path, value)
    assert list(jsonschema.Draft7Validator(SPECIFICATION).iter_errors(raw)), sentence


def test_words_are_not_searched_where_no_text_is_stored() -> None:
    """Full-text search without the text cannot be; the sentence names both options."""
    raw = {**changed("omit_raw_text", value=True), "indexing": {**INDEXING, "full_text_search": True}}
    with pytest.raises(ConfigError, match=r"is not valid: indexing\.full_text_search .* omit_raw_text .*\.$"):
        parse_config(raw)


@pytest.mark.parametrize(
    ("indexing", "sentence"),
    [
        (
            {"indexed_metadata_fields": ["status", "vec"]},
            'indexed_metadata_fields names "vec", which is a field of',
        ),
        ({"indexed_metadata_fields": ["pk"]}, 'names "pk"'),
        ({"indexed_metadata_fields": ["_ab_stream"]}, 'names "_ab_stream"'),
        ({"partition_key": "_ab_partition"}, 'partition_key names "_ab_partition"'),
        ({"indexed_metadata_fields": ["tags"]}, 'asks for the metadata field "tags", which processing.metadata_fields'),
        ({"indexed_metadata_fields": ["user.name"]}, "indexed_metadata_fields.0 may hold letters of ASCII"),
        ({"partition_key": "user.name"}, 'asks for the metadata field "user.name"'),
    ],
)
def test_fields_to_index_are_metadata(indexing: dict[str, Any], sentence: str) -> None:
    """Those that are stored, by the names that they are stored under; check needs no catalog to say so."""
    raw = changed("indexing", {**INDEXING, "vector_field": "vec", **indexing})
    raw["processing"] = {
        "chunk_size": 1000,
        "metadata_fields": ["status", "user.name", "org.id"],
        "field_name_mappings": [
            {"from_field": "user.name", "to_field": "user_name"},
            {"from_field": "user.name", "to_field": "never"},
        ],
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    assert sentence in caught.value.message
    raw["indexing"] = {**INDEXING, "indexed_metadata_fields": ["user_name", "status"], "partition_key": "org.id"}
    parsed = parse_config(raw)
    assert parsed.processing.sources == {"user_name": ["user.name"]}
    assert parsed.indexing.partition_field == "org.id"


@pytest.mark.parametrize("option", ["vector_field", "text_field"])
def test_the_field_of_the_words_is_nobody_elses(option: str) -> None:
    """Two fields of one name cannot be; where no words are searched the name is free."""
    raw = changed(f"indexing.{option}", "sparse")
    parse_config(raw)
    raw["indexing"]["full_text_search"] = True
    with pytest.raises(ConfigError, match='in the field "sparse": give vector_field and text_field other names'):
        parse_config(raw)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"processing": {"chunk_size": 0}, "indexing": INDEXING})
    assert "embedding is missing; processing.chunk_size must be at least 1." in caught.value.message


@pytest.mark.parametrize("raw", [[], None, "text"])
def test_a_configuration_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match="it must be an object"):
        parse_config(raw)


def test_tls_takes_a_certificate_together_with_its_key() -> None:
    tls = parse_config(changed("indexing.tls", {"client_certificate": "c", "client_key": SECRET})).indexing.tls
    assert tls is not None
    assert tls.client_key.get_secret_value() == SECRET


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", EXISTING.values(), ids=EXISTING.keys())
def test_secrets_are_in_no_text_of_a_configuration(raw: dict[str, Any]) -> None:
    parsed = parse_config(raw)
    assert SECRET not in repr(parsed) + str(parsed) + parsed.model_dump_json()


@pytest.mark.parametrize("path", ["embedding.openai_key", "indexing.auth.token", "indexing.auth.password"])
@pytest.mark.parametrize("wrap", [lambda secret: [secret], lambda secret: {secret: secret}, lambda secret: secret])
def test_secrets_are_in_no_error(path: str, wrap: Any) -> None:
    """Also when they stand where they do not belong."""
    raw = changed(path, wrap(SECRET))
    raw["processing"] = {"chunk_size": SECRET}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__, "pydantic's error must not be printed below it"


# --- the specification ------------------------------------------------------------------------------------------------


def nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
    for child in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from nodes(child)


def properties(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property with its path, of options and list items too."""
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here, child
        yield from properties(child, here)
        yield from properties(child.get("items", {}), f"{here}[]")
    for option in node.get("oneOf", []):
        yield from properties(option, f"{path}({option['title']})")


def test_the_specification_is_a_valid_schema_of_draft_7() -> None:
    assert SPECIFICATION["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(SPECIFICATION)


def test_the_specification_uses_only_what_airbytes_form_understands() -> None:
    unknown = {"$ref", "$defs", "definitions", "anyOf", "allOf", "discriminator", "writeOnly"}
    for node in nodes(SPECIFICATION):
        assert not unknown & node.keys()


def test_every_property_has_a_title_a_description_and_a_place() -> None:
    found = dict(properties(SPECIFICATION))
    assert len(found) > 60
    for path, node in found.items():
        assert node.get("title"), path
        assert isinstance(node.get("order"), int), path
        assert node.get("description") or path.endswith(".mode") or ").mode" in path, path


def test_the_places_of_neighbours_differ() -> None:
    for node in nodes(SPECIFICATION):
        orders = [child["order"] for child in node.get("properties", {}).values() if "order" in child]
        assert len(orders) == len(set(orders))


def test_every_option_has_a_mode_of_its_own_that_it_requires() -> None:
    choices = [node for node in nodes(SPECIFICATION) if "oneOf" in node]
    assert len(choices) == 4
    for choice in choices:
        modes = [option["properties"]["mode"] for option in choice["oneOf"]]
        assert all(mode["enum"] == [mode["const"]] == [mode["default"]] for mode in modes)
        assert len({mode["const"] for mode in modes}) == len(modes)
        assert all("mode" in option["required"] and option["title"] for option in choice["oneOf"])
        assert choice["type"] == "object"


def secret_fields(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if info.annotation is SecretStr:
            yield name


def test_every_secret_and_nothing_else_is_marked_as_one() -> None:
    parts = [part for module in (embedding, processing, indexing, models) for part in vars(module).values()]
    every = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    expected = {name for model in every for name in secret_fields(model)}
    marked = {path.rpartition(".")[2] for path, node in properties(SPECIFICATION) if node.get("airbyte_secret")}
    assert marked == expected == {"openai_key", "api_key", "cohere_key", "token", "password", "client_key"}
    assert all(node["airbyte_secret"] is True for node in nodes(SPECIFICATION) if "airbyte_secret" in node)


def test_the_specification_holds_no_trace_of_the_secrets_type() -> None:
    assert "password" not in {node.get("format") for node in nodes(SPECIFICATION)}


def test_the_groups_of_the_form_exist() -> None:
    named = {node["group"] for node in SPECIFICATION["properties"].values()}
    assert named == {group["id"] for group in SPECIFICATION["groups"]}


def test_defaults_and_examples_of_the_specification_are_valid_themselves() -> None:
    for path, node in properties(SPECIFICATION):
        validator = jsonschema.Draft7Validator({name: part for name, part in node.items() if name != "default"})
        for value in [*node.get("examples", []), *([node["default"]] if "default" in node else [])]:
            assert not list(validator.iter_errors(value)), path


def test_the_model_and_its_specification_require_the_same() -> None:
    required = {name for name, info in Config.model_fields.items() if info.is_required()}
    assert set(SPECIFICATION["required"]) == required == {"embedding", "processing", "indexing"}


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_found_wherever_they_stand() -> None:
    """Also in a configuration that is wrong: the log must leave them out all the same."""
    raw = {
        "embedding": {"mode": "openai", "openai_key": ["sk-planted", {"deeper": 4711}], "model": "no secret"},
        "indexing": {
            "auth": [{"mode": "token", "token": " token-planted "}],
            "tls": {"client_key": "-----BEGIN KEY-----\nfirst-line-planted\nend\n"},
        },
    }
    found = secrets_in(raw)
    assert {"sk-planted", "4711", "token-planted", "first-line-planted"} <= set(found)
    assert "end" not in found, "a short line is no secret by itself"
    assert not any("no secret" in secret for secret in found)
    assert found == sorted(found, key=len, reverse=True), "the longest first: one may hold another"


@pytest.mark.parametrize("nothing", [None, True, "", "Milvus"])
def test_what_is_no_secret_is_not_blotted_out(nothing: object) -> None:
    """Nulls, flags, blanks, and the default password of Milvus, which is also its name."""
    assert secrets_in({"indexing": {"auth": {"password": nothing}}}) == []


@pytest.mark.parametrize(
    ("provider", "names_model", "addresses"),
    [
        (embedding.OpenAIEmbedding(openai_key="k"), False, {}),
        (embedding.OpenAIEmbedding(openai_key="k", model="m", base_url="https://g"), True, {"base_url": "https://g"}),
        (
            embedding.AzureOpenAIEmbedding(openai_key="k", api_base="https://a", deployment="d"),
            False,
            {"api_base": "https://a"},
        ),
        (embedding.OpenAICompatibleEmbedding(base_url="http://t", dimensions=3), True, {"base_url": "http://t"}),
        (embedding.CohereEmbedding(cohere_key="k"), False, {}),
        (embedding.LocalEmbedding(), True, {}),
    ],
)
def test_a_provider_says_where_texts_go_and_whether_its_model_is_named(
    provider: embedding.Provider, names_model: bool, addresses: dict[str, str]
) -> None:
    """A default model may change, one that is named does not; on Airbyte Cloud each address must be encrypted."""
    assert provider.names_model == names_model
    assert provider.addresses == addresses


def test_an_error_names_its_options_and_can_call_them_otherwise() -> None:
    """A program with names of its own for the options reads the same sentence with them."""
    with pytest.raises(ConfigError) as error:
        parse_config(changed("processing.chunk_size", 0))
    assert error.value.options == ("processing.chunk_size",)
    assert "processing.chunk_size must be at least 1" in str(error.value)
    assert "CHUNK_SIZE must be at least 1" in error.value.named({"processing.chunk_size": "CHUNK_SIZE"})
