"""Rows that answer to `row["name"]` and to `row[0]`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import apsw


class Row:
    """
    One row of an answer, by name and by position.

    `dict(row)` works, `row.keys()` lists the columns in order, and a row equals the tuple of its values.
    A missing name raises KeyError, a missing position IndexError.
    """

    __slots__ = ("_positions", "_values")

    def __init__(self, positions: Mapping[str, int], values: tuple[Any, ...]) -> None:
        self._positions, self._values = positions, values

    def __getitem__(self, name: str | int) -> Any:
        return self._values[self._positions[name] if isinstance(name, str) else name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, Row) else other)

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"Row({dict(self)!r})"

    def keys(self) -> list[str]:
        """List the columns in order."""
        return list(self._positions)


@lru_cache(maxsize=512)
def _positions_of(description: tuple[tuple[str, str | None], ...]) -> Mapping[str, int]:
    return {name: position for position, (name, _) in enumerate(description)}


def trace_row(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    """Make a `Row` of what SQLite answered; apsw calls this for each."""
    return Row(_positions_of(cursor.get_description()), values)
