"""Export results, in the format asked for: streamed, in little memory, to a file that is whole or not there."""

from __future__ import annotations

import csv
import json
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from pipeline.errors import ExportError
from runner.export_rows import HEAD, as_cell, as_record, as_row
from runner.feed import write_feed
from runner.output import errors_are_told, find_folder, open_in_place, open_output, replace_whole
from runner.parquet import require_parquet, write_parquet
from runner.spool import Spool
from tracker.clock import now_ms
from tracker.export_file import make_rows_file
from tracker.exporting import Exported, Follower, Wish, stream_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tracker.connection import Connection
    from tracker.copying import Tell

FOLLOW_SECONDS = 0.5
"""How often somebody who follows looks for more."""

OVERLAP_MS = 60_000
"""A result may come to be seen so much later than it says that it was stored."""

FEED_ENTRIES = 100
"""How many of the newest results a feed has unless told."""


class Form(StrEnum):
    """What results are written as."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    SQLITE = "sqlite"
    RSS = "rss"


FOLLOWED = (Form.JSONL, Form.CSV)
"""The formats to which can be added at the end."""

BINARY = (Form.PARQUET, Form.SQLITE)


@dataclass(frozen=True, slots=True)
class Order:
    """How results are exported; `output` is None for standard output."""

    wish: Wish
    form: Form
    output: Path | None = None
    flatten: bool = False
    guarded: bool = True
    limit: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What an export came to; `left_out` names fields that came too late for a header that was written already."""

    records: int
    output: str | None
    left_out: tuple[str, ...] = ()


def export(conn: Connection, order: Order, tell: Tell) -> Done:
    """
    Export the results that there are.

    A file gets its name when it is whole. Raises `ExportError` for what cannot be, and is raised before anything is
    written where that can be known.
    """
    require_file(order.form, order.output)
    counted = _Counted(tell)
    _WRITERS[order.form](counted.count(_take(conn, order)), order)
    return Done(counted.number, str(order.output) if order.output else None)


def require_file(form: Form, output: Path | None) -> None:
    """Raise `ExportError` for a format that cannot be written to standard output."""
    if form in BINARY and output is None:
        raise ExportError(f"{form.value} is written to a file: name one with -o FILE")


def require_followed(form: Form) -> None:
    """Raise `ExportError` for a format to which nothing can be added."""
    if form not in FOLLOWED:
        raise ExportError(f"--follow adds to {' or '.join(FOLLOWED)}; {form.value} is written whole")


def _take(conn: Connection, order: Order) -> Iterator[Exported]:
    stream = stream_results(conn, order.wish)
    if order.limit is None or order.form is Form.RSS:  # a feed takes the newest, wherever they come
        yield from stream
        return
    for number, one in enumerate(stream, start=1):
        yield one
        if number >= order.limit:
            return


class _Counted:
    def __init__(self, tell: Tell) -> None:
        self.number, self._tell = 0, tell

    def count(self, stream: Iterable[Exported]) -> Iterator[Exported]:
        for one in stream:
            self.number += 1
            if self.number % 1000 == 0:
                self._tell(f"exporting: {self.number:,} results", 0, 0)
            yield one


# -- the formats ------------------------------------------------------------------------------------------


def _write_jsonl(stream: Iterable[Exported], order: Order) -> None:
    with open_output(order.output) as out:
        for one in stream:
            out.write(_as_line(one, order))


def _as_line(one: Exported, order: Order) -> str:
    record = as_row(one, deep=True) if order.flatten else as_record(one)
    return json.dumps(record, ensure_ascii=False) + "\n"


def _write_csv(stream: Iterable[Exported], order: Order) -> None:
    with _spool(stream, order) as spool, open_output(order.output) as out:
        _write_table(out, spool, order)


def _write_table(out: TextIO, spool: Spool, order: Order) -> csv.DictWriter[str]:
    names = list(dict.fromkeys([*HEAD, *spool.kinds]))
    writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n", extrasaction="ignore")
    # a field's name comes from strangers as well
    writer.writerow({name: as_cell(name, guarded=order.guarded) for name in names})
    for row in spool:
        writer.writerow(_as_cells(row, order))
    return writer


