"""What the docstring of a strategy or handler says, entry by entry."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENTRIES = (
    "Key",
    "Order",
    "Data",
    "Requests",
    "Input",
    "Result",
    "Endings",
    "Idempotent",
    "Example",
    "Source",
)
"""The words that begin an entry, each followed by a colon."""

_ENTRY = re.compile(rf"(?:^|(?<=\s))({'|'.join(ENTRIES)}): ")
_REQUESTS = re.compile(r"(?<=[.`})]) (?P<said>[A-Z][^.]*\brequests?\b.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring taken apart: its first sentence, what else it says, and its entries by their words."""

    summary: str = ""
    about: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)


def read_docstring(documented: object) -> Docstring:
    """
    Take the docstring of a class apart; each part is one line, paragraphs of `about` are parted by a blank one.

    What a run costs in requests may have an entry of its own, or be said at the end of another.
    """
    paragraphs = [" ".join(each.split()) for each in (inspect.getdoc(documented) or "").split("\n\n")]
    entries = dict(entry for each in paragraphs for entry in _list_entries(each))
    prose = [_ENTRY.split(each)[0].strip() for each in paragraphs]
    summary, *more = [each for each in prose if each] or [""]
    return Docstring(summary, "\n\n".join(more), _part_requests(entries))


def _list_entries(paragraph: str) -> Iterator[tuple[str, str]]:
    _, *parts = _ENTRY.split(paragraph)
    for word, said in zip(parts[::2], parts[1::2], strict=True):
        yield word, said.strip()


def _part_requests(entries: dict[str, str]) -> dict[str, str]:
    if "Requests" in entries:
        return entries
    for word in ("Data", "Order", "Key"):
        if found := _REQUESTS.search(entries.get(word, "")):
            return {**entries, word: entries[word][: found.start()], "Requests": found["said"]}
    return entries
