"""
Write rows into any SQLite file of a user's own, and into no file of ours.

Beside `foreign_files`, and for its reason: only one SQLite library may open a file in one process.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

BUSY_TIMEOUT_MS = 10_000
MAX_COLUMNS = 500

_OURS = {"work_items", "item_stages", "stage_counts"}
"""Tables that together only a tracker has."""

_LATER = (apsw.BusyError, apsw.LockedError, apsw.CantOpenError, apsw.IOError, apsw.FullError)

LIST_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"
LIST_COLUMNS = "SELECT name FROM pragma_table_xinfo(:table) WHERE hidden IN (0, 2, 3)"


def upsert_row(
    path: Path,
    table: str,
    row: Mapping[str, int | float | str | bytes | None],
    key: Sequence[str],
    *,
    make: bool = False,
) -> None:
    """
    Insert a row, or update the one that has the same values in its `key` columns; an equal row is left alone.

    `path` is absolute, with no symbolic link in it. The table needs a primary key or a unique index of exactly
    the `key` columns. With `make`, the file, the table (keyed so, its columns of no type, so that each value stays
    what it is) and columns that it lacks are made. All of it is one transaction.

    Raises `SourceRejectedError` for what is no database, is a tracker, or does not take the row;
    `SourceUnavailableError` for a file that cannot be opened, is busy, or has no room.
    """
    _check_names(path, table, row, key)
    with _telling(path), _open(path, make=make) as conn:
        conn.execute("BEGIN IMMEDIATE")
        try:
            _refuse_tracker(conn, path)
            if make:
                _make(conn, table, row, key)
            conn.execute(_write_upsert(table, list(row), key), tuple(row.values()))
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise


def quote(name: str) -> str:
    """
    Write the name of a table or column so that it is nothing else, whatever is in it.

    >>> quote('a"; DROP TABLE b')
    '"a""; DROP TABLE b"'
    """
    return '"' + name.replace('"', '""') + '"'


def _check_names(path: Path, table: str, row: Mapping[str, object], key: Sequence[str]) -> None:
    names = [table, *row]
    if bad := [name for name in names if not name or "\0" in name]:
        raise SourceRejectedError(f"{path.name}: {bad[0]!r} is no name of a table or column")
    if not key or not set(key) <= set(row):
        raise SourceRejectedError(f"{path.name}: the key {list(key)} is not among the columns {list(row)}")
    if len(row) > MAX_COLUMNS:
        raise SourceRejectedError(f"{path.name}: over {MAX_COLUMNS} columns")


@contextmanager
def _open(path: Path, *, make: bool) -> Iterator[apsw.Connection]:
    if not make and not path.exists():
        raise SourceRejectedError(f"there is no {path.name}")
    # A second name of the same file would have a journal of its own, and two journals are the end of a database.
    if path.exists() and path.stat().st_nlink > 1:
        raise SourceRejectedError(f"{path.name} has other names (hard links): it cannot be written safely")
    create = apsw.SQLITE_OPEN_CREATE if make else 0
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW | create
    conn = apsw.Connection(str(path), flags=flags, statementcachesize=0)
    try:
        conn.set_busy_timeout(BUSY_TIMEOUT_MS)
        conn.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        conn.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)  # what the file's own triggers may call
        conn.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        yield conn
    finally:
        conn.close(True)


def _refuse_tracker(conn: apsw.Connection, path: Path) -> None:
    if {name for (name,) in conn.execute(LIST_TABLES)} >= _OURS:
        raise SourceRejectedError(f"{path.name} is a tracker of Celeriac; write into a file of your own")


def _make(conn: apsw.Connection, table: str, row: Mapping[str, object], key: Sequence[str]) -> None:
    known = {str(name).lower() for (name,) in conn.execute(LIST_COLUMNS, {"table": table})}
    if not known:
        columns = ", ".join(map(quote, row))
        conn.execute(f"CREATE TABLE {quote(table)} ({columns}, PRIMARY KEY ({', '.join(map(quote, key))}))")
        return
    for name in row:
        if name.lower() not in known:
            conn.execute(f"ALTER TABLE {quote(table)} ADD COLUMN {quote(name)}")


def _write_upsert(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    rest = [quote(name) for name in columns if name not in key]
    into = f"INSERT INTO {quote(table)} ({', '.join(map(quote, columns))})"
    values = f"VALUES ({', '.join('?' * len(columns))})"
    conflict = f"ON CONFLICT ({', '.join(map(quote, key))})"
    if not rest:
        return f"{into} {values} {conflict} DO NOTHING"
    sets = ", ".join(f"{name} = excluded.{name}" for name in rest)
    differs = " OR ".join(f"{quote(table)}.{name} IS NOT excluded.{name}" for name in rest)
    return f"{into} {values} {conflict} DO UPDATE SET {sets} WHERE {differs}"


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except _LATER as error:
        raise SourceUnavailableError(f"cannot write {path.name} now: {error}") from error
    except (apsw.Error, OverflowError) as error:  # the latter: an integer beyond 64 bits
        raise SourceRejectedError(f"{path.name}: {error}") from error
