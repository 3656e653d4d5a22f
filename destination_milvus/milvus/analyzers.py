"""How a collection finds the words of its texts: Milvus' analyzers, and which Milvus has them.

Names and versions are those of Milvus' documentation (analyzer-overview, multi-language-analyzers, icu-tokenizer,
lindera-tokenizer) and of its sources (tantivy-binding/src/analyzer); docs/adr/0023 tells what was tried out.
"""
# ruff: noqa: RUF001 - sentences of languages whose letters look like others

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from destination_milvus.config.analyzer import (
    ByFieldAnalyzer,
    CustomAnalyzer,
    FullTextAnalyzer,
    IcuAnalyzer,
    LanguageAnalyzer,
    StandardAnalyzer,
)
from destination_milvus.config.indexing import Indexing
from destination_milvus.errors import ConfigError, InternalError, option
from destination_milvus.milvus.address import described
from destination_milvus.milvus.columns import is_kept_by_milvus
from destination_milvus.milvus.connection import CONNECT_TIMEOUT
from destination_milvus.milvus.errors import is_denied, is_unimplemented, translated
from destination_milvus.milvus.server import Server

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Params: TypeAlias = Mapping[str, Any]
"""Milvus' parameters of an analyzer, as JSON."""

STANDARD: Params = {"type": "standard"}
"""Words of letters and digits, in lower case, none left out: no guess at a language."""

_DICTIONARIES = {"japanese": "ipadic", "korean": "ko-dic"}

_STEMMERS = {"arabic": "arabig"}
"""Milvus' names of stemmers that differ from the language's. This one was a slip that every version still knows."""

_FROM_2_6 = frozenset({"icu", "lindera", "language_identifier"})
"""Tokenizers that begin with Milvus 2.6: 2.5 refuses the first and the last, and has no dictionaries."""

_BY_FIELD_SINCE = (2, 5, 11)
"""Before, `multi_analyzer_params` are taken without a word, and mean nothing."""


def analyzer_options(analyzer: FullTextAnalyzer, *, embedded: bool) -> dict[str, Params]:
    """What a text field is created with, beside `enable_analyzer`, so that its words are found in this way.

    Args:
        analyzer: as configured.
        embedded: whether the collection is Milvus Lite's, where Chinese is the package jieba.

    Returns:
        `analyzer_params` or `multi_analyzer_params`, as arguments of pymilvus' `add_field`.
    """
    if not isinstance(analyzer, ByFieldAnalyzer):
        return {"analyzer_params": _params(analyzer, embedded=embedded)}
    languages = dict.fromkeys(analyzer.languages.values())
    return {
        "multi_analyzer_params": {
            "analyzers": {
                **{language: _of_language(language, embedded=embedded) for language in languages},
                "default": _of_language(analyzer.default, embedded=embedded),
            },
            "by_field": analyzer.field,
            "alias": {value: language for value, language in analyzer.languages.items() if value != language},
        }
    }


def _params(analyzer: FullTextAnalyzer, *, embedded: bool) -> Params:
    if isinstance(analyzer, CustomAnalyzer):
        return analyzer.params
    return _of_language(
        analyzer.language if isinstance(analyzer, LanguageAnalyzer) else analyzer.mode, embedded=embedded
    )


def _of_language(name: str, *, embedded: bool) -> Params:
    """Of a language, or of `standard` or `icu`."""
    if name in {"standard", "english"}:
        return {"type": name}
    if name == "icu":
        return {"tokenizer": "icu", "filter": ["lowercase"]}
    if name == "chinese":
        # Milvus' `chinese`, but for the case of letters: that takes VPN and vpn for two words. Milvus Lite's is lower
        return {"tokenizer": "jieba"} if embedded else {"tokenizer": "jieba", "filter": ["cnalphanumonly", "lowercase"]}
    if name in _DICTIONARIES:
        return {"tokenizer": {"type": "lindera", "dict_kind": _DICTIONARIES[name]}, "filter": ["lowercase"]}
    # no stop words: but for English, whose list the type has, 2.5 does not know them, and says nothing
    stemmer = {"type": "stemmer", "language": _STEMMERS.get(name, name)}
    return {"tokenizer": "standard", "filter": ["lowercase", stemmer]}


