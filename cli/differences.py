"""Show what differs between two results: old and new side by side, place by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.render import shorten, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.differences import Difference
    from pipeline.text_differences import Piece

WIDTH = 60
LINES = 40
"""At most so many lines of a text are shown; `--json` has all."""


def show_differences(found: Sequence[Difference]) -> None:
    """Show differences as a table: where, what it was, what it is, and how far apart these are."""
    write_table(["where", "old", "new", "change"], [row for one in found for row in _list_rows(one)])


def _list_rows(one: Difference) -> Iterator[tuple[str, str, str, str]]:
    where = one.path or "(all of it)"
    if one.unit == "lines":
        yield where, "", "", say_change(one)
        yield from _list_lines(one.pieces)
    elif one.unit == "words" and any(piece.kind == "same" for piece in one.pieces):
        yield where, _join(one.pieces, "gone", "[-", "-]"), _join(one.pieces, "new", "{+", "+}"), "words"
    elif one.kind == "moved":
        yield where, "", shorten(one.after, WIDTH), say_change(one)
    else:
        old = "" if one.kind == "added" else shorten(one.before, WIDTH)
        new = "" if one.kind == "removed" else shorten(one.after, WIDTH)
        yield where, old, new, say_change(one)


def say_change(one: Difference) -> str:
    """Say in a few words how a place has changed, such as `+2 (+40 %)`."""
    if one.delta is not None:
        percent = "" if one.percent is None else f" ({one.percent:+,.3g} %)"
        return f"{one.delta:+,.6g}{percent}"
    if one.moved_from is not None:
        return f"moved from {one.moved_from}"
    if one.unit == "lines":
        gone, new = (_count_lines(one.pieces, kind) for kind in ("gone", "new"))
        return f"lines: {gone} gone, {new} new"
    return one.unit or one.kind


def _count_lines(pieces: Sequence[Piece], kind: str) -> int:
    return sum(len(piece.text.splitlines()) for piece in pieces if piece.kind == kind)


def _list_lines(pieces: Sequence[Piece]) -> Iterator[tuple[str, str, str, str]]:
    """List lines: what is gone beside what is new, what is the same on both sides."""
    rows: list[tuple[str, str]] = []
    gone: list[str] = []
    for piece in pieces:
        lines = [shorten(line, WIDTH) for line in piece.text.splitlines()]
        if piece.kind == "gone":
            gone += lines
        elif piece.kind == "new":
            rows += [(old, new) for old, new in _beside(gone, lines)]
            gone = []
        else:
            rows += [(f"- {old}", "") for old in gone] + [(f"  {line}", f"  {line}") for line in lines]
            gone = []
    rows += [(f"- {old}", "") for old in gone]
    yield from (("", old, new, "") for old, new in rows[:LINES])
    if len(rows) > LINES:
        yield "", "…", "…", f"{len(rows) - LINES} lines more: --json"


def _beside(gone: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place in range(max(len(gone), len(new))):
        old = f"- {gone[place]}" if place < len(gone) else ""
        yield old, f"+ {new[place]}" if place < len(new) else ""


def _join(pieces: Sequence[Piece], shown: str, begin: str, end: str) -> str:
    """Join the words of one side, those that differ between marks, in which they are shortened and not cut off."""
    words = []
    for piece in pieces:
        if piece.kind == "same":
            words.append(piece.text)
        elif piece.kind == shown:
            space = " " if piece.text[:1].isspace() else ""
            words.append(f"{space}{begin}{shorten(piece.text, WIDTH)}{end}")
    return " ".join("".join(words).split())
