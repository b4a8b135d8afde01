"""Have the tracker to oneself, or learn that somebody else has it open."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerInUseError
from tracker.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusively(path: Path) -> Iterator[Connection]:
    """
    Open an existing tracker so that nobody else has it open, and nobody can read or write it within the block.

    Its log is folded into the file, which stands alone then. Raises `TrackerInUseError` at once when any process has
    it open, be it a worker or somebody's sqlite3 shell; apsw's own errors for what is no sound database.
    """
    conn = Connection(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        conn.set_busy_timeout(0)
        conn.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        _take(conn, path)
        with conn.turn():
            yield conn
    finally:
        conn.close()


def _take(conn: Connection, path: Path) -> None:
    try:
        # Only the last one that has the file open may leave the write-ahead log.
        conn.execute("PRAGMA journal_mode = DELETE").fetchall()
        conn.execute("BEGIN EXCLUSIVE")
        conn.execute("COMMIT")  # the lock stays, by the locking mode
    except (apsw.BusyError, apsw.LockedError) as error:
        raise TrackerInUseError(path) from error


def is_sound(path: Path) -> bool:
    """Tell whether a file is an SQLite database whose schema can be read."""
    try:
        # To read only: the log beside what is no database would be removed.
        conn = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return False
    try:
        conn.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except (apsw.NotADBError, apsw.CorruptError, apsw.IOError):
        return False
    finally:
        conn.close()
    return True
