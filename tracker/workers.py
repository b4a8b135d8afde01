"""Workers: who serves which queues, with which code, and what each is running."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.other_releases import read_said
from tracker.clock import now_ms
from tracker.connection import write
from tracker.notes import find_note, set_note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.connection import Connection
    from tracker.rows import Row

BEAT_SECONDS = 15.0
"""How often a worker, and beat, say that they live."""

MISSED_MS = 20_000
"""Who has said nothing for so long has missed a word."""

SILENT_MS = 60_000
"""Who has said nothing for so long is taken to be gone: four words in a row were missed."""

SKEW_MS = 2_000
"""A clock that is off by so much is told of."""

FORGET_MS = 3_600_000
"""Whoever went without a word is on the list for so long."""

BEAT_AT = "beat_at"
"""The note that holds when beat last ticked, to within `BEAT_SECONDS`."""


@dataclass(frozen=True, slots=True)
class WorkerWord:
    """
    What a worker says of itself; `at` is its own clock (Unix ms).

    `pid` is its parent process, `processes` those that run stages. A `remote` worker cannot open the tracker's
    file; a `scoped` one works for one run only.
    """

    host: str
    pid: int
    name: str
    processes: Sequence[int]
    queues: Sequence[str]
    version: str
    remote: bool
    scoped: bool
    started_at: int
    at: int


PUT_WORKER = """
INSERT INTO workers (host, pid, name, processes, queues, version, remote, scoped, started_at, seen_at, skew_ms)
VALUES (:host, :pid, :name, :processes, :queues, :version, :remote, :scoped, :started_at, :now, :skew_ms)
    ON CONFLICT DO UPDATE
   SET name = excluded.name, processes = excluded.processes, queues = excluded.queues,
       version = excluded.version, remote = excluded.remote, scoped = excluded.scoped,
       started_at = excluded.started_at, seen_at = excluded.seen_at, skew_ms = excluded.skew_ms
"""


# Two containers may truly share a name: each says that it lives, and both stay.
DROP_REPLACED = """
DELETE FROM workers
 WHERE name = :name AND scoped = :scoped AND started_at < :started_at AND seen_at < :missed
"""


def note_worker(conn: Connection, word: WorkerWord) -> None:
    """
    Record that a worker lives, by the clock of this process. Commits.

    One that was started earlier under its name, and says nothing any more, is struck off: it was started again.
    """
    now = now_ms()
    with write(conn):
        conn.execute(
            PUT_WORKER,
            {
                "host": word.host,
                "pid": word.pid,
                "name": word.name,
                "processes": json.dumps(list(word.processes)),
                "queues": json.dumps(sorted(word.queues)),
                "version": word.version,
                "remote": int(word.remote),
                "scoped": int(word.scoped),
                "started_at": word.started_at,
                "now": now,
                "skew_ms": word.at - now,
            },
        )
        conn.execute(
            DROP_REPLACED,
            {
                "name": word.name,
                "scoped": int(word.scoped),
                "started_at": word.started_at,
                "missed": now - MISSED_MS,
            },
        )


DROP_WORKER = "DELETE FROM workers WHERE host = :host AND pid = :pid"


def forget_worker(conn: Connection, host: str, pid: int) -> None:
    """Strike off a worker that has stopped. Commits."""
    with write(conn):
        conn.execute(DROP_WORKER, {"host": host, "pid": pid})


HAS_SILENT = "SELECT EXISTS (SELECT 1 FROM workers WHERE seen_at < :before)"

DROP_SILENT = "DELETE FROM workers WHERE seen_at < :before"


def forget_silent_workers(conn: Connection) -> int:
    """Strike off the workers that went without a word an hour ago; how many. Commits, if there are any."""
    asked = {"before": now_ms() - FORGET_MS}
    if not conn.execute(HAS_SILENT, asked).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(DROP_SILENT, asked)
        return conn.changes()


def note_beat(conn: Connection) -> None:
    """Record that beat ticks. Commits."""
    set_note(conn, BEAT_AT, str(now_ms()))


def find_beat(conn: Connection) -> int | None:
    """Find when (Unix ms) beat last ticked, or None if it never did."""
    noted = find_note(conn, BEAT_AT)
    return None if noted is None else int(noted)


@dataclass(frozen=True, slots=True)
class Running:
    """One attempt that a process runs now, since `started_at` (Unix ms), under a lease that it renews."""

    worker: str
    job: str
    key: str
    stage: str
    attempt: int
    started_at: int
    leased_until: int
    done: float | None
    total: float | None
    note: str | None


LIST_RUNNING = """
SELECT s.worker, s.job_id, i.key, s.stage, s.attempt, s.started_at, s.leased_until, p.done, p.total, p.note
  FROM item_stages s INDEXED BY idx_item_stages_leased
  JOIN work_items i ON i.item_id = s.item_id
  LEFT JOIN progress p ON p.item_id = s.item_id AND p.stage = s.stage
 WHERE s.status = 'in_progress'
 ORDER BY s.started_at
