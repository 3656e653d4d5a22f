# ruff: noqa: RUF001, RUF002 - these are the marks of other scripts
"""What cutting has to know of scripts: where sentences end without a line break, and what is one character. Pure.

Latin script is left to spaces and line breaks, as ever: its full stop is also that of abbreviations, and borders that
move would have what is stored of it written again. In other scripts a sentence ends at a stop of their own (。！？, the
Arabic question mark, danda), which needs no space behind it, or at a full stop between letters of theirs and a space.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from regex import Pattern

_STOPS = "。．｡！？؟۔।॥။፧።។։"
_COMMAS = "，、､；：،؛၊፣"
_CLOSERS = "”’」』）】》〉»›"

_REACH = 64
"""Bytes around a place in which the character that it may lie inside of is looked for: a family of emoji has 25."""

_FLAG_LETTER = b"\xf0\x9f\x87"
"""How the letters that flags are pairs of begin, in UTF-8."""

_FIRST_NON_ASCII = 0x80
_IDEOGRAPHS = range(0xE4, 0xEA)
"""First bytes of Chinese characters, which never belong to what stands before them: most of a Chinese text."""

_INSIDE_CHARACTER = range(0x80, 0xC0)
"""Bytes of a UTF-8 character behind its first."""


def _one_of(characters: str) -> bytes:
    """A pattern for one of some characters, in UTF-8; it begins with a set, so that `re` skips to where one may be."""
    behind_first: dict[bytes, list[bytes]] = {}
    for character in map(str.encode, characters):
        behind_first.setdefault(character[:1], []).append(character[1:])
    rest = b"|".join(b"(?<=%b)(?:%b)" % (first, b"|".join(ends)) for first, ends in behind_first.items())
    return b"[%b](?:%b)" % (b"".join(behind_first), rest)


# two letters of a script with characters of two bytes, from Greek on, or of three, without punctuation (E2)
_LETTERS_BEFORE = rb"(?:(?<=(?:[\xcd-\xdf][\x80-\xbf]){2}[.!?])|(?<=(?:[\xe0\xe1\xe3-\xed][\x80-\xbf]{2}){2}[.!?]))"
_CLOSED = b"(?:%b|[\"')\\]])*" % _one_of(_CLOSERS)

SENTENCE_END = re.compile(
    b"(?:%b)+%b" % (_one_of(_STOPS), _CLOSED) + rb"|[.!?]" + _LETTERS_BEFORE + rb"[.!?]*" + _CLOSED + rb"(?=\s)"
)
CLAUSE_END = re.compile(_one_of(_COMMAS) + _CLOSED)


class Stretch(NamedTuple):
    """From a byte to another; both the same where there is nothing between."""

    start: int
    end: int


def last_end(pattern: re.Pattern[bytes], data: bytes, lower: int, upper: int) -> int | None:
    """Where the last match ends with `lower` ≤ end ≤ `upper`, with the quotes and brackets behind it."""
    found = None
    for match in pattern.finditer(data, max(lower - _REACH, 0), upper + _REACH):
        if match.end() > upper:
            break
        found = match.end()
    return None if found is None or found < lower else found


def divided(data: bytes, offset: int) -> Stretch:
    """What a cut at `offset`, the first byte of a character of Unicode, would divide of what a reader sees as one.

    That is a letter with its marks, a family of emoji, a flag, CR and LF (grapheme clusters: Unicode's annex 29), as
    far as it has not hundreds of bytes. Empty, at `offset`, where the cut divides nothing.
    """
    nothing = Stretch(offset, offset)
    if not 0 < offset < len(data) or data[offset] in _IDEOGRAPHS:
        return nothing
    if data[offset] < _FIRST_NON_ASCII and data[offset - 1 : offset + 1] != b"\r\n":
        return nothing
    start = character_start(data, max(offset - _REACH, 0))
    while data[max(start - 4, 0) : start].startswith(_FLAG_LETTER):
        start -= 4
    around = data[start : character_start(data, min(offset + _REACH, len(data)))].decode()
    ends = list(accumulate((len(cluster.encode()) for cluster in _cluster().findall(around)), initial=start))
    place = bisect_right(ends, offset)
    return nothing if ends[place - 1] == offset else Stretch(ends[place - 1], ends[place])


def character_start(data: bytes, offset: int) -> int:
    """`offset`, or the start of the character that it lies inside of."""
    while offset < len(data) and data[offset] in _INSIDE_CHARACTER:
        offset -= 1
    return offset


def character_end(data: bytes, offset: int) -> int:
    """The end of the character at `offset`."""
    offset += 1
    while offset < len(data) and data[offset] in _INSIDE_CHARACTER:
        offset += 1
    return offset


@cache
def _cluster() -> Pattern[str]:
    import regex  # noqa: PLC0415 - Python's own knows no clusters; only for those whose text has some

    return regex.compile(r"\X")
