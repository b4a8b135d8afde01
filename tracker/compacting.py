"""
Give back the room of what was forgotten.

No ANALYZE: with its statistics SQLite finds rows in other ways than those that tests hold it to.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerFullError, TrackerInUseError
from tracker.checkpoints import empty_log
from tracker.connection import open_db
from tracker.exclusive import exclusively

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.connection import Connection

MOST_BYTES_AMONG_OTHERS = 200_000_000
"""Up to this size the file is rewritten while workers run: they wait for it, some seconds at most."""

WORTH_IT = 0.1
"""With less of the file free than this part, rewriting it while workers run is not worth their wait."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """
    What compacting came to, in bytes, the write-ahead log included.

    `rewritten` says whether the file itself was; if not, `why_not` says why, and `free` what that would give back.
    `emptied` says whether the log was.
    """

    before: int
    after: int
    free: int
    rewritten: bool
    emptied: bool
    why_not: str | None


def compact(path: Path) -> Compacted:
    """
    Compact the tracker: whole, if nobody else has it open; among others as far as they are not held up.

    Raises `TrackerFullError` when there is no room to rewrite it.
    """
    before = count_bytes(path)
    try:
        with exclusively(path) as conn:
            free = _count_free(conn)
            _require_room(path, conn)
            _rewrite(conn, path)
        return Compacted(before, count_bytes(path), free, rewritten=True, emptied=True, why_not=None)
    except TrackerInUseError:
        return _compact_among_others(path, before)


def _compact_among_others(path: Path, before: int) -> Compacted:
    with open_db(path) as conn:
        free, why_not = _count_free(conn), _say_why_not(conn)
        if why_not is None:
            _require_room(path, conn)
            why_not = _rewrite_among_others(conn, path)
        emptied = empty_log(conn)
    return Compacted(
        before, count_bytes(path), free, rewritten=why_not is None, emptied=emptied, why_not=why_not
    )


def _rewrite_among_others(conn: Connection, path: Path) -> str | None:
    try:
        with conn.turn():
            _rewrite(conn, path)
    except (apsw.BusyError, apsw.LockedError):  # a stranger, such as an sqlite3 shell with a transaction open
        return "somebody else was writing to it"
    return None


def _say_why_not(conn: Connection) -> str | None:
    size, free = int(conn.pragma("page_count")) * int(conn.pragma("page_size")), _count_free(conn)
    if size > MOST_BYTES_AMONG_OTHERS:
        return "workers or others have it open, and would have to wait too long: stop them, then again"
    if free < WORTH_IT * size:
        return "workers or others have it open, and there is too little to give back for making them wait"
    return None


def _count_free(conn: Connection) -> int:
    return int(conn.pragma("freelist_count")) * int(conn.pragma("page_size"))


def _require_room(path: Path, conn: Connection) -> None:
    # a second copy, and as much again in the log or the journal
    used = int(conn.pragma("page_count")) * int(conn.pragma("page_size")) - _count_free(conn)
    free = shutil.disk_usage(path.parent).free
    if free < 2 * used:
        raise TrackerFullError(f"no room to rewrite {path}: it takes {2 * used:,} bytes, {free:,} are free")


def _rewrite(conn: Connection, path: Path) -> None:
    # The copy on its way is as large as the file: it belongs on the same disk, not into memory or a small /tmp.
    conn.execute("PRAGMA temp_store = FILE")
    conn.execute(
        f"PRAGMA temp_store_directory = {apsw.format_sql_value(str(path.parent.absolute()))}"
    ).fetchall()
    try:
        conn.execute("VACUUM").fetchall()
    except apsw.FullError as error:
        raise TrackerFullError(f"no room left to rewrite {path}; it is as it was") from error
    finally:
        conn.execute("PRAGMA temp_store_directory = ''").fetchall()


def count_bytes(path: Path) -> int:
    """Tell how large the tracker is, with its write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
