"""Rows of a table as items: which columns make the key, and what stands in the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from discovery.items import FoundItem
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PLAIN = frozenset({str, int, bool, type(None)})
"""What is JSON whatever its value; a float may be no number."""


def _read_names(value: object) -> object:
    return [value] if isinstance(value, str) else value


Columns = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(_read_names, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
"""One column's name, or a list of them."""


def make_key(values: Sequence[object]) -> str:
    r"""
    Make a key of the values that identify a row; empty when all of them are.

    Several are joined by `|`; one that stands in a value is written `\|`, and a backslash `\\`.

    >>> make_key([7]), make_key(["a|b", None, "c"]), make_key([None, ""])
    ('7', 'a\\|b||c', '')
    """
    if len(values) == 1:
        return as_text(values[0])
    texts = [as_text(value) for value in values]
    if not any(texts):
        return ""
    return "|".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts)


def as_text(value: object) -> str:
    """Write a value as a key: nothing for None, a list or an object."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    return "" if value is None or isinstance(value, list | dict) else str(as_json_value(value))


def as_json_value(value: object) -> Any:
    r"""
    Turn a value of a database into one of JSON.

    Texts, whole and finite numbers, booleans, None, lists and objects stay. Bytes become hexadecimal digits,
    decimals and other numbers text, dates and times ISO text (in UTC when they have an offset), durations
    seconds, and anything else what `str` makes of it.

    >>> as_json_value(b"\x00\xff"), as_json_value(date(2026, 1, 2)), as_json_value(float("inf"))
    ('00ff', '2026-01-02', 'inf')
    """
    for kind, turn in _TURNS:
        if isinstance(value, kind):
            return turn(value)
    return str(value)


def _tell_datetime(value: datetime) -> str:
    try:
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    except OverflowError:  # within a day of the calendar's ends
        return value.isoformat()


_TURNS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((str, int, type(None)), lambda value: value),
    (float, lambda value: value if math.isfinite(value) else str(value)),
    ((bytes, bytearray, memoryview), lambda value: value.hex()),
    (datetime, _tell_datetime),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (dict, lambda value: {str(name): as_json_value(inner) for name, inner in value.items()}),
    ((list, tuple, set, frozenset), lambda value: [as_json_value(inner) for inner in value]),
)


def as_json_row(row: Sequence[Any]) -> Sequence[Any]:
    """Turn a database's row into values of JSON; see `as_json_value`."""
    if _PLAIN.issuperset(map(type, row)):
        return row
    return [value if type(value) in _PLAIN else as_json_value(value) for value in row]


@dataclass(frozen=True, slots=True)
class RowShape:
    """How the rows of one table become items: the names of its columns, and where key and version stand."""

    columns: tuple[str, ...]
    key_at: tuple[int, ...]
    version_at: int | None = None

    @classmethod
    def find(cls, columns: Sequence[str], key: Sequence[str], version: str | None, where: str) -> RowShape:
        """Look the key's columns up. Raises `SourceRejectedError` when `where` has no such column."""
        names = tuple(columns)
        for name in (*key, *([version] if version else ())):
            if name not in names:
                raise SourceRejectedError(f"{where} has no column {name!r}; it has {_list_some(names)}")
        places = tuple(names.index(name) for name in key)
        return cls(names, places, names.index(version) if version else None)

    def make_items(self, rows: Iterable[Sequence[Any]]) -> Iterator[FoundItem]:
        """Make an item of each row, whose values are JSON and as many as the columns."""
        columns, key_at, version_at = self.columns, self.key_at, self.version_at
        only = key_at[0] if len(key_at) == 1 else None
        for row in rows:
            key = as_text(row[only]) if only is not None else make_key([row[at] for at in key_at])
            version = None if version_at is None else as_text(row[version_at]) or None
            yield FoundItem(key, dict(zip(columns, row, strict=False)), None, version)


def _list_some(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:20])
    return f"{listed:.400}" if names else "none"
