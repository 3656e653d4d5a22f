"""JSON with every digit of its numbers. Pure.

Numbers are data: an integer of any length comes as an int, a decimal as a float where that is the same number, else as
a `Decimal` with all of its digits.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

import orjson

from destination_milvus.model import Json

_FORM_OF_NUMBERS = bytes.maketrans(b"123456789.E", b"0000000000e")
_LONG, _TINY = b"0" * 16, b"0e-000"
"""Found after translation where a 64-bit number may not be the one of the text: a double holds 15 digits for sure, and
no exponent of three digits below zero. To translate and look takes a third of the time of a regular expression."""
_INT_DIGITS = 4_000
"""Python reads integers of up to 4,300 digits (`sys.get_int_max_str_digits`)."""


def read(text: bytes) -> Json:
    """The value of a JSON text, or of one that sources write instead; None where it is none, or too deeply nested."""
    try:
        loaded = orjson.loads(text)
        if _may_be_rounded(text) and not _has_every_digit(loaded, text):
            loaded = read_exactly(text)
    except ValueError:
        loaded = _read_leniently(text)
    return loaded


def _read_leniently(line: bytes) -> Json:
    """NaN, Infinity, lone surrogates and numbers beyond a double are no JSON to orjson, but sources send them."""
    try:
        return read_exactly(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def read_exactly(line: bytes) -> Json:
    """The value of a JSON text with all digits of its numbers; several times as slow as orjson.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested a thousand levels deep.
    """
    return json.loads(line, parse_float=_decimal, parse_int=_integer)


def _decimal(text: str) -> float | Decimal:
    number = float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:  # its exponent has 19 digits: it is nothing or infinite
        return number
    return number if Decimal(repr(number)) == exact else exact


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < _INT_DIGITS else Decimal(text)


def _may_be_rounded(line: bytes) -> bool:
    form = line.translate(_FORM_OF_NUMBERS)
    return _LONG in form or _TINY in form


def _has_every_digit(loaded: Json, line: bytes) -> bool:
    """Whether the numbers that were read from a line are those that stand in it: they are written and compared."""
    try:
        written = orjson.dumps(loaded)
    except TypeError:  # nested too deeply to be written
        return False
    items, others = (text.translate(None, b" \t\r\n").split(b",") for text in (line, written))
    return len(items) == len(others) and all(
        _is_same_number(item, other) for item, other in zip(items, others, strict=True) if item != other
    )


def _is_same_number(item: bytes, other: bytes) -> bool:
    """Whether two items, written in different ways, are equal numbers; texts with escapes are not compared."""
    number, its_copy = (text.rpartition(b":")[2].strip(b"[]{}").decode() for text in (item, other))
    try:
        return Decimal(number) == Decimal(its_copy)
    except InvalidOperation:
        return '"' in number or "\\" in number
