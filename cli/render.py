"""Write records for people, or as JSON for programs: the same records."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from cli.lines import write_line
from pipeline.records import as_data, as_json
from pipeline.visible import make_visible, make_visible_in_line
from tracker.clock import format_ms, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text


class Output(Console):
    """
    A console that shows what is stored and obeys none of it: no terminal is steered, no `:smile:` becomes another text.

    And it lets the command line decide what a reader who has gone away means.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(highlight=False, emoji=False, **how)

    def on_broken_pipe(self) -> None:
        """Raise what rich would turn into exit code 1."""
        raise BrokenPipeError

    def render_str(self, text: str, **how: Any) -> Text:
        """Make of a text, which may be a stranger's, what is printed: all that is no `Text` already comes by here."""
        return super().render_str(make_visible(text), **how)


out = Output(soft_wrap=True)
err = Output(stderr=True)

NOTE_WIDTH = 30
"""How many columns of a terminal a note needs to be readable in a table."""

STATUS_STYLE = {
    "pending": "dim",
    "in_progress": "cyan",
    "done": "green",
    "failed": "bold red",
    "skipped": "yellow",
}


def write_json(records: Any) -> None:
    """Write a record, a list of them, or an object that holds some, as one JSON text."""
    sys.stdout.write(make_visible(as_json(records, indent=2)) + "\n")


def write_json_lines(records: Iterable[Any]) -> None:
    """Write records as they come, one JSON text a line."""
    for record in records:
        sys.stdout.write(make_visible(as_json(record)) + "\n")


def write_csv(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], none: str = "") -> None:
    """
    Write a table, or to standard error the words `none`, if there are any, in place of one without rows.

    A column whose name begins with `#` is of numbers, and is set to the right.

    On a terminal, cells are folded so that it fits; the first column never is, because people copy from it.
    Elsewhere the table is as wide as it needs to be, so that nothing is cut for a pipe.
    """
    table = _make_table(columns, rows)
    if none and not table.row_count:
        write_line(none, err=True)
        return
    if out.is_terminal:
        out.print(table)
    else:
        _write_unfolded(table)


def write_noted_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], named_by: int = 1, none: str = ""
) -> None:
    """
    Write a table whose last column is of longer texts: notes, reasons, errors.

    On a terminal that is too narrow to give them `NOTE_WIDTH` columns they stand below the table, each on a line of
    its own behind the first `named_by` cells of its row. Without rows it is as `write_table`.
    """
    rows = [tuple(row) for row in rows]
    if not rows or not out.is_terminal or _has_room(columns, rows):
        write_table(columns, rows, none)
        return
    write_table(columns[:-1], [row[:-1] for row in rows])
    noted = [
        make_visible_in_line(f"{' '.join(map(str, row[:named_by]))}: {row[-1]}") for row in rows if row[-1]
    ]
    if noted:
        write_line()
    for line in noted:
        write_line(line)


def _has_room(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Tell whether a terminal is wide enough for a table and for its notes, or a part of each that can be read."""
    notes = max((cell_len(str(row[-1])) for row in rows if row[-1]), default=0)
    rest = _make_table(columns[:-1], [row[:-1] for row in rows])
    return Measurement.get(out, out.options, rest).maximum + 1 + min(notes, NOTE_WIDTH) <= out.width


def _make_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        name = column.lstrip("#")
        table.add_column(
            name,
            justify="right" if name != column else "left",
            overflow="fold",
            no_wrap=number == 0 or not out.is_terminal,
            min_width=max(map(len, name.split())),
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _write_unfolded(table: Table) -> None:
    wide = Output(width=10_000)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = make_visible_in_line(str(value))
    style = STATUS_STYLE.get(text)
    return f"[{style}]{text}[/{style}]" if style else escape(text)


def shorten(value: Any, width: int = 80) -> str:
    """Write a value on one line of at most `width` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=as_data)
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def say_ago(at_ms: int | None) -> str:
    """Write an instant as how long ago or ahead it is; an absent one is empty."""
    if at_ms is None:
        return ""
    from pipeline.durations import format_duration

    seconds = (at_ms - now_ms()) / 1000
    if abs(seconds) < 1:
        return "now"
    distance = format_duration(abs(seconds))
    return f"in {distance}" if seconds > 0 else f"{distance} ago"


def say_when(at_ms: int | None) -> str:
    """Write an instant in UTC, and how long ago or ahead it is; an absent one is empty."""
    return "" if at_ms is None else f"{format_ms(at_ms)} UTC, {say_ago(at_ms)}"
