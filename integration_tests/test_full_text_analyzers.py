"""`indexing.full_text_analyzer` on real analyzers: Milvus Lite's, and those of Milvus 2.5's core."""

# ruff: noqa: RUF001 - languages whose letters and stops look like others

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.check import check_configuration
from destination_milvus.collection import Column
from destination_milvus.config.models import Config, parse_config
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.errors import ConfigError, InternalError
from destination_milvus.milvus.calls import Calls
from destination_milvus.milvus.columns import NO_COLUMNS, ColumnChoice
from destination_milvus.milvus.connection import connect
from destination_milvus.milvus.description import collection_of
from destination_milvus.milvus.filters import contains_any, equals
from destination_milvus.milvus.open import OpenCollection, create_collection, create_indexes
from destination_milvus.milvus.reader import Fusion, Reader, open_reader
from destination_milvus.protocol.catalog import plan_streams
from destination_milvus.protocol.inbox import Inbox, blocks_of
from destination_milvus.write import _sync
from devtools.backends import Backend, config
from devtools.connector import catalog, record, state, stream, write
from devtools.milvus25_engine import Engine
from devtools.milvus_server import NoBuildError, port_of_another
from devtools.milvus_stand_in import milvus_stand_in
from integration_tests.milvus_calls import intercept

TICKETS = catalog(stream("tickets"))
PROCESSING = {"text_fields": ["text"], "include_field_names": False, "metadata_fields": ["id", "status"]}
CHINESE = {1: "我登录了天安门广场的网站", 2: "打印机着火了，请派人修理", 3: "VPN 无法连接: E-4711"}
GERMAN = {1: "In alten Häusern brennt kein Licht", 2: "Das Passwort wurde vergessen"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Milvus 2.5's core."""
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.start()
    except NoBuildError as no_build:
        pytest.skip(f"no engine of Milvus 2.5: {no_build}")
    yield engine
    engine.stop()


class Engined:
    """A collection on the engine.

    It keeps no properties and no functions of a collection, so that `open_collection` would neither find the model nor
    the full-text search of what it has made: those two are told here. All else is the connector's own way.
    """

    def __init__(self, config: Config, embedder: MeteredEmbedder, choice: ColumnChoice) -> None:
        indexing = config.indexing
        self.config, self.embedder = config, embedder
        self.client = connect(indexing)
        create_collection(self.client, config, embedder, choice)
        description = self.client.describe_collection(indexing.collection)
        found = collection_of(description, config, metric_type=indexing.metric_type)
        self.collection = replace(found, full_text_field="sparse", embedding_model=embedder.identity)
        create_indexes(self.client, indexing, self.collection)
        self.reader = Reader(self.client, indexing, self.collection)
        self.reader.load()

    def write(self, *lines: str) -> list[bytes]:
        """A sync of these lines; returns the states that came out."""
        out: list[bytes] = []
        milvus = OpenCollection(Calls(self.client, self.config.indexing, self.collection), is_new=False)
        stdin = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        with closing(Inbox(blocks_of(stdin))) as inbox:
            plans = plan_streams(TICKETS)
            for _ in _sync(self.config, plans, milvus, self.embedder, out.extend, None).steps(inbox):
                pass
        return out


@pytest.fixture
def engined(engine: Engine) -> Iterator[Any]:
    """Makes collections on the engine, dropped after the test."""
    backend = Backend("server", engine.uri)
    made: list[Engined] = []

    def make(analyzer: Mapping[str, Any], choice: ColumnChoice = NO_COLUMNS, **indexing: Any) -> Engined:
        indexing |= {"full_text_search": True, "full_text_analyzer": dict(analyzer)}
        parsed = parse_config(config(backend, processing=PROCESSING, indexing=indexing))
        made.append(Engined(parsed, create_embedder(parsed.embedding, parsed.advanced), choice))
        return made[-1]

    yield make
    for each in made:
        each.client.drop_collection(each.collection.name)
        each.client.close()
        each.embedder.close()


def tickets(texts: Mapping[int, str]) -> list[str]:
    """Records of these texts."""
    return [record({"id": key, "text": text}) for key, text in texts.items()]


def found(reader: Reader, words: str) -> list[int]:
    """Ids of the tickets that words find, the best first."""
    return [hit.entity["id"] for hit in reader.search_words(words, fields=["id"])]


STANDARD = {"mode": "standard"}
BY_LOCALE_PARAMS = {"multi_analyzer_params": {"by_field": "locale", "analyzers": {"default": {"type": "standard"}}}}
LANGUAGE_CASES = [
    (
        {"mode": "language", "language": "chinese"},
        CHINESE,
        {"天安门": [1], "登录": [1], "修理": [2], "vpn": [3], "E-4711": [3]},
        ["天安门", "登录", "修理"],
    ),
    (
        {"mode": "custom", "params": {"tokenizer": "jieba"}},
        CHINESE,
        {"天安门": [1], "登录": [1], "VPN": [3]},
        ["天安门", "登录"],
    ),
    ({"mode": "custom", "params": {"type": "chinese"}}, CHINESE, {"天安门": [1], "登录": [1]}, ["天安门", "登录"]),
    ({"mode": "language", "language": "german"}, GERMAN, {"Haus": [1], "alt": [1], "Passwörter": [2]}, ["Haus"]),
    (
        {"mode": "language", "language": "english"},
        {1: "The printers were burning", 2: "Printed invoices"},
        {"printer": [1], "burn": [1], "the": []},
        ["printer", "burn"],
    ),
    (
        {"mode": "language", "language": "russian"},
        {1: "Новые принтеры сломались"},
        {"принтер": [1]},
        ["принтер"],
    ),
]


@pytest.mark.server
@pytest.mark.parametrize(("analyzer", "texts", "finds", "missed"), LANGUAGE_CASES)
def test_an_analyzer_finds_what_standard_misses(
    engined: Any,
    analyzer: Mapping[str, Any],
    texts: Mapping[int, str],
    finds: Mapping[str, Sequence[int]],
    missed: Sequence[str],
) -> None:
    """Words inside of sentences without spaces, and other forms of a word; in the default way none of them."""
    chosen, standard = engined(analyzer), engined(STANDARD)
    for each in (chosen, standard):
        each.write(*tickets(texts), state(1))
    assert {words: found(chosen.reader, words) for words in finds} == finds
    assert {words: found(standard.reader, words) for words in missed} == {words: [] for words in missed}


@pytest.mark.server
@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("arabic", "المستخدمون الجدد", "المستخدم"),
        ("danish", "nye printere", "printer"),
        ("dutch", "nieuwe printers", "printer"),
        ("finnish", "uudet talot", "talossa"),
        ("french", "les imprimantes ne fonctionnent pas", "imprimante"),
        ("greek", "οι νέοι εκτυπωτές", "εκτυπωτής"),
        ("hungarian", "új nyomtatók", "nyomtató"),
        ("italian", "le stampanti nuove", "stampante"),
        ("norwegian", "nye maskiner", "maskin"),
        ("portuguese", "novas impressoras", "impressora"),
        ("romanian", "imprimantele noi", "imprimante"),
        ("spanish", "las impresoras nuevas", "impresora"),
        ("swedish", "nya skrivare", "skrivaren"),
        ("tamil", "அச்சுப்பொறிகள்", "அச்சுப்பொறி"),
        ("turkish", "kitaplar", "kitap"),
    ],
)
def test_every_language_has_its_stemmer(engined: Any, language: str, text: str, words: str) -> None:
    """One form of a word finds another: the name of the stemmer is one that the engine has."""
    chosen = engined({"mode": "language", "language": language})
    chosen.write(record({"id": 1, "text": text}), state(1))
    assert found(chosen.reader, words) == [1]


