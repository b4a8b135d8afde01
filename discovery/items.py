"""What a strategy finds, and which of it is let in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

MAX_KEY_BYTES = 1024
MAX_DATA_BYTES = 1024 * 1024
_PRIORITIES = range(-(2**31), 2**31)


class Refusal(StrEnum):
    """Why a found item was not let in; the words stand in the event of the discovery."""

    NOT_AN_ITEM = "neither a FoundItem nor a dict with a key"
    NO_KEY = "no key"
    KEY_NOT_TEXT = "key is not text"
    KEY_TOO_LONG = "key over 1,024 bytes"
    KEY_REPEATED = "key repeated"
    DATA_NOT_JSON = "data is not a JSON object"
    DATA_TOO_LARGE = "data over 1 MiB"
    BAD_PRIORITY = "priority is not an integer of 32 bits"


@dataclass(frozen=True, slots=True)
class FoundItem:
    """
    One found thing, not stored yet.

    `key` is the text by which the job knows it again, at most 1,024 bytes in UTF-8. `data` is a JSON object
    of at most 1 MiB. `priority` is higher for sooner; None leaves it to the job.
    """

    key: str
    data: dict[str, Any] = field(default_factory=dict)
    priority: int | None = None


def admit_items(found: Iterable[object], refused: Counter[str]) -> Iterator[FoundItem]:
    """
    Let in the items that can be stored, in order; of a repeated key the first.

    Takes `FoundItem`s and mappings `{"key", "data"?, "priority"?}`, whose other fields are ignored. The data
    that comes out is what JSON makes of it: tuples are lists, keys are text. What is refused is counted in
    `refused` by reason.
    """
    seen: set[str] = set()
    for each in found:
        item = _judge(each, seen)
        if isinstance(item, Refusal):
            refused[item.value] += 1
        else:
            seen.add(item.key)
            yield item


def _judge(found: object, seen: set[str]) -> FoundItem | Refusal:
    if isinstance(found, Mapping):
        given = found.get("data")
        found = FoundItem(found.get("key", ""), {} if given is None else given, found.get("priority"))
    if not isinstance(found, FoundItem):
        return Refusal.NOT_AN_ITEM
    if refusal := _check_key(found.key, seen) or _check_priority(found.priority):
        return refusal
    data = _as_json(found.data)
    return data if isinstance(data, Refusal) else replace(found, data=data)


def _check_key(key: object, seen: set[str]) -> Refusal | None:
    if key is None or (isinstance(key, str) and not key.strip()):
        return Refusal.NO_KEY
    if not isinstance(key, str) or not _is_unicode(key):
        return Refusal.KEY_NOT_TEXT
    if len(key.encode()) > MAX_KEY_BYTES:
        return Refusal.KEY_TOO_LONG
    return Refusal.KEY_REPEATED if key in seen else None


def _is_unicode(text: str) -> bool:
    # A file name that is not UTF-8 comes as text with lone surrogates, which no database takes.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check_priority(priority: object) -> Refusal | None:
    if priority is None or (type(priority) is int and priority in _PRIORITIES):
        return None
    return Refusal.BAD_PRIORITY


def _as_json(data: object) -> dict[str, Any] | Refusal:
    if not isinstance(data, dict):
        return Refusal.DATA_NOT_JSON
    try:
        text = json.dumps(data, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        return Refusal.DATA_NOT_JSON
    if size > MAX_DATA_BYTES:
        return Refusal.DATA_TOO_LARGE
    clean: dict[str, Any] = json.loads(text)
    return clean
