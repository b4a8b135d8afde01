"""The values behind the words of a filter: how they are read, checked and written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.durations import parse_duration
from pipeline.filter_words import COMPARED, WITH_PREFIX, ValueKind

if TYPE_CHECKING:
    from pipeline.filter_words import FilterWord

OPERATORS = ("<=", ">=", "<", ">", "=")
MAX_VALUE_CHARACTERS = 2_000
LONGEST_DURATION_SECONDS = 36_500 * 86_400.0


@dataclass(frozen=True, slots=True)
class Value:
    """
    One value: its text as written, without quotes, operator and `*`.

    `operator` is `=` where none was written. `number` is what the text stands for where it is compared: a
    number, US dollars, or seconds; None for a version that is no whole number.
    """

    text: str
    operator: str = "="
    is_prefix: bool = False
    number: float | None = None


class ValueRefusedError(ValueError):
    """A value that may not stand behind its word; `nearest` is the likeliest one that was meant, or None."""

    def __init__(self, message: str, nearest: str | None = None) -> None:
        self.nearest = nearest
        super().__init__(message)


def make_value(word: FilterWord, text: str, *, quoted: bool = False, starred: bool = False) -> Value:
    """
    Make a value of what stands behind a word; `starred` when a `*` followed its closing quote.

    In quotes a text is meant letter by letter, except for an operator before a compared one. Raises
    `ValueRefusedError`.
    """
    if not text and not starred:
        raise ValueRefusedError(f"nothing stands behind {word.name}:")
    if len(text) > MAX_VALUE_CHARACTERS:
        raise ValueRefusedError(f"this is longer than {MAX_VALUE_CHARACTERS:,} characters")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueRefusedError("this is no text: it holds bytes that are no UTF-8")
    if word.kind in COMPARED and not starred:
        return _make_compared(word, text)
    if word.choices and text not in word.choices:
        raise ValueRefusedError(f"no {word.name} {text!r}", find_nearest(text, list(word.choices)))
    if word.kind in WITH_PREFIX and not quoted and text.endswith("*"):
        return Value(text[:-1], is_prefix=True)
    if starred and word.kind not in WITH_PREFIX:
        raise ValueRefusedError(f"{word.name}: takes no beginning of a word with *")
    return Value(text, is_prefix=starred)


def _make_compared(word: FilterWord, text: str) -> Value:
    operator = next((one for one in OPERATORS if text.startswith(one)), "")
    bare = text.removeprefix(operator)
    if word.kind is ValueKind.DURATION and operator in ("", "="):
        raise ValueRefusedError(f"{word.name}:{text} says neither longer nor shorter")
    number = _read_number(word.kind, bare)
    if number is None and (word.kind is not ValueKind.VERSION or operator not in ("", "=") or not bare):
        raise ValueRefusedError(f"{bare!r} cannot be compared as {word.name}")
    return Value(bare, operator or "=", number=number)


_WHOLE = re.compile(r"-?[0-9]{1,15}")
_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}")


def _read_number(kind: ValueKind, text: str) -> float | None:
    if kind is ValueKind.AMOUNT:
        return float(text) if _AMOUNT.fullmatch(text) else None
    if kind is not ValueKind.DURATION:
        return int(text) if _WHOLE.fullmatch(text) else None
    try:
        seconds = parse_duration(text)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds <= LONGEST_DURATION_SECONDS else None


BARE = re.compile(r'[^\s,"]+')
"""What needs no quotes."""


def show_value(word: FilterWord, value: Value) -> str:
    """Write a value so that it is read as the same again."""
    star = "*" if value.is_prefix else ""
    if word.kind in COMPARED:
        is_plain = value.operator == "=" and not value.text.startswith(OPERATORS)
        text = value.text if is_plain else f"{value.operator}{value.text}"
        return text if BARE.fullmatch(text) else _quote(text)
    if BARE.fullmatch(value.text) and not value.text.endswith("*"):
        return f"{value.text}{star}"
    return star if star and not value.text else f"{_quote(value.text)}{star}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