@pytest.mark.server
def test_a_record_lives_and_dies_on_the_engine_as_elsewhere(engined: Any) -> None:
    """Upserts, a change of metadata alone, fewer chunks, a deletion; by words, by vector, by both, with a filter."""
    chinese = engined({"mode": "language", "language": "chinese"})
    first = [record({"id": key, "text": text, "status": "new"}) for key, text in CHINESE.items()]
    assert len(chinese.write(*first, state(1))) == 1
    embedded = chinese.embedder.usage.texts
    chinese.write(
        record({"id": 1, "text": CHINESE[1], "status": "solved"}), record({"id": 2, "text": "电话坏了"}), state(2)
    )
    assert chinese.embedder.usage.texts == embedded + 1
    assert found(chinese.reader, "修理") == []
    assert found(chinese.reader, "电话") == [2]
    assert [hit.entity["id"] for hit in chinese.reader.search_words("登录", filter=equals("status", "new"))] == []
    [vector] = chinese.embedder.embed([CHINESE[3]])
    both = chinese.reader.search_both(vector, "天安门", fields=["id"], fusion=Fusion(candidates=1), limit=2)
    assert {hit.entity["id"] for hit in both} == {1, 3}
    chinese.write(record({"id": 1, "_ab_cdc_deleted_at": "2026-01-02"}), state(3))
    assert found(chinese.reader, "天安门") == []
    assert {row["id"] for row in chinese.reader.query('_ab_stream == "tickets"', ["id"])} == {2, 3}