"""


def list_running(conn: Connection) -> list[Running]:
    """List all attempts that run now, the longest first: as many as there are processes."""
    return [Running(*row) for row in conn.execute(LIST_RUNNING)]


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """
    One worker and what it runs; instants in Unix milliseconds.

    `is_silent` when it has not said for a minute that it lives. `skew_seconds` is how far its clock is ahead.
    """

    name: str
    host: str
    pid: int
    processes: list[int]
    queues: list[str]
    version: str
    is_remote: bool
    is_scoped: bool
    started_at: int
    seen_at: int
    is_silent: bool
    skew_seconds: float
    running: list[Running]


LIST_WORKERS = """
SELECT host, pid, name, processes, queues, version, remote, scoped, started_at, seen_at, skew_ms
  FROM workers
 ORDER BY started_at DESC
"""


def list_workers(conn: Connection) -> list[WorkerReport]:
    """
    List the workers that said they live within the last hour, each with what it runs.

    A process that two of them name, since the machine or container was started again, is the later one's.
    """
    by_process: dict[str, list[Running]] = {}
    for one in list_running(conn):
        by_process.setdefault(one.worker, []).append(one)
    now = now_ms()
    latest_first = [_report(row, by_process, now) for row in conn.execute(LIST_WORKERS)]
    return sorted(latest_first, key=lambda one: (one.host, one.name, one.pid))


def _report(row: Row, by_process: dict[str, list[Running]], now: int) -> WorkerReport:
    processes: list[int] = json.loads(row["processes"])
    names = [f"{row['host']}:{pid}" for pid in dict.fromkeys([*processes, row["pid"]])]
    return WorkerReport(
        name=row["name"],
        host=row["host"],
        pid=row["pid"],
        processes=processes,
        queues=json.loads(row["queues"]),
        version=row["version"],
        is_remote=bool(row["remote"]),
        is_scoped=bool(row["scoped"]),
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        is_silent=now - row["seen_at"] > SILENT_MS,
        skew_seconds=row["skew_ms"] / 1000,
        running=[one for name in names for one in by_process.pop(name, ())],
    )


SERVED_QUEUES = """
SELECT q.value AS queue, count(*) AS workers, max(w.seen_at) AS seen_at
  FROM workers w, json_each(w.queues) q
 WHERE w.seen_at >= :since AND NOT w.scoped
 GROUP BY q.value
"""


def count_serving(conn: Connection) -> dict[str, int]:
    """Count the living workers of each queue; one that works for a single run does not count."""
    rows = conn.execute(SERVED_QUEUES, {"since": now_ms() - SILENT_MS})
    return {row["queue"]: row["workers"] for row in rows}


def as_word(told: Mapping[str, Any]) -> WorkerWord:
    """Read a word that came as JSON. Raises `TypeError` for one that lacks something."""
    return read_said(WorkerWord, told)