def _as_cells(row: dict[str, Any], order: Order) -> dict[str, Any]:
    return {name: as_cell(value, guarded=order.guarded) for name, value in row.items()}


def _write_parquet(stream: Iterable[Exported], order: Order) -> None:
    require_parquet()
    with _spool(stream, order) as spool, replace_whole(_path_of(order)) as path:
        write_parquet(spool, path)


def _write_sqlite(stream: Iterable[Exported], order: Order) -> None:
    with replace_whole(_path_of(order)) as path, make_rows_file(path, HEAD) as file:
        for one in stream:
            file.add(as_row(one, deep=order.flatten))


def _write_rss(stream: Iterable[Exported], order: Order) -> None:
    text = write_feed(stream, order.title or order.wish.job, order.limit or FEED_ENTRIES)
    with open_output(order.output) as out:
        out.write(text)


_WRITERS: dict[Form, Callable[[Iterable[Exported], Order], None]] = {
    Form.JSONL: _write_jsonl,
    Form.CSV: _write_csv,
    Form.PARQUET: _write_parquet,
    Form.SQLITE: _write_sqlite,
    Form.RSS: _write_rss,
}


@contextmanager
def _spool(stream: Iterable[Exported], order: Order) -> Iterator[Spool]:
    told = errors_are_told(order.output) if order.output else nullcontext()
    with told, Spool(find_folder(order.output)) as spool:
        for one in stream:
            spool.add(as_row(one, deep=order.flatten))
        yield spool


# -- going on ---------------------------------------------------------------------------------------------


def follow(
    conn: Connection, order: Order, tell: Tell, until: Callable[[], bool] = lambda: False
) -> Iterator[Done]:
    """
    Export the results that there are, and then those that arrive, until somebody stops it; what was done, each time.

    For what can be added to: `FOLLOWED`. A file is written where it is, line by line. The columns of CSV are those
    of the results that were there; a field that comes later is left out, and told. It ends by itself at the limit.
    """
    require_followed(order.form)
    began_at = now_ms() - OVERLAP_MS
    follower, counted = Follower(conn, order.wish), _Counted(tell)
    stream = counted.count(follower.meet(_take(conn, order), began_at))
    with open_in_place(order.output) as out:
        sink = _Sink(out, order, stream)
        # Told before they are flushed: whoever stops us at the last line that they read has it counted, too.
        yield sink.report(counted.number)
        out.flush()
        while not until() and (order.limit is None or counted.number < order.limit):
            arrived = follower.read_new()
            room = None if order.limit is None else order.limit - counted.number
            for one in counted.count(islice(arrived, room)):
                sink.add(one)
            if arrived:
                yield sink.report(counted.number)
                out.flush()
            else:
                time.sleep(FOLLOW_SECONDS)


class _Sink:
    """Where results that arrive are added."""

    def __init__(self, out: TextIO, order: Order, stream: Iterable[Exported]) -> None:
        self._out, self._order, self._left_out = out, order, dict[str, None]()
        self._table: csv.DictWriter[str] | None = None
        if order.form is Form.CSV:
            with _spool(stream, order) as spool:
                self._table = _write_table(out, spool, order)
        else:
            for one in stream:
                self.add(one)

    def add(self, one: Exported) -> None:
        if self._table is None:
            self._out.write(_as_line(one, self._order))
            return
        row = as_row(one, deep=self._order.flatten)
        self._left_out |= dict.fromkeys(row.keys() - set(self._table.fieldnames))
        self._table.writerow(_as_cells(row, self._order))

    def report(self, number: int) -> Done:
        output = self._order.output
        return Done(number, str(output) if output else None, tuple(self._left_out))


def _path_of(order: Order) -> Path:
    assert order.output is not None  # noqa: S101 - `export` has seen to it
    return order.output
