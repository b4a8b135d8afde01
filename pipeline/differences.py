"""
What differs between two JSON values, place by place: numbers, texts, lists and objects each their own way.

In what order an object names its keys is no difference.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.text_differences import Piece, Unit, compare_texts, count_same_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Kind = Literal["changed", "added", "removed", "moved"]

MOST_STEPS = 1_000_000
"""Longer lists are compared as sets: the longest common subsequence would take too long."""


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One place at which two values differ.

    `path` is where, such as `authors[2].name`, empty for the whole; of what was removed it is the place before. A
    number has `delta` and `percent` (None where it was 0), a text its `pieces` by `unit`, and what was moved
    `moved_from`.
    """

    path: str
    kind: Kind
    before: Any = None
    after: Any = None
    delta: float | None = None
    percent: float | None = None
    unit: Unit | None = None
    pieces: tuple[Piece, ...] = ()
    moved_from: str | None = None


def compare(before: Any, after: Any) -> list[Difference]:
    """
    Compare two JSON values; nothing for equal ones. A number is equal only to one that is written alike.

    >>> [(one.path, one.kind, one.delta, one.percent) for one in compare({"n": 4}, {"n": 5})]
    [('n', 'changed', 1, 25.0)]
    """
    return list(_compare("", before, after))


def compare_results(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """Compare two results, of which either may not be there."""
    if before is None and after is None:
        return []
    if before is None:
        return [Difference("", "added", after=after)]
    return [Difference("", "removed", before)] if after is None else compare(before, after)


def _compare(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if _spell(before) == _spell(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _compare_objects(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_lists(path, before, after)
    elif isinstance(before, str) and isinstance(after, str):
        unit, pieces = compare_texts(before, after)
        yield Difference(path, "changed", before, after, unit=unit, pieces=pieces)
    elif _is_number(before) and _is_number(after):
        delta = after - before
        percent = None if before == 0 else round(100 * delta / abs(before), 2)
        yield Difference(path, "changed", before, after, delta=delta, percent=percent)
    else:
        yield Difference(path, "changed", before, after)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SPELL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def _spell(value: Any) -> str:
    return _SPELL.encode(value)


# -- objects ----------------------------------------------------------------------------------------------


def _compare_objects(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for key, value in before.items():
        place = _below(path, key)
        if key in after:
            yield from _compare(place, value, after[key])
        else:
            yield Difference(place, "removed", value)
    for key, value in after.items():
        if key not in before:
            yield Difference(_below(path, key), "added", after=value)


def _below(path: str, key: str) -> str:
    name = key if re.fullmatch(r"[A-Za-z_]\w*", key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{name}" if path else name


# -- lists ------------------------------------------------------------------------------------------------


def _compare_lists(path: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    old, new = [_spell(one) for one in before], [_spell(one) for one in after]
    kept = _match(old, new)
    stayed = set(kept.values())
    gone = [n for n in range(len(old)) if n not in kept]
    come = [n for n in range(len(new)) if n not in stayed]
    moves = _find_moves(old, new, gone, come)
    found = [
        (to, Difference(f"{path}[{to}]", "moved", before[at], after[to], moved_from=f"{path}[{at}]"))
        for at, to in moves.items()
    ]
    gone = [n for n in gone if n not in moves]
    come = [n for n in come if n not in moves.values()]
    for at, to in _pair(kept, gone, come):
        if _is_alike(before[at], after[to]):
            gone.remove(at)
            come.remove(to)
            found += [(to, one) for one in _compare(f"{path}[{to}]", before[at], after[to])]
    found += [(at, Difference(f"{path}[{at}]", "removed", before[at])) for at in gone]
    found += [(to, Difference(f"{path}[{to}]", "added", after=after[to])) for to in come]
    yield from (one for _, one in sorted(found, key=lambda pair: pair[0]))


def _match(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Match members of two lists that stayed, by the longest common subsequence: place before to place after."""
    first, last = count_same_ends(old, new)
    kept = {n: n for n in range(first)}
    kept |= {len(old) - last + n: len(new) - last + n for n in range(last)}
    rows, columns = len(old) - first - last, len(new) - first - last
    if rows * columns > MOST_STEPS:
        return kept | _find_moves(old, new, range(first, first + rows), range(first, first + columns))
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            if old[first + row] == new[first + column]:
                longest[row][column] = longest[row + 1][column + 1] + 1
            else:
                longest[row][column] = max(longest[row + 1][column], longest[row][column + 1])
    row = column = 0
    while row < rows and column < columns:
        if old[first + row] == new[first + column]:
            kept[first + row] = first + column
            row, column = row + 1, column + 1
        elif longest[row + 1][column + 1] == longest[row][column]:
            row, column = row + 1, column + 1  # neither is needed: what follows stays opposite
        # Where either would do, which one is passed must not hang on which list came first.
        elif (longest[row + 1][column], new[first + column]) > (longest[row][column + 1], old[first + row]):
            row += 1
        else:
            column += 1
    return kept


def _find_moves(
    old: Sequence[str], new: Sequence[str], gone: Iterable[int], come: Iterable[int]
) -> dict[int, int]:
    """Find what is gone from one place and has come to another: place before to place after."""
    arrivals: dict[str, list[int]] = defaultdict(list)
    for to in come:
        arrivals[new[to]].append(to)
    moves = {}
    for at in gone:
        if arrivals[old[at]]:
            moves[at] = arrivals[old[at]].pop(0)
    return moves


def _pair(kept: Mapping[int, int], gone: Sequence[int], come: Sequence[int]) -> list[tuple[int, int]]:
    """Pair what is gone with what has come between the same two neighbours that stayed, in their order."""
    stayed_before, stayed_after = sorted(kept), sorted(kept.values())
    gaps: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for places, stayed, side in ((gone, stayed_before, 0), (come, stayed_after, 1)):
        gap = 0
        for place in places:
            while gap < len(stayed) and stayed[gap] < place:
                gap += 1
            gaps[gap][side].append(place)
    return [pair for left, right in gaps.values() for pair in zip(left, right, strict=False)]


def _is_alike(before: Any, after: Any) -> bool:
    """Tell whether it is worth while to show what differs within, and not one as removed and the other as added."""
    if isinstance(before, dict) and isinstance(after, dict):
        return not before.keys().isdisjoint(after.keys())
    return (isinstance(before, list) and isinstance(after, list)) or (
        _is_number(before) and _is_number(after)
    )
