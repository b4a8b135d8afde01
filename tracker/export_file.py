"""Write rows into a new SQLite file of a user's own, whose columns are not known before."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from pipeline.errors import ExportError, TrackerFullError
from tracker.foreign_tables import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

TABLE = "results"
MAX_COLUMNS = 1900
"""SQLite takes 2,000."""

_LARGEST = 2**63


class RowsFile:
    """A table of the columns named at first, that gets another for each name that it meets."""

    def __init__(self, conn: apsw.Connection, names: Iterable[str]) -> None:
        self._conn = conn
        self._columns: dict[str, str] = {}
        for name in names:
            self._make_column(name)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; names that differ only in case get columns of their own, since to SQLite they are one."""
        for name in row:
            if name not in self._columns:
                self._make_column(name)
        into = f"INSERT INTO {TABLE} ({', '.join(quote(self._columns[name]) for name in row)})"
        values = f"VALUES ({', '.join('?' * len(row))})"
        self._conn.execute(f"{into} {values}", tuple(map(_as_value, row.values())))

    def _make_column(self, name: str) -> None:
        if len(self._columns) >= MAX_COLUMNS:
            raise ExportError(f"the results have more than {MAX_COLUMNS:,} fields: export without --flatten")
        taken = {column.lower() for column in self._columns.values()}
        plain = name.replace("\0", "") or "_"
        column, number = plain, 1
        while column.lower() in taken:
            number += 1
            column = f"{plain}_{number}"
        if self._columns:
            self._conn.execute(f"ALTER TABLE {TABLE} ADD COLUMN {quote(column)}")
        else:
            self._conn.execute(f"CREATE TABLE {TABLE} ({quote(column)})")
        self._columns[name] = column


def _as_value(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return value


@contextmanager
def make_rows_file(path: Path, names: Iterable[str]) -> Iterator[RowsFile]:
    """Make a new file with these columns, in one transaction. Raises `TrackerFullError` when there is no room."""
    conn = apsw.Connection(str(path))
    try:
        conn.execute("PRAGMA journal_mode = OFF").fetchall()
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("BEGIN")
        yield RowsFile(conn, names)
        conn.execute("COMMIT")
    except apsw.FullError as error:
        raise TrackerFullError(f"no room left to write {path}") from error
    finally:
        conn.close(True)