# --- what a Milvus can ------------------------------------------------------------------------------------------------


def require_analyzer(indexing: Indexing, server: Server) -> None:
    """Refuse an analyzer that this Milvus does not have, before a collection would be created without it.

    Raises:
        ConfigError: it does not, or not in the version that it tells; the sentence names the one that does.
    """
    analyzer = indexing.full_text_analyzer
    if isinstance(analyzer, StandardAnalyzer):
        return
    field = indexing.analyzer_field
    if field is not None and is_kept_by_milvus(field):
        raise ConfigError(
            f'{option("indexing.full_text_analyzer.field")} is "{field}", a name that Milvus keeps for itself: give '
            "the field another one in processing.field_name_mappings."
        )
    oldest = _oldest(analyzer)
    since = ".".join(map(str, oldest))
    if server.embedded:
        unknown = _unknown_to_lite(analyzer)
        if unknown is not None:
            raise ConfigError(
                f"{option('indexing.full_text_analyzer')} asks for {unknown}, which {server.where} does not know and "
                f"would leave out without a word: name a Milvus server of version {since} or newer, or choose the mode "
                "standard, or the language chinese."
            )
    elif not server.is_from(*oldest):
        raise ConfigError(
            f"{option('indexing.full_text_analyzer')} asks for {_described(analyzer)}, which begins with Milvus "
            f"{since}, and {server.where} {server.named_version}: update Milvus, or choose another mode."
        )


def _oldest(analyzer: FullTextAnalyzer) -> tuple[int, ...]:
    """The first version of Milvus that has an analyzer."""
    names = set(_tokenizers(analyzer_options(analyzer, embedded=False)))
    needed = (2, 6) if names & _FROM_2_6 else (2, 5)
    return max(needed, _BY_FIELD_SINCE) if isinstance(analyzer, ByFieldAnalyzer) else needed


