"""A document becomes the texts to embed: encoded once, cut where the text allows it.

    document → context on top, bytes below → window of chunk_size tokens → best cut in it → chunk → next window

The text is encoded in blocks and the end of each token kept in bytes: a window of n tokens is then a look-up, and
a separator in it one `rfind`. A cut may divide a token, and so add some, hence the tokens of a chunk are counted
and not read off. Encoding again would double the work, but cl100k has borders that hold in any text (`_BORDER`):
from the first to the last of them in a chunk the block's tokens are the chunk's, and only the few bytes outside
are encoded again. A text without such borders (base64, Chinese) is encoded a second time.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from destination_milvus.config.processing import CodeSplitter, MarkdownSplitter
from destination_milvus.documents.scripts import (
    CLAUSE_END,
    SENTENCE_END,
    character_end,
    character_start,
    divided,
    last_end,
)
from destination_milvus.documents.tokenizer import count_tokens, encoding, token_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from destination_milvus.config.processing import Processing, TextSplitter
    from destination_milvus.model import Document

CHUNKER_VERSION = 2
"""Part of every fingerprint: raise it with any change that makes other chunks of the same text."""

MAX_TEXT_BYTES = 65_535
"""UTF-8 bytes of a chunk: the most that a VARCHAR of a Milvus server holds."""

_BLOCK_BYTES = 1 << 19
"""Bytes encoded at a time: keeps memory flat, and is far above the 65,535 of the widest window."""

_REACH = 256
"""Bytes from either end of a chunk within which a border is looked for."""

_FIRST_NON_ASCII = 0x80

_BLANK_LINE = "\n\n"

# Borders that cl100k's pattern puts into any text, whatever stands around them. It lets a space or tab be only the
# first of a piece or inside a run of whitespace, so a piece ends after every other character that a space follows; and
# no piece goes on behind letters or digits into a line break. Characters are told apart by their first byte: those
# under C2, E1, E2 and E3 are left out, since Unicode's other spaces are among them.
_BORDER_PATTERN = (
    rb"(?:[!-~]|[\xc3-\xdf][\x80-\xbf]|[\xe0\xe4-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})(?=[ \t])"
    rb"|[0-9A-Za-z](?=[\r\n])"
)
_BORDER = re.compile(_BORDER_PATTERN)
_LAST_BORDER = re.compile(rb"(?s:.*)(?:" + _BORDER_PATTERN + rb")")

# All of Unicode's whitespace, and the four separators of ASCII that Python counts as such
_SPACE = re.compile(
    rb"(?:[\s\x1c-\x1f]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)*"
)
_WORD_START = re.compile(rb"(?<=\s)\S")
_HEADING_OR_FENCE = re.compile(rb"^ {0,3}(?:(#{1,6})(?=[ \t])|(`{3,}(?=[^`\n]*$)|~{3,})([^\n]*))", re.MULTILINE)


class Cut(NamedTuple):
    """Where one chunk ends and the next goes on, in bytes of the text."""

    end: int
    resume: int
    """At or behind `end`: a dropped separator lies between the two."""
    overlap: bool = True
    """Whether the next chunk may begin with the end of this one."""


class Border(Protocol):
    """A kind of place at which a text may be cut."""

    def last(self, data: bytes, lower: int, upper: int) -> Cut | None:
        """The last such place with `lower` ≤ end ≤ `upper`."""
        ...


@dataclass(frozen=True, slots=True)
class Separator:
    """Cut before a fixed string; the empty one is found everywhere."""

    separator: bytes
    keep: bool
    """Whether the next chunk begins with the separator (as in langchain) or it is dropped."""

    def last(self, data: bytes, lower: int, upper: int) -> Cut | None:
        """As `Border.last`."""
        width = len(self.separator)
        found = data.rfind(self.separator, lower, upper + width)
        return None if found < 0 else Cut(found, found if self.keep else found + width)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Cut before a match, which the next chunk begins with."""

    pattern: re.Pattern[bytes]

    def last(self, data: bytes, lower: int, upper: int) -> Cut | None:
        """As `Border.last`; a match of nothing (LaTeX's `$` is written as one) is no place to cut."""
        starts = [match.start() for match in self.pattern.finditer(data, lower, upper) if match.group()]
        return Cut(starts[-1], starts[-1]) if starts else None


