"""What a strategy finds, and which of it is let in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from json import encoder as json_encoder
from typing import TYPE_CHECKING, Any

from pipeline.errors import PluginError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

MAX_KEY_BYTES = 1024
MAX_DATA_BYTES = 1024 * 1024
MAX_DATA_DEPTH = 500
"""As deep as a result may nest, for handlers pass on what discovery found."""

MAX_MARK_CHARACTERS = 1024

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
    DATA_TOO_DEEP = "data nested deeper than 500, or within itself"
    BAD_PRIORITY = "priority is not an integer of 32 bits"
    BAD_MARK = "version or source is not a text of at most 1,024 characters"


@dataclass(frozen=True, slots=True)
class FoundItem:
    """
    One found thing, not stored yet.

    `key` is the text by which the job knows it again, at most 1,024 bytes in UTF-8. `data` is a JSON object
    of at most 1 MiB, nested at most 500 deep. `priority` is higher for sooner; None leaves it to the job. `version`
    is any short text that is another when the thing has changed, such as a content hash or a modified time; None
    when the source gives none. `source` says which of the strategy's sources it came from, when there are several.
    """

    key: str
    data: dict[str, Any] = field(default_factory=dict)
    priority: int | None = None
    version: str | None = None
    source: str | None = None


@dataclass(slots=True)  # not frozen: that would double the time to make one, and a million are made
class AdmittedItem:
    """A found item that can be stored: all is checked, and its data is JSON text. Do not change one."""

    key: str
    data_text: str
    priority: int | None = None
    version: str | None = None
    source: str | None = None

    @property
    def data(self) -> dict[str, Any]:
        """What JSON makes of the data: tuples are lists, keys are text. Read anew each time."""
        data: dict[str, Any] = json.loads(self.data_text)
        return data

    def as_found(self) -> FoundItem:
        """Give it back as what it was, with its data as JSON makes it."""
        return FoundItem(self.key, self.data, self.priority, self.version, self.source)


def require_items(returned: object, by: str) -> Iterable[object]:
    """Give back what a method returned. Raises `PluginError` when it is no list of items, nor another row of them."""
    if not isinstance(returned, Iterable) or isinstance(returned, str | bytes | Mapping):
        raise PluginError(f"{by} returned {returned!r:.80}; return a list of items")
    return returned


def admit_items(
    found: Iterable[object], refused: Counter[str], seen: set[str] | None = None
) -> Iterator[AdmittedItem]:
    """
    Let in the items that can be stored, in order; of a repeated key the first.

    Takes `FoundItem`s and mappings `{"key", "data"?, "priority"?, "version"?, "source"?}`, whose other fields
    are ignored. What is refused is counted in `refused` by reason. `seen` holds the keys that were let in
    before, and grows.
    """
    seen = set() if seen is None else seen
    for each in found:
        item = _judge(each, seen)
        if isinstance(item, AdmittedItem):
            seen.add(item.key)
            yield item
        else:
            refused[item.value] += 1


def _judge(found: object, seen: set[str]) -> AdmittedItem | Refusal:
    if not isinstance(found, FoundItem):
        if not isinstance(found, Mapping):
            return Refusal.NOT_AN_ITEM
        found = _read_mapping(found)
    refusal = _check_key(found.key, seen) or _check_priority(found.priority) or _check_marks(found)
    if refusal:
        return refusal
    text = _as_json(found.data)
    if isinstance(text, Refusal):
        return text
    return AdmittedItem(found.key, text, found.priority, found.version, found.source)


def _read_mapping(found: Mapping[Any, Any]) -> FoundItem:
    given = found.get("data")
    return FoundItem(
        found.get("key", ""),
        {} if given is None else given,
        found.get("priority"),
        found.get("version"),
        found.get("source"),
    )


def _check_key(key: object, seen: set[str]) -> Refusal | None:
    if not _is_plain(key) and (refusal := check_key(key)):
        return refusal
    return Refusal.KEY_REPEATED if key in seen else None


def _is_plain(key: object) -> bool:
    # Nearly every key is; those that are not are looked at one rule at a time.
    return (
        type(key) is str
        and len(key) <= MAX_KEY_BYTES
        and key.isascii()
        and key.isprintable()
        and key[:1] > " "
    )


def check_key(key: object) -> Refusal | None:
    """Tell why a key cannot be stored, or None when it can."""
    if key is None or (isinstance(key, str) and not key.strip()):
        return Refusal.NO_KEY
    if not isinstance(key, str) or "\0" in key:
        return Refusal.KEY_NOT_TEXT
    try:
        size = len(key.encode())
    except (
        UnicodeEncodeError
    ):  # a file name that is not UTF-8 comes with lone surrogates; no database takes them
        return Refusal.KEY_NOT_TEXT
    return Refusal.KEY_TOO_LONG if size > MAX_KEY_BYTES else None


def _check_priority(priority: object) -> Refusal | None:
    if priority is None or (type(priority) is int and priority in _PRIORITIES):
        return None
    return Refusal.BAD_PRIORITY


def _check_marks(found: FoundItem) -> Refusal | None:
    if found.version is None and found.source is None:
        return None
    for mark in (found.version, found.source):
        if mark is not None and not (
            isinstance(mark, str) and len(mark) <= MAX_MARK_CHARACTERS and _is_unicode(mark)
        ):
            return Refusal.BAD_MARK
    return None


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _make_writer() -> Callable[[Any, int], Iterable[str]]:
    # What `JSONEncoder.encode` makes anew for each text, which takes as long as writing a small one. It
    # keeps no marks of where it has been: a circle ends in a RecursionError.
    encoder = json.JSONEncoder(allow_nan=False, ensure_ascii=False, check_circular=False)
    make = getattr(json_encoder, "c_make_encoder", None)
    if make is None:  # a Python without its accelerator
        return lambda data, _: [encoder.encode(data)]
    write_text = json_encoder.encode_basestring
    write: Callable[[Any, int], Iterable[str]]
    write = make(None, encoder.default, write_text, None, ": ", ", ", False, False, False)
    return write


_write_json = _make_writer()


def _as_json(data: object) -> str | Refusal:
    if not isinstance(data, dict):
        return Refusal.DATA_NOT_JSON
    try:
        text = "".join(_write_json(data, 0))
        size = len(text) if text.isascii() else len(text.encode())
    except (TypeError, ValueError):
        return Refusal.DATA_NOT_JSON
    except RecursionError:
        return Refusal.DATA_TOO_DEEP
    if size > MAX_DATA_BYTES:
        return Refusal.DATA_TOO_LARGE
    may_be_deep = text.count("{") + text.count("[") > MAX_DATA_DEPTH
    return Refusal.DATA_TOO_DEEP if may_be_deep and _is_too_deep(data) else text


def _is_too_deep(data: dict[str, Any]) -> bool:
    level: list[Any] = [data]
    for _ in range(MAX_DATA_DEPTH):
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for each in inside for inner in each if isinstance(inner, dict | list | tuple)]
    return bool(level)