def _tokenizers(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Names of the tokenizers that parameters ask for, at any depth."""
    if isinstance(node, Mapping):
        tokenizer = node.get("tokenizer")
        name = tokenizer.get("type") if isinstance(tokenizer, Mapping) else tokenizer
        if isinstance(name, str):
            yield name
        for value in node.values():
            yield from _tokenizers(value)


def _described(analyzer: FullTextAnalyzer) -> str:
    if isinstance(analyzer, LanguageAnalyzer):
        return f"the words of the language {analyzer.language}"
    if isinstance(analyzer, ByFieldAnalyzer):
        asked = ", ".join(dict.fromkeys([*analyzer.languages.values(), analyzer.default]))
        return f"the words of a language by record ({asked})"
    if isinstance(analyzer, IcuAnalyzer):
        return "the words of any script (icu)"
    return f"the tokenizer {next(_tokenizers(analyzer_options(analyzer, embedded=False)), 'of these parameters')}"


def _unknown_to_lite(analyzer: FullTextAnalyzer) -> str | None:
    """What of an analyzer Milvus Lite 3.2 would refuse or leave out; None where it is all there."""
    if isinstance(analyzer, LanguageAnalyzer) and analyzer.language == "chinese":
        return None
    if not isinstance(analyzer, CustomAnalyzer):
        return _described(analyzer)
    params = analyzer.params
    tokenizer = params.get("tokenizer", params.get("type"))
    options = dict(tokenizer) if isinstance(tokenizer, dict) else {"type": tokenizer}
    if options.get("type") not in ("standard", "jieba"):  # no set: JSON is not always hashable
        return "another tokenizer than standard and jieba"
    known = {"type", "mode", "dict"} if options["type"] == "jieba" else {"type"}
    strange = [*(options.keys() - known), *(params.keys() - {"tokenizer", "type", "filter"})]
    if strange:
        return f"the parameter {min(strange)}"
    filters = params.get("filter", [])
    if not isinstance(filters, list) or not all(map(_is_lites_filter, filters)):
        return "another filter than lowercase and stop with a list of words"
    return None


def _is_lites_filter(item: Any) -> bool:  # noqa: ANN401 - JSON
    """What Milvus Lite does: it puts all words into lower case, and leaves out words of a list."""
    if item == "lowercase":
        return True
    words = item.get("stop_words") if isinstance(item, dict) and item.get("type") == "stop" else None
    # `_english_` and its like name lists of a server's
    return isinstance(words, list) and not any(str(word).startswith("_") for word in words)


# --- what it makes of a sentence --------------------------------------------------------------------------------------

_ANY = "The new printers are not working: error E-4711. 新打印机不工作。"
_SENTENCES = {
    "arabic": "الطابعات الجديدة لا تعمل",
    "chinese": "我登录了网站，新打印机不工作。",
    "danish": "De nye printere virker ikke.",
    "dutch": "De nieuwe printers werken niet.",
    "english": "The new printers are not working.",
    "finnish": "Uudet tulostimet eivät toimi.",
    "french": "Les nouvelles imprimantes ne fonctionnent pas.",
    "german": "In beiden Häusern drucken die neuen Drucker nicht.",
    "greek": "Οι νέοι εκτυπωτές δεν λειτουργούν.",
    "hungarian": "Az új nyomtatók nem működnek.",
    "italian": "Le nuove stampanti non funzionano.",
    "japanese": "新しいプリンターが動きません。",
    "korean": "새 프린터가 작동하지 않습니다.",
    "norwegian": "De nye skriverne virker ikke.",
    "portuguese": "As novas impressoras não funcionam.",
    "romanian": "Imprimantele noi nu funcționează.",
    "russian": "Новые принтеры не работают.",
    "spanish": "Las nuevas impresoras no funcionan.",
    "swedish": "De nya skrivarna fungerar inte.",
    "tamil": "புதிய அச்சுப்பொறிகள் வேலை செய்யவில்லை.",
    "turkish": "Yeni yazıcılar çalışmıyor.",
}


@dataclass(frozen=True, slots=True)
class Analyzed:
    """A sample sentence, and how an analyzer cuts it."""

    sentence: str
    words: tuple[str, ...]


def try_analyzer(client: MilvusClient, indexing: Indexing, server: Server) -> list[Analyzed]:
    """What the configured analyzer makes of a sentence, of one a language; nothing where Milvus does not show it.

    Newer servers show it (`run_analyzer`); Milvus Lite does not.

    Raises:
        ConfigError: Milvus refuses the parameters.
        DestinationError: it does not answer.
    """
    if server.embedded or isinstance(indexing.full_text_analyzer, StandardAnalyzer):
        return []
    analyzed = []
    for sentence, params in _samples(indexing.full_text_analyzer):
        try:
            answer = client.run_analyzer(sentence, dict(params), timeout=CONNECT_TIMEOUT)
        except Exception as error:
            if is_unimplemented(error) or is_denied(error):
                return []
            raise refused(error, indexing) from error
        analyzed.append(Analyzed(sentence, tuple(map(str, answer.tokens))))
    return analyzed


def _samples(analyzer: FullTextAnalyzer) -> Iterator[tuple[str, Params]]:
    options = analyzer_options(analyzer, embedded=False)
    if isinstance(analyzer, ByFieldAnalyzer):
        names = {**options["multi_analyzer_params"]["analyzers"]}
        for name, params in names.items():
            yield _SENTENCES.get(analyzer.default if name == "default" else name, _ANY), params
    else:
        language = analyzer.language if isinstance(analyzer, LanguageAnalyzer) else ""
        yield _SENTENCES.get(language, _ANY), options["analyzer_params"]


def refused(error: Exception, indexing: Indexing) -> Exception:
    """The sentence of an error about a text field with an analyzer: a refusal without a code of its own is about it."""
    failure = translated(error, indexing)
    if not isinstance(failure, InternalError) or isinstance(indexing.full_text_analyzer, StandardAnalyzer):
        return failure
    return ConfigError(
        f"{described(indexing.host)} refuses what {option('indexing.full_text_analyzer')} asks for "
        f"({_described(indexing.full_text_analyzer)}): check it against what this version of Milvus has."
    )
