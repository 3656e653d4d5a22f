"""What an analyzer is to Milvus, and which Milvus has it; what it makes of texts is tested on engines."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from destination_milvus.collection import Column
from destination_milvus.config.analyzer import Language
from destination_milvus.config.models import Config, parse_config
from destination_milvus.errors import ConfigError, InternalError, TransientError
from destination_milvus.milvus.analyzers import analyzer_options, refused, require_analyzer
from destination_milvus.milvus.columns import with_text_column
from destination_milvus.milvus.server import Server

LANGUAGES = sorted(typing.get_args(Language))
BY_FIELD = {"mode": "by_field", "field": "locale", "languages": {"de": "german"}}


def config(analyzer: dict[str, Any], **indexing: Any) -> Config:
    """A configuration with an analyzer."""
    return parse_config(
        {
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 1000, "metadata_fields": indexing.pop("metadata_fields", [])},
            "indexing": {
                "host": "http://h:19530",
                "collection": "c",
                "auth": {"mode": "no_auth"},
                "full_text_search": True,
                "full_text_analyzer": analyzer,
                **indexing,
            },
        }
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_parameters_that_some_server_knows(language: str) -> None:
    """None falls through to another, and each has a version from which a server has it."""
    analyzer = config({"mode": "language", "language": language}).indexing
    options = analyzer_options(analyzer.full_text_analyzer, embedded=False)
    assert options.keys() == {"analyzer_params"}
    assert options != {"analyzer_params": {"type": "standard"}}
    require_analyzer(analyzer, Server("h", "v2.6.0"))
    with pytest.raises(ConfigError):
        require_analyzer(analyzer, Server("h", "v2.4.9"))


def test_a_language_asked_for_by_two_values_is_one_analyzer() -> None:
    """Each has its dictionary in memory; and a value that is the language's own name needs no alias."""
    languages = {"de": "german", "de-ch": "german", "german": "german"}
    analyzer = config({**BY_FIELD, "languages": languages, "default": "german"}).indexing.full_text_analyzer
    params = analyzer_options(analyzer, embedded=False)["multi_analyzer_params"]
    assert params["analyzers"].keys() == {"german", "default"}
    assert params["alias"] == {"de": "german", "de-ch": "german"}


@pytest.mark.parametrize(
    ("analyzer", "indexing", "says"),
    [
        ({"mode": "klingon"}, {}, "indexing.full_text_analyzer.mode must be one of"),
        ({"language": "german"}, {}, "indexing.full_text_analyzer.mode is missing"),
        ({"mode": "language"}, {}, "indexing.full_text_analyzer.language is missing"),
        ({"mode": "language", "language": "polish"}, {}, "indexing.full_text_analyzer.language must be 'arabic'"),
        (
            {**BY_FIELD, "languages": {"pl": "polish"}},
            {},
            "indexing.full_text_analyzer.languages.pl must be 'arabic'",
        ),
        ({**BY_FIELD, "languages": {}}, {}, "indexing.full_text_analyzer.languages must not be empty"),
        ({**BY_FIELD, "languages": {"default": "german"}}, {}, 'the value "default", which is the name of an analyzer'),
        (
            {**BY_FIELD, "languages": {"german": "english", "de": "german"}},
            {},
            'the value "german", which is the name of an analyzer',
        ),
        ({**BY_FIELD, "field": "a b"}, {}, "indexing.full_text_analyzer.field may hold letters"),
        ({**BY_FIELD, "field": "_ab_stream"}, {}, 'full_text_analyzer.field names "_ab_stream"'),
        (BY_FIELD, {"metadata_fields": ["id"]}, 'the metadata field "locale", which processing.metadata_fields leaves'),
        ({"mode": "custom", "params": {}}, {}, "indexing.full_text_analyzer.params must not be empty"),
        ({"mode": "custom", "params": "standard"}, {}, "indexing.full_text_analyzer.params must be an object"),
        ({"mode": "icu"}, {"full_text_search": False}, "full_text_search is off: switch it on"),
    ],
)
def test_what_is_no_analyzer_gets_a_sentence(analyzer: dict[str, Any], indexing: dict[str, Any], says: str) -> None:
    """It names the option and what it may be."""
    with pytest.raises(ConfigError) as error:
        config(analyzer, **indexing)
    assert says in error.value.message


@pytest.mark.parametrize("params", [{"tokenizer": ["a"]}, {"filter": ["lowercase"]}, {"tokenizer": {"type": 7}}])
def test_parameters_without_a_tokenizer_are_left_to_milvus(params: dict[str, Any]) -> None:
    """A server from 2.5 on says itself what is wrong with them; Milvus Lite has none of it."""
    indexing = config({"mode": "custom", "params": params}).indexing
    require_analyzer(indexing, Server("h", "v2.5.0"))
    with pytest.raises(ConfigError, match="another tokenizer than standard and jieba"):
        require_analyzer(indexing, Server("h", "milvus_lite-3.2.2", embedded=True))
    with pytest.raises(ConfigError, match="these parameters"):
        require_analyzer(indexing, Server("h", "v2.4.0"))


@pytest.mark.parametrize("filters", ["lowercase", [7], [{"type": "stop"}], [{"type": "stemmer", "language": "german"}]])
def test_filters_that_milvus_lite_would_ignore_are_refused_there(filters: Any) -> None:
    """It looks at lists of stop words, and at nothing else."""
    indexing = config({"mode": "custom", "params": {"tokenizer": "standard", "filter": filters}}).indexing
    with pytest.raises(ConfigError, match="another filter"):
        require_analyzer(indexing, Server("h", "milvus_lite-3.2.2", embedded=True))


def test_only_a_refusal_is_about_the_analyzer() -> None:
    """What has a meaning of its own keeps it, and so does a refusal where nobody chose an analyzer."""
    chosen, standard = (config(analyzer).indexing for analyzer in ({"mode": "icu"}, {"mode": "standard"}))
    assert isinstance(refused(ValueError("no"), chosen), ConfigError)
    assert isinstance(refused(ValueError("no"), standard), InternalError)
    away = refused(TransientError("away"), chosen)
    assert (type(away), str(away)) == (TransientError, "away")


def test_a_column_for_texts_takes_the_place_of_another() -> None:
    """An analyzer is chosen by a text, whatever the catalog says of the field."""
    number, other = Column("locale", "INT64"), Column("a", "BOOL")
    assert with_text_column((number, other), "locale") == (other, Column("locale", "VARCHAR"))
    assert with_text_column((number, other), None) == (number, other)
