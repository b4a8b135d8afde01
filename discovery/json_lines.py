"""Objects out of JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discovery.text_lines import TextLines

NOT_AN_OBJECT = "line is no JSON object"


def read_object_line(line: str) -> dict[str, Any] | None:
    """
    Read the JSON object that a line is; None when it is none.

    >>> read_object_line('{"a": 1}'), read_object_line("[1]"), read_object_line("{")
    ({'a': 1}, None, None)
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(slots=True)
class JsonLinesReader:
    """Reads the objects of lines; each line that is none is told to `note`: why, and which. Empty ones are skipped."""

    lines: TextLines
    note: Callable[[str, int], None]
    last_at: int = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """Read to the end."""
        lines, recent = self.lines, self.lines.recent
        now_at = lines.offset
        for text in lines.read():
            self.last_at, now_at = now_at, lines.offset
            found = read_object_line(text)
            if found is not None:
                yield found
            elif text.strip():
                self.note(NOT_AN_OBJECT, lines.number)
            recent.clear()