@dataclass(frozen=True, slots=True)
class Headings:
    """Cut before the headings of one level; a section starts clean, without the end of the one before."""

    offsets: list[int]

    def last(self, data: bytes, lower: int, upper: int) -> Cut | None:  # noqa: ARG002 - found beforehand
        """As `Border.last`."""
        index = bisect_right(self.offsets, upper) - 1
        if index < 0 or self.offsets[index] < lower:
            return None
        return Cut(self.offsets[index], self.offsets[index], overlap=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Cut behind a mark of punctuation, in scripts other than Latin: `scripts`."""

    pattern: re.Pattern[bytes]

    def last(self, data: bytes, lower: int, upper: int) -> Cut | None:
        """As `Border.last`."""
        end = last_end(self.pattern, data, lower, upper)
        return None if end is None else Cut(end, end)


_MARKS = (Mark(SENTENCE_END), Mark(CLAUSE_END))


def _text_borders(separators: Sequence[str], *, keep: bool) -> tuple[Border, ...]:
    """Separators; before a text is cut between words or anywhere, marks of punctuation are looked for."""
    borders: list[Border] = [Separator(text.encode(), keep) for text in separators]
    words = next((place for place, text in enumerate(separators) if text in {" ", ""}), len(separators))
    if words:  # who begins with one of the two wants just that
        borders[words:words] = _MARKS
    return tuple(borders)


_TEXT_BORDERS = _text_borders(("\n\n", "\n", " ", ""), keep=False)


@dataclass(frozen=True, slots=True)
class Chunker:
    """Splits documents as one configuration says. Safe to share between threads."""

    size: int
    """Most tokens (cl100k) of a chunk, context included."""
    overlap: int = 0
    """Tokens of a chunk with which the next begins; below `size`."""
    borders: tuple[Border, ...] = _TEXT_BORDERS
    """Places to cut, the best first. The best kind that occurs in the upper half of a window is taken."""
    heading_level: int = 0
    """Markdown headings up to this level go before all borders, in the whole window; 0 for none."""
    max_bytes: int = MAX_TEXT_BYTES
    """Most UTF-8 bytes of a chunk: what the collection's field holds."""

    @classmethod
    def configured(cls, processing: Processing, max_bytes: int = MAX_TEXT_BYTES) -> Chunker:
        """The chunker of a configuration, for a collection whose texts have at most so many bytes."""
        splitter = processing.text_splitter
        level = splitter.split_level if isinstance(splitter, MarkdownSplitter) else 0
        return cls(processing.chunk_size, processing.chunk_overlap, _borders(splitter), level, max_bytes)

    def split(self, document: Document) -> list[str]:
        """The texts to embed, in the order of the document; none where it has no text but whitespace.

        Each has at most `size` tokens and `max_bytes` bytes, begins with no whitespace, and has the
        document's context and a blank line on top. A context that takes more than half of a chunk is cut to that
        half. Characters stay whole: with `size` below 8 a character of several tokens may exceed it.
        """
        data = document.text.encode("utf-8", "replace").rstrip()
        data = data[_skip_space(data, 0) :]
        if not data:
            return []
        lead = self._lead(document.context)
        # a token has at least one byte: what has few bytes needs no counting
        if len(lead.encode()) + len(data) <= min(self.size, self.max_bytes):
            return [lead + data.decode()]
        return [lead + piece for piece in self._pieces(data, lead)]

    def _pieces(self, data: bytes, lead: str) -> Iterator[str]:
        """`data` in pieces that leave room for `lead`, whose tokens stay the same in front of any of them."""
        tokens = self.size - count_tokens(lead)
        headings = tuple(map(Headings, _heading_offsets(data, self.heading_level)))
        # in ASCII there are no marks of the other scripts to look for
        borders = tuple(border for border in self.borders if not (data.isascii() and isinstance(border, Mark)))
        splitting = _Splitting(data, tokens, self.max_bytes - len(lead.encode()), self.overlap, borders, headings)
        return splitting.pieces()

    def _lead(self, context: str) -> str:
        """What stands on top of every chunk: at most half of its tokens and of its bytes."""
        room = self.size // 2
        data = context.strip().encode("utf-8", "replace")
        if not data or len(data) + len(_BLANK_LINE) <= min(room, self.max_bytes // 2):
            return data.decode() + _BLANK_LINE if data else ""
        data = data[: self.max_bytes // 2 - len(_BLANK_LINE)].decode(errors="ignore").encode()
        for tokens in range(room, 0, -1):
            first = next(_Splitting(data, tokens, len(data), 0, _TEXT_BORDERS, ()).pieces())
            if count_tokens(first + _BLANK_LINE) <= room:
                return first + _BLANK_LINE
        return ""


class _Block:
    """The tokens of a stretch of the text that begins with a chunk."""

    __slots__ = ("data", "ends", "start", "stop")

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.start = start
        self.stop = character_start(data, min(start + _BLOCK_BYTES, len(data)))
        tokens = encoding().encode_ordinary(data[start : self.stop].decode())
        lengths = accumulate(map(token_lengths().__getitem__, tokens), initial=start)
        self.ends = list(lengths)[1:]

    def holds(self, start: int, tokens: int, size: int) -> bool:
        """Whether a window of `tokens` and `size` bytes from `start` lies in the block, as far as there is text."""
        inside = bisect_right(self.ends, start) + tokens < len(self.ends) or start + size < self.stop
        return start >= self.start and (inside or self.stop == len(self.data))

    def window(self, start: int, tokens: int) -> int:
        """End of the `tokens` tokens from `start`, in bytes; of the block, where it has fewer."""
        last = bisect_right(self.ends, start) + tokens - 1
        return self.ends[last] if last < len(self.ends) else self.stop

    def count(self, start: int, end: int) -> int:
        """Exact number of tokens of `data[start:end]` as a text of its own."""
        data = self.data
        first = _BORDER.search(data, start, min(start + _REACH, end))
        if first is None:
            return _count(data[start:end])
        head = first.end()
        last = _LAST_BORDER.match(data, max(head, end - _REACH), end + 1)
        if last is None:
            return _count(data[start:end])
        tail = last.end()
        between = bisect_left(self.ends, tail) - bisect_left(self.ends, head)
        return _count(data[start:head]) + between + _count(data[tail:end])


@dataclass(slots=True)
class _Splitting:
    """One text on its way into pieces. All offsets are bytes, at the first byte of a character."""

    data: bytes
    """Not empty; begins with no whitespace and ends with none of ASCII's."""
    tokens: int
    """Most tokens of a piece."""
    size: int
    """Most bytes of a piece."""
    overlap: int
    borders: tuple[Border, ...]
    headings: tuple[Headings, ...]
    block: _Block = field(init=False)

    def pieces(self) -> Iterator[str]:
        """The pieces in order. Each goes on beyond the one before by at least one character that is no space."""
        self.block = _Block(self.data, 0)
        start = done = 0
        while done < len(self.data):
            start, cut = self._fit(start, done)
            end = self._trimmed(start, cut.end)
            yield self.data[start:end].decode()
            done = _skip_space(self.data, cut.resume)
            start = self._next_start(start, end, done) if self.overlap and cut.overlap else done

    def _fit(self, start: int, done: int) -> tuple[int, Cut]:
        """Start and end of the next piece: the widest that holds both limits and ends behind `done`."""
        if not self.block.holds(start, self.tokens, self.size):
            self.block = _Block(self.data, start)
        allowed, step = self.tokens, 1
        while (upper := self._window(start, allowed)) > done:
            cut = self._cut(start, done, upper)
            excess = self.block.count(start, self._trimmed(start, cut.end)) - self.tokens
            if excess <= 0 or allowed <= 0:
                return self._whole_word(start, done, cut)
            allowed -= max(excess, step)
            step *= 2
        return self._fit(done, done)  # the overlap leaves no room for anything new: do without it

    def _whole_word(self, start: int, done: int, cut: Cut) -> tuple[int, Cut]:
        """The piece, or if its overlap leaves so little that a word is divided, the one without where that helps."""
        if start < done and self._divides_word(cut):
            fresh = self._fit(done, done)
            return (start, cut) if self._divides_word(fresh[1]) else fresh
        return start, cut

    def _divides_word(self, cut: Cut) -> bool:
        around = self.data[cut.end - 1 : cut.end + 1]
        return len(around) > 1 and around.isalnum()

    def _window(self, start: int, allowed: int) -> int:
        """End of the widest piece from `start`, at least one character; without tokens, of one that surely fits."""
        width = self.size if allowed > 0 else min(self.size, self.tokens)
        upper = min(start + width, len(self.data))
        if allowed > 0:
            upper = min(upper, self.block.window(start, allowed))
        upper = character_start(self.data, upper)
        whole = divided(self.data, upper).start
        if whole > start:
            return whole
        return upper if upper > start else character_end(self.data, start)

    def _cut(self, start: int, done: int, upper: int) -> Cut:
        """The best place to end the piece from `start`, behind `done` and at most at `upper`."""
        if upper == len(self.data):
            return Cut(upper, upper)
        lower = done + 1
        middle = min(max(start + (upper - start) // 2, lower), upper)
        searches = [(self.headings, lower), (self.borders, middle), (self.borders, lower)]
        for borders, least in searches:
            for border in borders:
                if cut := border.last(self.data, least, upper):
                    return cut
        return Cut(upper, upper)

    def _next_start(self, start: int, end: int, done: int) -> int:
        """Where the piece after data[start:end] begins: `overlap` tokens back, at a word, else at `done`."""
        back = bisect_right(self.block.ends, end) - self.overlap - 1
        position = self.block.ends[back] if back >= 0 else start
        position = divided(self.data, character_end(self.data, max(position - 1, start))).end
        word = _WORD_START.search(self.data, position, end)
        if word:
            return _skip_space(self.data, word.start())
        # scripts without spaces overlap by characters; the middle of a long word or of a blob is no context
        inside_script = position < end and self.data[position] >= _FIRST_NON_ASCII
        return _skip_space(self.data, position) if inside_script else done

    def _trimmed(self, start: int, end: int) -> int:
        return start + len(self.data[start:end].rstrip())


def _borders(splitter: TextSplitter) -> tuple[Border, ...]:
    if isinstance(splitter, MarkdownSplitter):
        return _TEXT_BORDERS
    if isinstance(splitter, CodeSplitter):
        return _code_borders(splitter.language)
    return _text_borders(splitter.separator_texts, keep=splitter.keep_separator)


def _code_borders(language: str) -> tuple[Border, ...]:
    # 0.2 s of start-up and langchain-core, whichever of its modules is named: only for those who split code
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter  # noqa: PLC0415

    patterns = RecursiveCharacterTextSplitter.get_separators_for_language(Language(language))
    return tuple(_code_border(pattern.encode()) for pattern in patterns)


def _code_border(pattern: bytes) -> Border:
    plain = not set(pattern) & set(rb"\.^$*+?{}[]|()")
    return Separator(pattern, keep=True) if plain else Pattern(re.compile(pattern))


def _heading_offsets(data: bytes, level: int) -> list[list[int]]:
    """Where the lines of Markdown headings begin: a list for each level from 1 on, without those in fenced code."""
    offsets: list[list[int]] = [[] for _ in range(level)]
    fence = b""
    for match in _HEADING_OR_FENCE.finditer(data) if level else ():
        hashes, ticks, rest = match.groups()
        if ticks and not fence:
            fence = ticks
        elif ticks and ticks.startswith(fence) and not rest.strip():
            fence = b""
        elif hashes and not fence and len(hashes) <= level:
            offsets[len(hashes) - 1].append(match.start())
    return offsets


def _count(data: bytes) -> int:
    return count_tokens(data.decode()) if data else 0


def _skip_space(data: bytes, offset: int) -> int:
    match = _SPACE.match(data, offset)
    return match.end() if match else offset
