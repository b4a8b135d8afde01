"""Results as rows: one column for each field, and what a spreadsheet or a program may make of a value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.clock import to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker.exporting import Exported

HEAD = ("key", "stage", "stored_at", "version", "attempt")
"""The columns that every row begins with."""

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""
What a spreadsheet takes for the beginning of a formula.

Source: OWASP, CSV injection.
"""


def as_record(one: Exported) -> dict[str, Any]:
    """Write a result as it is nested: `data` is its item's, `result` the handler's."""
    return {
        "key": one.key,
        "stage": one.stage,
        "stored_at": to_datetime(one.stored_at).isoformat(timespec="milliseconds"),
        "version": one.version,
        "attempt": one.attempt,
        "data": one.data,
        "result": one.result,
    }


def as_row(one: Exported, *, deep: bool) -> dict[str, Any]:
    """
    Write a result as a row: `data.NAME` and `result.NAME`; with `deep`, objects inside become columns as well.

    Lists, and without `deep` objects, stay what they are.
    """
    record = as_record(one)
    row = {name: record[name] for name in HEAD}
    for part in ("data", "result"):
        for place, value in _flatten(record[part], part, deep=deep):
            row[_find_free(place, row)] = value
    return row


def _find_free(place: str, row: Mapping[str, Any]) -> str:
    """Find a name that a row has not yet: with objects inside, `a.b` may be a field of `a`, and one called so."""
    free, number = place, 1
    while free in row:
        number += 1
        free = f"{place}_{number}"
    return free


def _flatten(value: Mapping[str, Any], path: str, *, deep: bool) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        place = f"{path}.{name}"
        if deep and isinstance(inner, dict) and inner:
            yield from _flatten(inner, place, deep=True)
        else:
            yield place, inner


def as_cell(value: Any, *, guarded: bool) -> Any:
    """
    Write a value for a cell of CSV; a text that a spreadsheet would run as a formula gets an apostrophe before it.

    >>> [as_cell(value, guarded=True) for value in ("=1+2", -3, "plain", None, {"a": 1})]
    ["'=1+2", -3, 'plain', None, '{"a": 1}']
    """
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if guarded and isinstance(value, str) and value.startswith(DANGEROUS):
        return f"'{value}"
    return value
