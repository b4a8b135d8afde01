"""What the fields of found data hold, told of many items together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TYPES = {
    bool: "true or false",
    str: "text",
    int: "whole number",
    float: "number",
    list: "list",
    dict: "mapping",
}


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """What one field of data held, over all items shown: its types in words, in how many it held something."""

    name: str
    types: tuple[str, ...]
    filled: int
    example: Any


def look_at_fields(found: Iterable[Mapping[str, Any]]) -> list[FieldSeen]:
    """Tell what each field of data holds, in the order in which the fields first came."""
    values: dict[str, list[Any]] = {}
    for data in found:
        for name, value in data.items():
            values.setdefault(name, []).append(value)
    return [_describe_field(name, seen) for name, seen in values.items()]


def _describe_field(name: str, seen: Sequence[Any]) -> FieldSeen:
    types = dict.fromkeys(_TYPES.get(type(value), "null") for value in seen)
    filled = [value for value in seen if value not in (None, "", [], {})]
    return FieldSeen(name, tuple(types), len(filled), filled[0] if filled else None)
