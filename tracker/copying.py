"""Copy the tracker while all runs: as it is at one moment, in steps, holding up nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerFullError, TrackerUnusableError
from tracker.blobs import sync_folder
from tracker.connection import open_readonly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.connection import Connection

Tell = Callable[[str, int, int], None]
"""Takes how far something long is: what it is doing, how much of it is done, and of how much."""

STEP_PAGES = 1000
"""How much is copied between two looks at the progress, and at Ctrl-C: some milliseconds."""

BEGIN_SNAPSHOT = "SELECT value FROM meta LIMIT 1"


def tell_nobody(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it is."""


def copy_database(path: Path, target: Path, tell: Tell = tell_nobody) -> None:
    """
    Copy the tracker at `path` into the new file `target`, which stands alone, without a log beside it.

    One read transaction holds the moment that is copied. Without it, SQLite begins a copy in steps anew whenever
    another process writes, and under load never ends. Raises `TrackerFullError` when there is no room.
    """
    with open_readonly(path) as conn, _no_room_is_told(target), _begin_file(target) as copy:
        conn.execute("BEGIN")
        conn.execute(BEGIN_SNAPSHOT).fetchall()
        with copy.backup("main", conn, "main") as backup:
            while not backup.done:
                backup.step(STEP_PAGES)
                tell("copying the tracker", backup.page_count - backup.remaining, backup.page_count)
        conn.execute("COMMIT")
    stand_alone(target)


def stand_alone(path: Path) -> None:
    """Fold a log into its file, which nobody else has open, and see that all of it is on the disk."""
    with _open_alone(path) as conn:
        conn.execute("PRAGMA journal_mode = DELETE").fetchall()
    sync_file(path)
    sync_folder(path.parent)


@contextmanager
def _begin_file(path: Path) -> Iterator[apsw.Connection]:
    with _open_alone(path, apsw.SQLITE_OPEN_CREATE) as conn:
        conn.execute("PRAGMA journal_mode = OFF").fetchall()
        conn.execute("PRAGMA synchronous = OFF")  # the file is nothing until it is whole, and synced then
        yield conn


@contextmanager
def _open_alone(path: Path, create: int = 0) -> Iterator[apsw.Connection]:
    # Without locks, which network disks may not have: the file has no name yet that anybody else knows.
    conn = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | create, vfs="unix-none")
    try:
        conn.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        yield conn
    finally:
        conn.close()


@contextmanager
def _no_room_is_told(target: Path) -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise TrackerFullError(f"no room left to write {target}") from error
    except apsw.CantOpenError as error:
        raise TrackerUnusableError(f"cannot write {target}: {error}") from error


def sync_file(path: Path) -> None:
    """See that a file's content lasts. Not for a database that this process has open."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def measure(conn: Connection) -> int:
    """Tell how many bytes a copy of the tracker takes."""
    return int(conn.pragma("page_count")) * int(conn.pragma("page_size"))
