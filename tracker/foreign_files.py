"""
Read any SQLite file, whoever made it, with no way to change it or to be kept busy by it.

Here, because only one SQLite library may open a file in one process, and only this package has it.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import apsw
import apsw.ext

from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BUSY_TIMEOUT_MS = 10_000
MAX_VALUE_BYTES = 16 * 1024 * 1024
STEPS_BETWEEN_LOOKS = 100_000
"""After so many steps of SQLite's machine, some milliseconds, the clock is looked at."""

ROWS_BETWEEN_WINDS = 1000

_NO_STATEMENT = re.compile(r"(?:[\s;]|--[^\n]*|/\*.*?(?:\*/|\Z))*+", re.DOTALL)
_READING = {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}
_HIDDEN = {"load_extension", "fts3_tokenizer"}
_LATER = (apsw.BusyError, apsw.LockedError, apsw.CantOpenError, apsw.PermissionsError, apsw.IOError)


@contextmanager
def read_foreign(
    path: str, query: str, bindings: Mapping[str, Any], *, patience_seconds: float = 60.0
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """
    Run one query that only reads; the names of its columns, and its rows as they are asked for.

    `bindings` are its named parameters. It is ended when the next thousand rows take over `patience_seconds`.
    Raises `SourceRejectedError` for what is no database, no single query, or one that would write, attach or
    set something; `SourceUnavailableError` for a file that cannot be opened or is locked.
    """
    watch = _Watch(patience_seconds)
    with _telling(path, watch):
        conn = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=0)
    try:
        with _telling(path, watch):
            columns, cursor = _execute(conn, query, bindings, watch)
        yield columns, _read(cursor, path, watch)
    finally:
        conn.close(True)  # whatever is still being read


class _Watch:
    """Ends a query that gives nothing for too long."""

    def __init__(self, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self.wind()

    def wind(self) -> None:
        self._until = time.monotonic() + self.patience_seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._until


def _execute(
    conn: apsw.Connection, query: str, bindings: Mapping[str, Any], watch: _Watch
) -> tuple[list[str], apsw.Cursor]:
    _lock_down(conn, watch)
    about = apsw.ext.query_info(conn, query)
    if about.query_remaining and not _NO_STATEMENT.fullmatch(about.query_remaining):
        raise SourceRejectedError("there is more than one statement in the query")
    if not about.is_readonly or not about.description:
        raise SourceRejectedError("the query gives no rows")
    names = about.bindings_names
    if missing := [str(name) for name in names if name not in bindings]:
        raise SourceRejectedError(f"the query has parameters without a value: {', '.join(missing)}")
    watch.wind()
    given = {name: bindings[name] for name in names if name is not None}
    return [column[0] for column in about.description], conn.execute(query, given)


def _lock_down(conn: apsw.Connection, watch: _Watch) -> None:
    conn.set_busy_timeout(BUSY_TIMEOUT_MS)
    conn.execute("PRAGMA query_only = ON")
    conn.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    conn.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)  # what the file's own views may call
    conn.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    conn.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    conn.authorizer = _authorize
    conn.set_progress_handler(watch.is_over, STEPS_BETWEEN_LOOKS)


def _authorize(action: int, subject: str | None, name: str | None, *_: str | None) -> int:
    if action == apsw.SQLITE_PRAGMA:
        allowed = subject == "data_version"  # full-text search asks for it
    else:
        allowed = action in _READING and (name or "").lower() not in _HIDDEN
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY


def _read(cursor: apsw.Cursor, path: str, watch: _Watch) -> Iterator[tuple[Any, ...]]:
    with _telling(path, watch):
        while True:
            watch.wind()
            first: Sequence[Any] | None = next(cursor, None)
            if first is None:
                return
            yield tuple(first)
            yield from islice(cursor, ROWS_BETWEEN_WINDS - 1)


@contextmanager
def _telling(path: str, watch: _Watch) -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        raise SourceRejectedError(f"{path}: {error}") from None
    except apsw.InterruptError as error:
        raise SourceRejectedError(
            f"{path}: the query gave nothing for {watch.patience_seconds:g} seconds"
        ) from error
    except _LATER as error:
        raise SourceUnavailableError(f"cannot read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise SourceRejectedError(f"{path} holds text that is not UTF-8; select it as a blob") from error
    except (apsw.Error, TypeError, OverflowError) as error:  # the latter two: a value that cannot be bound
        raise SourceRejectedError(f"{path}: {error}") from error