@pytest.mark.server
def test_permissions_are_filtered_by_on_the_engine(engined: Any) -> None:
    """As integration_tests/test_access.py has it on the others; a change of access embeds nothing."""
    made = engined(STANDARD)
    made.write(record({"id": 1, "text": "a", "status": ["staff"]}), record({"id": 2, "text": "b"}), state(1))
    embedded = made.embedder.usage.texts
    for groups, ids in ((["staff", "x"], [1]), (["board"], []), ([], [])):
        assert [row["id"] for row in made.reader.query(contains_any("status", groups), ["id"])] == ids
    made.write(record({"id": 1, "text": "a", "status": ["board"]}), state(2))
    assert [row["id"] for row in made.reader.query(contains_any("status", ["board"]), ["id"])] == [1]
    assert made.reader.query(contains_any("status", ["staff"]), ["id"]) == []
    assert made.embedder.usage.texts == embedded


@pytest.mark.server
def test_a_milvus_that_does_not_tell_its_version_gets_what_it_has(
    engined: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says what it is taken for, and one each that it has no partitions and no columns with nulls.

    This one refuses both, in its own time: columns at once, partitions with the first filter.
    """
    wanted = {"indexed_metadata_fields": ["status"], "partition_key": "status"}
    made = engined(STANDARD, ColumnChoice((Column("status", "VARCHAR"),), ()), **wanted)
    for said in ("taken for Milvus 2.5.0", "dynamic fields without an index", "without partitions"):
        assert len([line for line in caplog.messages if said in line]) == 1
    assert (made.collection.partition_key, made.collection.columns) == (None, {})
    made.write(record({"id": 1, "text": "a", "status": "new"}), record({"id": 2, "text": "b"}), state(1))
    rows = made.reader.query(equals("status", "new"), ["id"])
    assert [row["id"] for row in rows] == [1]


# --- Milvus Lite ------------------------------------------------------------------------------------------------------


def lite_config(lite: Backend, analyzer: Mapping[str, Any], **overrides: Any) -> dict[str, Any]:
    """A configuration with an analyzer for Milvus Lite."""
    indexing = {"full_text_search": True, "full_text_analyzer": dict(analyzer), **overrides}
    return config(lite, processing=PROCESSING, indexing=indexing)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    """A Milvus Lite of its own."""
    lite = Backend("lite", str(tmp_path / "milvus.db"))
    yield lite
    lite.release()


@contextmanager
def reading(raw: Mapping[str, Any]) -> Iterator[Reader]:
    """The collection of a configuration, open for reading."""
    parsed = parse_config(raw)
    with (
        closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder,
        open_reader(parsed, embedder) as reader,
    ):
        yield reader


def test_chinese_is_jieba_on_milvus_lite(lite: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """The same option as on a server finds the same words; nothing is said of it on the way."""
    raw = lite_config(lite, {"mode": "language", "language": "chinese"})
    check_configuration(raw)
    write(raw, TICKETS, [*tickets(CHINESE), state(1)])
    check_configuration(raw)
    assert not [line for line in caplog.messages if "analyzer" in line]
    lite.release()
    parsed = parse_config(raw)
    with (
        closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder,
        open_reader(parsed, embedder) as reader,
    ):
        assert reader.collection.analyzer == {"analyzer_params": {"tokenizer": "jieba"}}
        for words, ids in {"天安门": [1], "登录": [1], "修理": [2], "vpn": [3]}.items():
            assert found(reader, words) == ids
        assert [hit.entity["id"] for hit in reader.search_words("登录", fields=["id"], language="chinese")] == [1]


def test_a_search_says_in_which_language_its_words_are(lite: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a field chooses the analyzer: a query that is cut otherwise than the texts finds nothing. Elsewhere not."""
    raw = lite_config(lite, STANDARD)
    write(raw, TICKETS, [*tickets(GERMAN), state(1)])
    lite.release()
    asked: list[list[str | None]] = []

    def keep(call: Any, request: Any, options: dict[str, Any]) -> Any:
        parts = request.requests if hasattr(request, "requests") else [request]
        pairs = [{pair.key: pair.value for pair in part.search_params} for part in parts]
        asked.append([each.get("analyzer_name") for each in pairs])
        return call(request, **options)

    for call in ("Search", "HybridSearch"):
        intercept(monkeypatch, call, keep)
    with reading(raw) as reader:
        [vector] = FakeEmbedder().embed([GERMAN[1]])
        for analyzer in ({}, BY_LOCALE_PARAMS):
            by_locale = Reader(reader._client, reader._indexing, replace(reader.collection, analyzer=analyzer))
            by_locale.search_words("Haus", language="de")
            by_locale.search_words("Haus")
            by_locale.search_both(vector, "Haus", language="de")
            by_locale.search(vector)
    assert asked == [[None], [None], [None, None], [None], ["de"], [None], [None, "de"], [None]]


@pytest.mark.parametrize(
    ("analyzer", "named"),
    [
        ({"mode": "language", "language": "german"}, ["the language german", "2.5 or newer"]),
        ({"mode": "language", "language": "japanese"}, ["the language japanese", "2.6 or newer"]),
        ({"mode": "icu"}, ["icu", "2.6 or newer"]),
        (
            {"mode": "by_field", "field": "status", "languages": {"de": "german"}},
            ["by record (german, standard)", "2.5.11 or newer"],
        ),
        ({"mode": "custom", "params": {"type": "english"}}, ["another tokenizer"]),
        ({"mode": "custom", "params": {"tokenizer": "standard", "filter": ["asciifolding"]}}, ["another filter"]),
        (
            {
                "mode": "custom",
                "params": {"tokenizer": "standard", "filter": [{"type": "stop", "stop_words": ["_english_"]}]},
            },
            ["another filter"],
        ),
        ({"mode": "custom", "params": {"tokenizer": {"type": "jieba", "hmm": True}}}, ["the parameter hmm"]),
        ({"mode": "custom", "params": {"type": "standard", "stop_words": ["a"]}}, ["the parameter stop_words"]),
    ],
)
def test_what_milvus_lite_would_leave_out_is_refused(
    lite: Backend, analyzer: Mapping[str, Any], named: Sequence[str]
) -> None:
    """By `check`, before there is a database and with one, and by `write`, which creates no collection."""
    raw = lite_config(lite, analyzer)
    for command in (lambda: check_configuration(raw), lambda: write(raw, TICKETS, tickets(GERMAN))):
        with pytest.raises(ConfigError, match=r"indexing\.full_text_analyzer asks for") as error:
            command()
        assert all(word in error.value.message for word in named)
    with lite.client() as client:
        assert client.list_collections() == []
    with pytest.raises(ConfigError, match="would leave out without a word"):
        check_configuration(raw)


def test_parameters_that_milvus_lite_has_are_taken_as_they_are(lite: Backend) -> None:
    """Stop words of one's own, for example."""
    stop = {"type": "stop", "stop_words": ["das", "in"]}
    raw = lite_config(lite, {"mode": "custom", "params": {"tokenizer": "standard", "filter": ["lowercase", stop]}})
    write(raw, TICKETS, [*tickets(GERMAN), state(1)])
    lite.release()
    parsed = parse_config(raw)
    with (
        closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder,
        open_reader(parsed, embedder) as reader,
    ):
        assert (found(reader, "Das"), found(reader, "Passwort")) == ([], [2])


def test_a_collection_remembers_its_analyzer(lite: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Another one in the configuration is named, with the collection's, by `check` and `write`; the words stay."""
    raw = lite_config(lite, STANDARD)
    write(raw, TICKETS, [*tickets(CHINESE), state(1)])
    raw["indexing"]["full_text_analyzer"] = {"mode": "language", "language": "chinese"}
    for command in (lambda: write(raw, TICKETS, [state(2)]), lambda: check_configuration(raw)):
        caplog.clear()
        command()
        [line] = [line for line in caplog.messages if "full_text_analyzer" in line]
        assert '{"tokenizer": "jieba"}' in line
        assert '{"type": "standard"}' in line
        assert "new collection" in line


def test_a_missing_jieba_gets_a_sentence(lite: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made where Chinese is configured; and where only the collection is Chinese."""
    chinese = lite_config(lite, {"mode": "language", "language": "chinese"})
    write(chinese, TICKETS, [*tickets(CHINESE), state(1)])
    lite.release()
    monkeypatch.setattr("destination_milvus.milvus.address.find_spec", lambda name: None if name == "jieba" else name)
    monkeypatch.setitem(sys.modules, "jieba", None)
    for command in (lambda: check_configuration(chinese), lambda: write(chinese, TICKETS, [])):
        with pytest.raises(ConfigError, match=r"indexing\.full_text_analyzer asks for Chinese.*\[lite,chinese\]"):
            command()
    unaware = {**chinese, "indexing": {**chinese["indexing"], "full_text_analyzer": STANDARD}}
    for command in (lambda: check_configuration(unaware), lambda: write(unaware, TICKETS, tickets(CHINESE))):
        with pytest.raises(ConfigError, match=r"package jieba, which is not installed"):
            command()


# --- servers of other versions ----------------------------------------------------------------------------------------

STAND_IN_PORT = port_of_another(9)
BY_LOCALE = {
    "mode": "by_field",
    "field": "locale",
    "languages": {"de": "german", "de-at": "german", "zh-cn": "chinese", "english": "english"},
    "default": "icu",
}


def remote_config(**indexing: Any) -> dict[str, Any]:
    """A configuration for the stand-in."""
    processing = {**PROCESSING, "metadata_fields": ["id", "locale"]}
    stood_in = Backend("server", f"http://127.0.0.1:{STAND_IN_PORT}")
    return config(stood_in, processing=processing, indexing={"full_text_search": True, **indexing})


@pytest.mark.parametrize(
    ("analyzer", "version", "since"),
    [
        ({"mode": "language", "language": "german"}, "v2.4.15", "2.5"),
        ({"mode": "language", "language": "chinese"}, "v2.3.5", "2.5"),
        ({"mode": "language", "language": "japanese"}, "v2.5.17", "2.6"),
        ({"mode": "icu"}, "v2.5.17", "2.6"),
        ({"mode": "icu"}, None, "2.6"),
        ({"mode": "custom", "params": {"tokenizer": {"type": "lindera", "dict_kind": "ipadic"}}}, "2.5.1", "2.6"),
        ({**BY_LOCALE, "default": "standard"}, "v2.5.10", "2.5.11"),
        ({**BY_LOCALE, "default": "standard"}, None, "2.5.11"),
        (BY_LOCALE, "v2.5.11", "2.6"),
    ],
)
def test_what_begins_later_is_refused_with_the_version_that_has_it(
    analyzer: Mapping[str, Any], version: str | None, since: str
) -> None:
    """By `check` and by `write`, and no collection is created."""
    raw = remote_config(full_text_analyzer=dict(analyzer))
    with milvus_stand_in(STAND_IN_PORT, version) as milvus:
        for command in (lambda: check_configuration(raw), lambda: write(raw, TICKETS, [])):
            with pytest.raises(ConfigError, match=r"indexing\.full_text_analyzer asks for") as error:
                command()
            assert f"begins with Milvus {since}, and" in error.value.message
            assert (version or "does not tell its version") in error.value.message
    assert milvus.created == []


def test_check_shows_how_a_sentence_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """A line a language, where Milvus can say it; where it cannot, none."""
    caplog.set_level(logging.INFO)
    raw = remote_config(full_text_analyzer=BY_LOCALE)
    with milvus_stand_in(STAND_IN_PORT, "v2.6.3", lambda _, text: text.lower().split()) as milvus:
        check_configuration(raw)
    lines = [line for line in caplog.messages if line.startswith("Full-text search finds")]
    assert len(lines) == len(milvus.analyzed) == 4
    assert "by the words in | beiden | häusern" in lines[0]
    caplog.clear()
    with milvus_stand_in(STAND_IN_PORT, "v2.6.3"):
        check_configuration(raw)
    assert caplog.messages == []


def test_parameters_that_milvus_refuses_get_a_sentence_before_a_collection_is_created() -> None:
    """It names the option; Milvus' own words, which may quote anything, are not repeated."""

    def refuse(params: Mapping[str, Any], text: str) -> Sequence[str]:
        raise ValueError(f"unsupported tokenizer: {params['tokenizer']} {text}")

    raw = remote_config(full_text_analyzer={"mode": "custom", "params": {"tokenizer": "nonsense"}})
    with milvus_stand_in(STAND_IN_PORT, "v2.5.14", refuse) as milvus:
        for command in (lambda: check_configuration(raw), lambda: write(raw, TICKETS, [])):
            with pytest.raises(ConfigError, match=r"refuses what indexing\.full_text_analyzer asks for") as error:
                command()
            assert "PLANTED" not in error.value.message
            assert "the tokenizer nonsense" in error.value.message
    assert milvus.created == []


def test_parameters_that_only_the_collection_shows_to_be_wrong_get_the_sentence_too() -> None:
    """Servers without `run_analyzer` refuse the collection; where no analyzer was chosen, it is not about that."""
    raw = remote_config(full_text_analyzer={"mode": "custom", "params": {"tokenizer": "nonsense"}})
    with milvus_stand_in(STAND_IN_PORT, "v2.5.4", refuses=True):
        check_configuration(raw)
        with pytest.raises(ConfigError, match=r"refuses what indexing\.full_text_analyzer asks for") as error:
            write(raw, TICKETS, [])
        assert "PLANTED" not in error.value.message
        with pytest.raises(InternalError):
            write(remote_config(), TICKETS, [])


def created_on(version: str, **indexing: Any) -> dict[str, dict[str, Any]]:
    """The fields of the collection that a server of a version is asked to create."""
    parsed = parse_config(remote_config(**indexing))
    with (
        milvus_stand_in(STAND_IN_PORT, version) as milvus,
        closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder,
        closing(connect(parsed.indexing)) as client,
    ):
        create_collection(client, parsed, embedder, NO_COLUMNS)
    [fields] = milvus.created
    return fields


@pytest.mark.parametrize(
    ("analyzer", "documented"),
    [
        # https://milvus.io/docs/icu-tokenizer.md
        ({"mode": "icu"}, {"tokenizer": "icu", "filter": ["lowercase"]}),
        # https://milvus.io/docs/lindera-tokenizer.md
        (
            {"mode": "language", "language": "japanese"},
            {"tokenizer": {"type": "lindera", "dict_kind": "ipadic"}, "filter": ["lowercase"]},
        ),
        (
            {"mode": "language", "language": "korean"},
            {"tokenizer": {"type": "lindera", "dict_kind": "ko-dic"}, "filter": ["lowercase"]},
        ),
        # https://milvus.io/docs/stemmer-filter.md
        (
            {"mode": "language", "language": "spanish"},
            {"tokenizer": "standard", "filter": ["lowercase", {"type": "stemmer", "language": "spanish"}]},
        ),
        ({"mode": "language", "language": "english"}, {"type": "english"}),
        (STANDARD, {"type": "standard"}),
    ],
)
def test_a_text_field_is_made_as_milvus_documents_it(
    analyzer: Mapping[str, Any], documented: Mapping[str, Any]
) -> None:
    """Analyzers that no engine here has are compared with their documentation."""
    text = created_on("v2.6.0", full_text_analyzer=dict(analyzer))["text"]
    assert text["enable_analyzer"] == "true"
    assert text["analyzer_params"] == documented
    assert "multi_analyzer_params" not in text


@pytest.mark.parametrize("version", ["v2.6.0", "Zilliz Cloud Vector Database(Compatible with Milvus 2.6)"])
def test_an_analyzer_by_field_is_made_as_milvus_documents_it(version: str) -> None:
    """https://milvus.io/docs/multi-language-analyzers.md: an analyzer a language, the values as aliases, and a column.

    The column takes nulls, as the one of Milvus' own example does: a record without the field has the default analyzer.
    """
    fields = created_on(version, full_text_analyzer=BY_LOCALE)
    assert fields["text"]["multi_analyzer_params"] == {
        "analyzers": {
            "german": {"tokenizer": "standard", "filter": ["lowercase", {"type": "stemmer", "language": "german"}]},
            "chinese": {"tokenizer": "jieba", "filter": ["cnalphanumonly", "lowercase"]},
            "english": {"type": "english"},
            "default": {"tokenizer": "icu", "filter": ["lowercase"]},
        },
        "by_field": "locale",
        "alias": {"de": "german", "de-at": "german", "zh-cn": "chinese"},
    }
    assert "analyzer_params" not in fields["text"]
    assert fields["locale"] == {"type": "VarChar", "nullable": True, "max_length": "65535"}


def test_the_field_of_an_analyzer_has_a_name_that_a_column_can_have() -> None:
    """Milvus' own names cannot be filtered or searched by."""
    raw = remote_config(full_text_analyzer={**BY_LOCALE, "field": "Timestamp"})
    raw["processing"]["metadata_fields"] = []
    with milvus_stand_in(STAND_IN_PORT, "v2.6.0"), pytest.raises(ConfigError, match=r"full_text_analyzer\.field is"):
        check_configuration(raw)


@pytest.mark.server
def test_a_real_server_without_analyzers_gets_no_collection(milvus_server: Any) -> None:
    """Without an analyzer 2.3.5 is searched by vectors alone, and told so; a language is what somebody asked for."""
    server = Backend("server", milvus_server.uri)
    indexing = {"full_text_search": True, "full_text_analyzer": {"mode": "language", "language": "german"}}
    raw = config(server, processing=PROCESSING, indexing=indexing)
    for command in (lambda: check_configuration(raw), lambda: write(raw, TICKETS, tickets(GERMAN))):
        with pytest.raises(ConfigError, match=r"begins with Milvus 2\.5, and .* has the version .*2\.3\.5"):
            command()
    with server.client() as client:
        assert raw["indexing"]["collection"] not in client.list_collections()
