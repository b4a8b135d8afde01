"""Check a tracker's file from end to end: its pages, its references, and its counters against what they count."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import apsw

from pipeline.errors import TrackerUnusableError
from tracker.schema import NEWEST_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_FAULTS = 20
STEPS_BETWEEN_LOOKS = 1_000_000
"""After so many steps of SQLite's machine, some milliseconds, Ctrl-C is heard."""


@dataclass(frozen=True, slots=True)
class JobCount:
    """
    What one job has in a file: its items, and what a restored tracker does again.

    `claims` would be taken back and `messages` sent again; `discoveries` were running.
    """

    job: str
    items: int
    done: int
    failed: int
    claims: int
    messages: int
    discoveries: int


@dataclass(frozen=True, slots=True)
class Recount:
    """What a file holds, and what is wrong with it, in words, at most 20 faults."""

    schema: int
    jobs: list[JobCount]
    items: int
    results: int
    artifacts: int
    artifact_bytes: int
    faults: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """The counts by which one copy is compared with another."""
        return {
            "schema": self.schema,
            "items": self.items,
            "results": self.results,
            "artifacts": self.artifacts,
            "artifact_bytes": self.artifact_bytes,
        }


@contextmanager
def open_copy(path: Path) -> Iterator[apsw.Connection]:
    """
    Open a tracker's file that nobody writes, for reading, wherever it lies; also one that an older Celeriac made.

    Raises `TrackerUnusableError` for what is no tracker, or is newer than this code.
    """
    try:
        # Immutable: no lock, no log and no file beside it are looked for.
        where = f"file:{quote(str(path.absolute()))}?immutable=1"
        conn = apsw.Connection(where, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    except (apsw.CantOpenError, apsw.PermissionsError, apsw.IOError) as error:
        raise TrackerUnusableError(f"cannot open {path}: {error}") from error
    try:
        _refuse(conn, path)
        conn.set_progress_handler(lambda: False, STEPS_BETWEEN_LOOKS)
        yield conn
    finally:
        conn.close(True)


def _refuse(conn: apsw.Connection, path: Path) -> None:
    try:
        version = int(conn.pragma("user_version"))
        names = {name for (name,) in conn.execute(LIST_TABLES)}
    except (apsw.NotADBError, apsw.CorruptError, apsw.IOError) as error:
        raise TrackerUnusableError(f"{path} is no sound SQLite database: {error}") from error
    if not {"work_items", "item_stages", "stage_counts"} <= names:
        raise TrackerUnusableError(f"{path} is no tracker")
    if version > NEWEST_VERSION:
        raise TrackerUnusableError(
            f"{path} has schema {version}, this code knows up to {NEWEST_VERSION}: "
            "it was made by a newer Celeriac; upgrade this one"
        )


LIST_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"

READ_JOB_COUNTS = """
SELECT c.job_id, c.pending + c.in_progress + c.done + c.failed + c.skipped, c.done, c.failed,
       coalesce((SELECT sum(s.in_progress) FROM stage_counts s WHERE s.job_id = c.job_id), 0),
       coalesce((SELECT sum(s.queued + s.countdown) FROM stage_counts s WHERE s.job_id = c.job_id), 0),
       (SELECT count(*) FROM discovery_runs r WHERE r.job_id = c.job_id AND r.leased_until IS NOT NULL)
  FROM item_counts c
 ORDER BY c.job_id
"""

COUNT_RESULTS = "SELECT count(*) FROM results"

COUNT_USED_ARTIFACTS = """
SELECT count(*), coalesce(sum(a.bytes), 0)
  FROM artifacts a
 WHERE EXISTS (SELECT 1 FROM artifact_uses u WHERE u.sha256 = a.sha256 AND u.kind <> 'attempt')
"""

# By two indexes, far smaller than the items; what that of statuses has not is in progress.
COUNT_ITEMS_BY_STATUS = """
WITH counted (job_id, status, items) AS (
    SELECT job_id, status, count(*)
      FROM work_items INDEXED BY idx_work_items_job_status
     WHERE status <> 'in_progress'
     GROUP BY job_id, status
)
SELECT job_id, status, items FROM counted
 UNION ALL
SELECT i.job_id, 'in_progress', count(*) - coalesce((SELECT sum(items) FROM counted c WHERE c.job_id = i.job_id), 0)
  FROM work_items i INDEXED BY idx_work_items_job
 GROUP BY i.job_id
"""

READ_ITEM_COUNTS = "SELECT job_id, pending, in_progress, done, failed, skipped FROM item_counts"

COUNT_STAGES_BY_STATUS = """
SELECT job_id || '.' || stage, status, count(*) FROM item_stages GROUP BY job_id, stage, status
"""

READ_STAGE_COUNTS = """
SELECT job_id || '.' || stage, pending, in_progress, done, failed, skipped FROM stage_counts
"""

STATUSES = ("pending", "in_progress", "done", "failed", "skipped")


def recount(path: Path, *, thorough: bool = False) -> Recount:
    """
    Check a file that nobody writes, and count what it holds; `thorough` compares the indexes with their rows as well.

    It reads the whole file. Raises `TrackerUnusableError` for what is no tracker, or is newer than this code.
    """
    with open_copy(path) as conn:
        faults = [*_look_for_log(path), *_check_pages(conn, thorough=thorough)]
        try:
            return _count(conn, faults)
        except (apsw.CorruptError, apsw.SQLError) as error:
            told = [*faults, str(error)][:MOST_FAULTS]
            return Recount(int(conn.pragma("user_version")), [], 0, 0, 0, 0, told)


def _count(conn: apsw.Connection, faults: list[str]) -> Recount:
    if not faults:
        faults = [*_check_references(conn), *_check_counters(conn)][:MOST_FAULTS]
    jobs = [JobCount(*row) for row in conn.execute(READ_JOB_COUNTS)]
    ((results,),) = _fetch(conn, COUNT_RESULTS)
    ((files, size),) = _fetch(conn, COUNT_USED_ARTIFACTS)
    items = sum(job.items for job in jobs)
    return Recount(int(conn.pragma("user_version")), jobs, items, results, files, size, faults)


def _look_for_log(path: Path) -> Iterator[str]:
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        yield f"there is a log beside it ({log.name}), so that the file alone is not all of it"


def _check_pages(conn: apsw.Connection, *, thorough: bool) -> list[str]:
    check = f"PRAGMA {'integrity_check' if thorough else 'quick_check'}({MOST_FAULTS})"
    try:
        found = [str(row[0]) for row in conn.execute(check)]
    except apsw.CorruptError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _check_references(conn: apsw.Connection) -> Iterator[str]:
    for table, _, parent, _ in conn.execute("PRAGMA foreign_key_check"):
        yield f"a row of {table} refers to one of {parent} that is not there"


def _check_counters(conn: apsw.Connection) -> Iterator[str]:
    for what, kept_sql, counted_sql in (
        ("items", READ_ITEM_COUNTS, COUNT_ITEMS_BY_STATUS),
        ("stages", READ_STAGE_COUNTS, COUNT_STAGES_BY_STATUS),
    ):
        kept = {
            (name, status): count
            for name, *counts in conn.execute(kept_sql)
            for status, count in zip(STATUSES, counts, strict=True)
        }
        counted = {(name, status): count for name, status, count in conn.execute(counted_sql)}
        for key in sorted(kept.keys() | counted.keys()):
            if (said := kept.get(key, 0)) != (there := counted.get(key, 0)):
                yield f"{what} of {key[0]} that are {key[1]}: the counter says {said}, there are {there}"


LIST_USED = """
SELECT a.sha256, a.bytes
  FROM artifacts a
 WHERE a.sha256 > :after
   AND EXISTS (SELECT 1 FROM artifact_uses u WHERE u.sha256 = a.sha256 AND u.kind <> 'attempt')
 ORDER BY a.sha256
 LIMIT 500
"""


def list_used_artifacts(conn: apsw.Connection) -> Iterator[tuple[str, int]]:
    """
    List the files that a tracker refers to, by their hash, with their bytes, in the order of their hashes.

    Without those that only a running attempt holds: it begins again.
    """
    after = ""
    while rows := _fetch(conn, LIST_USED, {"after": after}):
        yield from rows
        after = rows[-1][0]


def _fetch(conn: apsw.Connection, sql: str, asked: dict[str, str] | None = None) -> list[Any]:
    return conn.execute(sql, asked or {}).fetchall()
