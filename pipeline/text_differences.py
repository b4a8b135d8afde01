"""What differs between two texts: by lines where there are several, by words where there is one."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Unit = Literal["lines", "words"]

CONTEXT = {"lines": 2, "words": 4}
"""How many lines or words that are the same are shown on either side of a difference."""

MOST_STEPS = 4_000_000
"""Where a careful comparison would take more, what is not the same at either end is shown as replaced whole."""

LEFT_OUT = "…"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines or words in a row: `same` in both texts, `gone` or `new`. What is left out between is `…`."""

    kind: Literal["same", "gone", "new"]
    text: str


def compare_texts(before: str, after: str) -> tuple[Unit, tuple[Piece, ...]]:
    """
    Compare two texts, by lines if either has several, else by words; the pieces in their order, with some context.

    Joining what is same or gone gives the first text, same or new the second, but for what `…` stands for.

    >>> [(piece.kind, piece.text) for piece in compare_texts("a red fox", "a grey fox")[1]]
    [('same', 'a'), ('gone', ' red'), ('new', ' grey'), ('same', ' fox')]
    """
    unit: Unit = "lines" if "\n" in before or "\n" in after else "words"
    split = _split_lines if unit == "lines" else _split_words
    found = list(_compare(split(before), split(after)))
    return unit, tuple(_with_context(found, CONTEXT[unit]))


def _split_lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _split_words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text) if " " in text.strip() else [text][: len(text)]


Run = tuple[Literal["same", "gone", "new"], "Sequence[str]"]


def _compare(before: Sequence[str], after: Sequence[str]) -> Iterator[Run]:
    first, last = count_same_ends(before, after)
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    yield from _tell("same", before[:first])
    if len(old) * len(new) > MOST_STEPS:
        yield from (*_tell("gone", old), *_tell("new", new))
    else:
        for kind, old_from, old_to, new_from, new_to in difflib.SequenceMatcher(
            None, old, new, autojunk=False
        ).get_opcodes():
            if kind == "equal":
                yield "same", old[old_from:old_to]
            else:
                yield from (*_tell("gone", old[old_from:old_to]), *_tell("new", new[new_from:new_to]))
    yield from _tell("same", before[len(before) - last :])


def _tell(kind: Literal["same", "gone", "new"], units: Sequence[str]) -> tuple[Run, ...]:
    return ((kind, units),) if units else ()


def count_same_ends(before: Sequence[object], after: Sequence[object]) -> tuple[int, int]:
    """Count how many members two sequences have in common at their beginning, and then at their end."""
    shorter = min(len(before), len(after))
    first = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    rest = shorter - first
    last = next((n for n in range(rest) if before[-1 - n] != after[-1 - n]), rest)
    return first, last


def _with_context(runs: Sequence[Run], context: int) -> Iterator[Piece]:
    for place, (kind, units) in enumerate(runs):
        if kind != "same":
            yield Piece(kind, "".join(units))
            continue
        head = units[:context] if place else ()
        tail = units[-context:] if place < len(runs) - 1 else ()
        if len(units) <= len(head) + len(tail) + 1:
            yield Piece("same", "".join(units))
            continue
        if head:
            yield Piece("same", "".join(head))
        yield Piece("same", LEFT_OUT)
        if tail:
            yield Piece("same", "".join(tail))
