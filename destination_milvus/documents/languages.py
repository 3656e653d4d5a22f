"""Whether a bundled model knows the language of what it embeds, told by the first texts. Pure.

A guess by script and by the most frequent words: enough to tell English from what is not, and no more. It decides
nothing but whether a sentence is said. On GNOME's help in stretches of 400 characters it took all 904 of English for
English, and of 41 other languages nothing but 19 of 21,000; at least 96 % of each were found out, but for Latvian (95),
Vietnamese (94) and Lithuanian (21 of 30).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, Embedding, LocalEmbedding

ENOUGH = 400
"""Letters before anything is said; most batches bring them at once."""

LOOKED_AT = 100_000
"""Characters of a call that are looked at: some 10 ms."""

MULTILINGUAL_SCRIPTS = (
    "LATIN", "CYRILLIC", "ARABIC", "THAI", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "HALFWIDTH", "FULLWIDTH",
    "MODIFIER",
)  # fmt: skip
"""Those of the 16 languages of universal-sentence-encoder-multilingual, as Unicode's names of letters begin."""

_ENGLISH = (
    "the of and to that it with are this be by from have has your you can will which when if not does been they their "
    "there what how"
)
_OTHERS = (
    "der die das und nicht ist sie ein eine mit auf für den dem zu ich werden oder wenn sich auch von",  # German
    "le les des et une est dans pour que qui sur pas vous votre avec",  # French
    "el los las del una por con para que es su se lo como",  # Spanish
    "os um uma não da em para com ao você seu que",  # Portuguese
    "il di che è una non con sono gli della nel",  # Italian
    "het een van en niet dat zijn op voor met je",  # Dutch
    "nie się na jest że lub aby w z",  # Polish
    "och att det som är på inte med av ikke til",  # Swedish, Danish, Norwegian
    "ja ei että tai kun",  # Finnish
    "se na že nebo pro pokud alebo ako sa",  # Czech, Slovak
    "ve bir bu için ile veya",  # Turkish
    "és egy nem hogy az vagy",  # Hungarian
    "și nu să care pentru",  # Romanian
    "yang dan untuk dari ini",  # Indonesian
    "và của không các",  # Vietnamese
    "els amb per més",  # Catalan
    "je za koji ili ako",  # Croatian, Slovenian
    "ir un kas arba ar",  # Lithuanian, Latvian
)
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_OTHER_WORDS = frozenset(" ".join(_OTHERS).split())
_WORD = re.compile(r"[^\W\d_]+")


_NOT_ENGLISH = (
    "Most of the first %d texts are not in English, and the model %s was trained on English: searches by meaning will "
    f"find little of them. Set embedding.model to {MULTILINGUAL}, which knows 16 languages, and indexing.collection to "
    "a new one: a collection holds vectors of one model."
)
_UNKNOWN_SCRIPT = (
    "Most of the first %d texts are in a script that the model %s does not know: searches by meaning will not find "
    "them. Set embedding.mode to a service whose model knows it, and indexing.collection to a new one: a collection "
    "holds vectors of one model."
)


class Impression:
    """What the first texts say about a model that is to embed them; of models that are not bundled nothing."""

    __slots__ = ("_letters", "_model", "_texts")

    def __init__(self, embedding: Embedding) -> None:
        self._model = embedding.model if isinstance(embedding, LocalEmbedding) else None
        self._letters: Counter[bool] = Counter()
        self._texts = 0

    @property
    def is_complete(self) -> bool:
        """Whether further texts are of no use."""
        return self._model is None or self._letters.total() >= ENOUGH

    def look(self, texts: Iterable[str]) -> None:
        """Take texts in, until there are enough."""
        if self.is_complete:
            return
        known = is_english if self._model == MINILM else is_multilingual
        left = LOOKED_AT
        for text in texts:
            self._texts += 1
            answer = known(text[:left])
            if answer is not None:
                self._letters[answer] += len(text[:left])
            left -= len(text)
            if left <= 0:
                break

    @property
    def doubt(self) -> str | None:
        """Why the model will not find them, and what to set; None while that is not known, or where it will."""
        if self._model is None or not self.is_complete or self._letters[False] <= self._letters[True]:
            return None
        return (_NOT_ENGLISH if self._model == MINILM else _UNKNOWN_SCRIPT) % (self._texts, self._model)


def is_english(text: str) -> bool | None:
    """Whether a text is English rather than another language; None where it has no word that would tell."""
    scripts = _scripts(text)
    if scripts.total() > 2 * scripts["LATIN"]:
        return False
    words = Counter(word.lower() for word in _WORD.findall(text))
    english, other = _count(words, _ENGLISH_WORDS), _count(words, _OTHER_WORDS)
    return None if english == other else english > other


def is_multilingual(text: str) -> bool | None:
    """Whether a text is in scripts of the multilingual model; None where it has no letters."""
    scripts = _scripts(text)
    if not scripts:
        return None
    known = sum(scripts[name] for name in MULTILINGUAL_SCRIPTS)
    return 2 * known >= scripts.total()


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script."""
    found: Counter[str] = Counter()
    for letter, count in Counter(filter(str.isalpha, text)).items():
        found[unicodedata.name(letter, "").partition(" ")[0]] += count
    return found


def _count(words: Counter[str], wanted: Iterable[str]) -> int:
    return sum(words[word] for word in wanted)
