"""What a check-up reads of the tracker's file: its pages, its schema, and what has been left lying on the way."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerDamagedError, TrackerUnusableError
from tracker.clock import now_ms
from tracker.connection import OLDEST_SAFE_SQLITE, open_readonly
from tracker.filesystem import UNSAFE, can_write, find_file_system
from tracker.schema import list_migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.connection import Connection

MOST_FAULTS = 20

GRACE_MS = 15_000
"""What is overdue by less is not left lying: the sweep comes by every few seconds."""

UNCLAIMED_MS = 60_000
"""A message that waits for longer is worth a word, whatever the workers do."""


def read_library() -> tuple[str, bool]:
    """Tell the version of SQLite, and whether it is one that loses no rows."""
    version = apsw.sqlite_lib_version()
    return version, tuple(int(part) for part in version.split(".")) >= OLDEST_SAFE_SQLITE


def read_file_system(path: Path) -> tuple[str | None, bool]:
    """Tell the type of the file system that the tracker is on, if the kernel says, and whether it is a safe one."""
    kind = find_file_system(path.absolute().parent)
    return kind, kind not in UNSAFE


@contextmanager
def open_if_possible(path: Path) -> Iterator[tuple[Connection | None, TrackerUnusableError | None]]:
    """Open a tracker for reading; or give None, and why it cannot be opened."""
    with ExitStack() as stack:
        opened: Connection | None = None
        error: TrackerUnusableError | None = None
        try:
            opened = stack.enter_context(open_readonly(path))
        except TrackerUnusableError as refused:
            error = refused
        except apsw.Error as met:
            error = TrackerDamagedError(str(met))
        yield opened, error


QUICK_CHECK = "PRAGMA quick_check(20)"

INTEGRITY_CHECK = "PRAGMA integrity_check(20)"


def list_page_faults(conn: Connection, *, full: bool) -> list[str]:
    """List what is wrong with the file's pages, at most 20; with `full` also with each index against its table."""
    try:
        found = [str(row[0]) for row in conn.execute(INTEGRITY_CHECK if full else QUICK_CHECK)]
    except (apsw.CorruptError, apsw.IOError, apsw.NotADBError) as error:
        return [str(error)]
    return [] if found == ["ok"] else found


FOREIGN_KEY_CHECK = "PRAGMA foreign_key_check"


def list_reference_faults(conn: Connection) -> list[str]:
    """List the rows that refer to one that is not there, at most 20."""
    faults = []
    for row in conn.execute(FOREIGN_KEY_CHECK):
        faults.append(f"a row of {row[0]} refers to one of {row[2]} that is not there")
        if len(faults) == MOST_FAULTS:
            break
    return faults


READ_SCHEMA = """
SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND sql IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class SchemaDrift:
    """How a file's schema differs from the one that the migrations make: by `table name`, `index name` and so on."""

    missing: list[str]
    changed: list[str]
    added: list[str]


def compare_schema(conn: Connection) -> SchemaDrift:
    """Compare the file's schema with that of a fresh one."""
    fresh = apsw.Connection(":memory:")
    try:
        for _, sql in list_migrations():
            fresh.execute(sql).fetchall()
        wanted = {str(name): str(sql) for name, sql in fresh.execute(READ_SCHEMA)}
    finally:
        fresh.close()
    found = {row[0]: row[1] for row in conn.execute(READ_SCHEMA)}
    return SchemaDrift(
        missing=sorted(wanted.keys() - found.keys()),
        changed=sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name]),
        added=sorted(found.keys() - wanted.keys()),
    )


@dataclass(frozen=True, slots=True)
class Flow:
    """
    What has been left lying, counted.

    `overdue` waited for a time that has come and gone; `lost` was sent, not claimed, and should have been sent again;
    of the `sent`, `unclaimed` ones wait for over a minute, the first since `sent_at` (Unix ms); `abandoned` are claimed
    without a heartbeat, `discoveries` likewise; `ahead` claims were made by a clock that is before ours.
    """

    overdue: int
    lost: int
    sent: int
    unclaimed: int
    sent_at: int | None
    abandoned: int
    discoveries: int
    ahead: int


READ_FLOW = """
SELECT (SELECT count(*) FROM item_stages INDEXED BY idx_item_stages_parked
         WHERE job_id IN (SELECT job_id FROM item_counts)
           AND status = 'pending' AND retry_at <= :overdue AND queued_at IS NULL) AS overdue,
       count(*) FILTER (WHERE resend_at <= :overdue) AS lost,
       count(*) FILTER (WHERE retry_at IS NULL) AS sent,
       count(*) FILTER (WHERE retry_at IS NULL AND queued_at <= :unclaimed) AS unclaimed,
       min(queued_at) FILTER (WHERE retry_at IS NULL) AS sent_at,
       (SELECT count(*) FROM item_stages INDEXED BY idx_item_stages_leased
         WHERE status = 'in_progress' AND leased_until < :overdue) AS abandoned,
       (SELECT count(*) FROM discovery_runs INDEXED BY idx_discovery_runs_leased
         WHERE leased_until < :overdue) AS discoveries,
       (SELECT count(*) FROM item_stages INDEXED BY idx_item_stages_leased
         WHERE status = 'in_progress' AND leased_until IS NOT NULL AND started_at > :ahead) AS ahead
  FROM item_stages INDEXED BY idx_item_stages_sent
 WHERE status = 'pending' AND queued_at IS NOT NULL
"""


def read_flow(conn: Connection) -> Flow:
    """Count what has been left lying, from indexes of just that."""
    now = now_ms()
    asked = {"overdue": now - GRACE_MS, "unclaimed": now - UNCLAIMED_MS, "ahead": now + GRACE_MS}
    return Flow(*conn.execute(READ_FLOW, asked).fetchone())


LIST_USED_FILES = """
SELECT sha256, uses FROM artifacts WHERE sha256 > :after AND uses > 0 ORDER BY sha256 LIMIT 500
"""


def list_missing_files(conn: Connection, folder: Path) -> list[str]:
    """List the files that something refers to and that are not there, by their hash, at most 20. Reads none."""
    missing: list[str] = []
    after = ""
    while rows := conn.execute(LIST_USED_FILES, {"after": after}).fetchall():
        missing += [sha256 for sha256, _ in rows if not (folder / sha256[:2] / sha256).exists()]
        after = rows[-1][0]
        if len(missing) >= MOST_FAULTS:
            break
    return missing[:MOST_FAULTS]


def name_companions(path: Path) -> list[Path]:
    """Name the tracker's files: the database, its log, the log's index and the locks."""
    return [
        path.with_name(path.name + suffix)
        for suffix in ("", "-wal", "-shm", ".lock", ".waiting", ".checkpoint")
    ]


def list_companions(path: Path) -> list[Path]:
    """List the tracker's files that are there."""
    return [one for one in name_companions(path) if one.exists()]


def list_permission_faults(path: Path) -> list[str]:
    """List the tracker's files, and its folder, that this user cannot write, and the files that anybody can write."""
    faults = []
    if path.exists() and not can_write(path.absolute().parent):
        faults.append(f"{path.absolute().parent} cannot be written by this user")
    for one in list_companions(path):
        if not os.access(one, os.R_OK | os.W_OK):
            faults.append(f"{one} cannot be read and written by this user")
        elif one.stat().st_mode & 0o002:
            faults.append(f"{one} can be written by anybody")
    return faults


def measure_log(path: Path) -> int:
    """Measure the write-ahead log, in bytes."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0
