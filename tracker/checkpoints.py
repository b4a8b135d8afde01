"""
Checkpoints: move the write-ahead log's pages into the database file, while others go on writing.

SQLite itself would make one within a COMMIT, and so while it holds the turn to write: all who want to write would wait
for the disk. Here whoever's commit makes the log long does it after the turn was given up. What others append meanwhile
is short; it is moved within a turn, after which the log begins anew.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.connection import Connection

CHECKPOINT_PAGES = 8000
"""The length of the log, in pages, at which a checkpoint is made: 16 MB in new files."""

SELDOM_PAGES = 2 * CHECKPOINT_PAGES
"""The same for long work that has a thread for it, and keeps all others from making any meanwhile."""

LONG_PAGES = 2 * CHECKPOINT_PAGES
"""From there on readers keep it from beginning anew, and are waited for."""

FAR_TOO_LONG_PAGES = 10 * CHECKPOINT_PAGES
"""From there on nobody trusts that whoever is at a checkpoint ends it: it may be stopped."""

SHORT_PAGES = 500
"""Once no more were added while the rest was moved, what is left is moved within a turn: some milliseconds."""

TRIES = 10
"""How often it is moved beside other writers at most, before what is left is moved within a turn."""

CANNOT = (apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, OSError)
"""What keeps a checkpoint from being made for now."""

SHORT_READERS_MS, READERS_MS = 10, 50
"""For how long a checkpoint, and emptying the log, wait for readers: SQLite lets nobody write meanwhile."""


def checkpoint(conn: Connection) -> None:
    """
    Move the log into the file. Call it outside of a transaction and of a turn.

    When somebody else is at it, or there is no room, it does nothing: a later commit's checkpoint goes on, and
    `celeriac doctor` tells of a log that only grows.
    """
    try:
        with conn.try_checkpoint() as nobody_else:
            if nobody_else or conn.log_pages >= FAR_TOO_LONG_PAGES:
                _begin_anew(conn)
    except CANNOT:
        return


def _begin_anew(conn: Connection) -> None:
    if not _move_beside_writers(conn):
        return
    _sync(conn.path)
    conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)  # what was added meanwhile
    with conn.turn():
        pages, _ = conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if pages > LONG_PAGES:
            with _waiting_for(conn, SHORT_READERS_MS):
                conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)


def _move_beside_writers(conn: Connection) -> bool:
    """Move the log until little was added meanwhile; False when a reader needs much of it, or it has begun anew."""
    seen, is_moved = 0, False  # each time as many as there were when it began
    for _ in range(TRIES):
        pages, moved = conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if pages <= SHORT_PAGES:  # somebody else was quicker
            return False
        is_moved = pages - moved <= SHORT_PAGES
        if is_moved and pages - seen <= SHORT_PAGES:
            return True
        seen = pages
    return is_moved


_files: dict[tuple[int, int], int] = {}
"""A descriptor of each file, kept for good: a process that closes one lets go of all SQLite's locks on that file."""


def _sync(path: Path) -> None:
    """Have on the disk what was moved: SQLite does so when it has moved the last page, which is within a turn."""
    found = path.stat()
    file = (found.st_dev, found.st_ino)
    if file not in _files:
        _files[file] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.fsync(_files[file])


EMPTY_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"


def empty_log(conn: Connection) -> bool:
    """
    Move all of the log into the file, and cut it off; False when a reader needs some of it still.

    Call it outside of a transaction and of a turn. A reader that takes its time, such as a backup, is not waited for.
    """
    checkpoint(conn)  # most of it is moved beside other writers
    with conn.turn(), _waiting_for(conn, READERS_MS):
        try:
            return bool(conn.execute(EMPTY_LOG).fetchone()[0] == 0)
        except (apsw.BusyError, apsw.LockedError):
            return False


@contextmanager
def _waiting_for(conn: Connection, readers_ms: int) -> Iterator[None]:
    """Within the block, wait for readers for so long at most."""
    usual = int(conn.pragma("busy_timeout"))
    conn.set_busy_timeout(readers_ms)
    try:
        yield
    finally:
        conn.set_busy_timeout(usual)


@contextmanager
def beside(conn: Connection, other: Connection) -> Iterator[None]:
    """
    Within the block, let a thread make the checkpoints that the connection's commits call for, through `other`.

    For long work, which then need not wait for the disk; all others leave them to it, so that they can be few. The
    other connection is nobody else's until the end.
    """
    wanted, ended = threading.Event(), threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                with other.try_checkpoint() as nobody_else:
                    wanted.wait()
                    if nobody_else or conn.log_pages >= FAR_TOO_LONG_PAGES:
                        _begin_anew(other)
            except CANNOT:
                wanted.wait()
            wanted.clear()  # what was wanted meanwhile is done; if the log is long still, the next commit wants more

    thread = threading.Thread(target=work, name="checkpoints", daemon=True)
    thread.start()
    conn.make_checkpoint, conn.longest_log = lambda _: wanted.set(), SELDOM_PAGES
    try:
        yield
    finally:
        conn.make_checkpoint, conn.longest_log = checkpoint, CHECKPOINT_PAGES
        ended.set()
        wanted.set()
        thread.join()
