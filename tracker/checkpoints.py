"""
Checkpoints: move the write-ahead log's pages into the database file, while others go on writing.

SQLite itself would make one within a COMMIT, and so while it holds the turn to write: all who want to write would wait
for the disk. Here whoever's commit makes the log long does it after the turn was given up. What others append meanwhile
is short; it is moved within a turn, after which the log begins anew.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.connection import Connection

CHECKPOINT_PAGES = 8000
"""The length of the log, in pages, at which a checkpoint is made: 16 MB in new files."""

SOON_PAGES = CHECKPOINT_PAGES // 2
"""The same for who has a thread for it: then nobody else's commit is the one that makes the log long."""

SHORT_PAGES = 500
"""What is left of the log when it is moved within a turn: some milliseconds."""

TRIES = 3
"""How often it is moved beside other writers, before the next commit's checkpoint goes on."""

READERS_MS = 50
"""For how long emptying the log waits for readers: SQLite lets nobody write meanwhile."""


def checkpoint(conn: Connection) -> None:
    """
    Move the log into the file. Call it outside of a transaction and of a turn.

    When somebody else is at it, or there is no room, it does nothing: a later commit's checkpoint goes on, and
    `celeriac doctor` tells of a log that only grows.
    """
    try:
        for _ in range(TRIES):
            pages, moved = conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages <= SHORT_PAGES:  # it has begun anew: somebody else was quicker
                return
            if pages - moved <= SHORT_PAGES:
                with conn.turn():
                    conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                return
    except (apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError):
        return


EMPTY_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"


def empty_log(conn: Connection) -> bool:
    """
    Move all of the log into the file, and cut it off; False when a reader needs some of it still.

    Call it outside of a transaction and of a turn. A reader that takes its time, such as a backup, is not waited for.
    """
    checkpoint(conn)  # most of it is moved beside other writers
    with conn.turn():
        usual = int(conn.pragma("busy_timeout"))
        conn.set_busy_timeout(READERS_MS)
        try:
            return bool(conn.execute(EMPTY_LOG).fetchone()[0] == 0)
        except (apsw.BusyError, apsw.LockedError):
            return False
        finally:
            conn.set_busy_timeout(usual)


@contextmanager
def beside(conn: Connection, other: Connection) -> Iterator[None]:
    """
    Within the block, let a thread make the checkpoints that the connection's commits call for, through `other`.

    For long work, which then need not wait for the disk. The other connection is nobody else's until the end.
    """
    wanted, ended = threading.Event(), threading.Event()

    def work() -> None:
        while wanted.wait() and not ended.is_set():
            wanted.clear()
            checkpoint(other)

    thread = threading.Thread(target=work, name="checkpoints", daemon=True)
    thread.start()
    conn.make_checkpoint, conn.longest_log = lambda _: wanted.set(), SOON_PAGES
    try:
        yield
    finally:
        conn.make_checkpoint, conn.longest_log = checkpoint, CHECKPOINT_PAGES
        ended.set()
        wanted.set()
        thread.join()
