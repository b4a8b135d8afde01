"""Write records for people, or as JSON for programs: the same records."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tracker.clock import format_ms, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

STATUS_STYLE = {
    "pending": "dim",
    "in_progress": "cyan",
    "done": "green",
    "failed": "bold red",
    "skipped": "yellow",
}


def as_data(record: Any) -> Any:
    """Turn a record into what JSON can hold."""
    if is_dataclass(record) and not isinstance(record, type):
        return asdict(record)
    return record


def write_json(records: Any) -> None:
    """Write one record, or a list of them, as one JSON text."""
    data = [as_data(one) for one in records] if isinstance(records, list) else as_data(records)
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n")


def write_json_lines(records: Iterable[Any]) -> None:
    """Write records as they come, one JSON text a line."""
    for record in records:
        sys.stdout.write(json.dumps(as_data(record), ensure_ascii=False, default=str) + "\n")


def write_csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV with a header."""
    writer = csv.DictWriter(sys.stdout, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """
    Write a table. A column whose name begins with `#` is of numbers, and is set to the right.

    Without a terminal the table is as wide as it needs to be, so that nothing is cut for a pipe.
    """
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        numeric = column.startswith("#")
        table.add_column(column.lstrip("#"), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    if out.is_terminal:
        out.print(table)
    else:
        Console(highlight=False, width=10_000).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    style = STATUS_STYLE.get(text)
    return f"[{style}]{text}[/{style}]" if style else _escape(text)


def _escape(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415 - the only use of it

    return escape(text)


def shorten(value: Any, width: int = 80) -> str:
    """Write a value on one line of at most `width` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def say_when(at_ms: int | None) -> str:
    """Write an instant as people say it: how long ago or ahead, then the time in UTC."""
    if at_ms is None:
        return ""
    from pipeline.durations import format_duration  # noqa: PLC0415 - keeps --help fast

    seconds = (at_ms - now_ms()) / 1000
    distance = format_duration(abs(seconds)) if abs(seconds) >= 1 else "now"
    relative = distance if distance == "now" else f"in {distance}" if seconds > 0 else f"{distance} ago"
    return f"{relative} ({format_ms(at_ms)} UTC)"
