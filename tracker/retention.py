"""
Forget what is over and old, a little at a time: each batch is a transaction of some milliseconds.

What is forgotten first is what was written first, by its id: so no index is needed by age, and a batch costs the same
however much there is. Safe to be killed between two batches, and to be done by several processes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.connection import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.maintenance import RetentionSpec
    from tracker.connection import Connection

AT_ONCE = 500
LOGS_AT_ONCE = 50
PAUSE_SECONDS = 0.02
"""Between two batches, so that whoever waits for its turn to write gets it."""

READ_FIRST_EVENT = "SELECT at FROM events WHERE event_id >= :id ORDER BY event_id LIMIT 1"
LAST_EVENT = "SELECT max(event_id) FROM events"

# The newest stays: by its id searches, other jobs and whoever follows events go on, and the next one has a higher one.
FORGET_EVENTS = """
DELETE FROM events
 WHERE event_id IN (SELECT event_id
                      FROM events
                     WHERE event_id < min(:below, (SELECT max(event_id) FROM events)) AND at < :before
                     ORDER BY event_id
                     LIMIT :limit)
"""

READ_FIRST_COST = "SELECT spent_at FROM costs WHERE cost_id >= :id ORDER BY cost_id LIMIT 1"
LAST_COST = "SELECT max(cost_id) FROM costs"
FORGET_COSTS = """
DELETE FROM costs
 WHERE cost_id IN (SELECT cost_id
                     FROM costs
                    WHERE cost_id < :below AND spent_at < :before
                    ORDER BY cost_id
                    LIMIT :limit)
"""


READ_FIRST_ATTEMPT_LOG = "SELECT ended_at FROM attempt_logs WHERE log_id >= :id ORDER BY log_id LIMIT 1"
LAST_ATTEMPT_LOG = "SELECT max(log_id) FROM attempt_logs"
NEXT_ATTEMPT_LOGS = """
SELECT max(log_id), count(*)
  FROM (SELECT log_id FROM attempt_logs WHERE log_id > :after AND log_id < :below ORDER BY log_id LIMIT :limit)
"""
FORGET_ATTEMPT_LOGS = """
DELETE FROM attempt_logs
 WHERE log_id > :after AND log_id <= :upto AND ended_at < :before
   AND NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = attempt_logs.item_id AND s.stage = attempt_logs.stage
                      AND s.attempt = attempt_logs.attempt AND s.status = 'failed')
"""


@dataclass(frozen=True, slots=True)
class _Log:
    """
    A table that only grows at its end: how to find what is older than an instant, and to forget it.

    What is found is looked at once more: a clock that was behind for a while leads the search astray.
    """

    first: str
    last: str
    forget: str


EVENTS = _Log(READ_FIRST_EVENT, LAST_EVENT, FORGET_EVENTS)
COSTS = _Log(READ_FIRST_COST, LAST_COST, FORGET_COSTS)
ATTEMPT_LOGS = _Log(READ_FIRST_ATTEMPT_LOG, LAST_ATTEMPT_LOG, FORGET_ATTEMPT_LOGS)


def find_end(conn: Connection, log: _Log, before: int) -> int:
    """Find the id below which a log's rows are older than `before` (Unix ms): by halving, in some 40 looks."""
    low, high = 0, (conn.execute(log.last).fetchone()[0] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(log.first, {"id": middle}).fetchone()
        if row is not None and row[0] < before:
            low = middle + 1
        else:
            high = middle
    return low


def _forget_log(conn: Connection, log: _Log, before: int) -> int:
    below = find_end(conn, log, before)
    return _forget(conn, log.forget, {"below": below, "before": before})


def _forget(conn: Connection, sql: str, asked: dict[str, int]) -> int:
    forgotten = 0
    while True:
        with write(conn):
            conn.execute(sql, {**asked, "limit": AT_ONCE})
            count = conn.changes()
        forgotten += count
        if count < AT_ONCE:
            return forgotten
        time.sleep(PAUSE_SECONDS)


# The last looks of each job stay: what is new to it, and what is usual, is judged by them.
FORGET_LOOKS = """
DELETE FROM discovery_runs
 WHERE run_id IN (SELECT r.run_id
                    FROM jobs j
                    JOIN discovery_runs r ON r.job_id = j.job_id
                   WHERE r.run_id < (SELECT run_id FROM discovery_runs
                                      WHERE job_id = j.job_id ORDER BY run_id DESC LIMIT 1 OFFSET 100)
                     AND r.ended_at < :before AND r.retry_at IS NULL
                   LIMIT :limit)
"""

FORGET_NOTICES = """
DELETE FROM notices
 WHERE notice_id IN (SELECT notice_id FROM notices WHERE closed_at < :before ORDER BY notice_id LIMIT :limit)
"""

FORGET_CHORES = """
DELETE FROM chores
 WHERE run_id IN (SELECT run_id FROM chores c
                   WHERE started_at < :before
                     AND EXISTS (SELECT 1 FROM chores l WHERE l.chore = c.chore AND l.slot_at > c.slot_at)
                   LIMIT :limit)
"""


FORGET_RESULTS = """
DELETE FROM results_history
 WHERE history_id IN (SELECT history_id FROM results_history
                       WHERE replaced_at < :before ORDER BY replaced_at LIMIT :limit)
"""


def forget_history(conn: Connection, before: int) -> int:
    """
    Forget replaced results, failures that were got over, what attempts logged, looks, closed notices and chores.

    How many rows.

    All that ended before an instant (Unix ms). Commits again and again.
    """
    asked = {"before": before}
    ended = (FORGET_RESULTS, FORGET_LOOKS, FORGET_NOTICES, FORGET_CHORES)
    forgotten = sum(_forget(conn, sql, asked) for sql in ended)
    return forgotten + _forget_failures(conn, before) + _forget_attempt_logs(conn, before)


LIST_FAILURES = """
SELECT failed_at, item_id, stage, attempt
  FROM failures INDEXED BY idx_failures_failed
 WHERE (failed_at, item_id, stage, attempt) > (:failed_at, :item_id, :stage, :attempt) AND failed_at < :before
 ORDER BY failed_at, item_id, stage, attempt
 LIMIT :limit
"""

FORGET_FAILURE = """
DELETE FROM failures
 WHERE item_id = :item_id AND stage = :stage AND attempt = :attempt
   AND NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = :item_id AND s.stage = :stage AND s.attempt = :attempt AND s.status = 'failed')
"""


def _forget_failures(conn: Connection, before: int) -> int:
    """Forget the failures of attempts but the last ones of stages that are failed still."""
    forgotten = 0
    after = {"failed_at": 0, "item_id": 0, "stage": "", "attempt": 0}
    while rows := conn.execute(LIST_FAILURES, {**after, "before": before, "limit": AT_ONCE}).fetchall():
        with write(conn):
            for row in rows:
                conn.execute(FORGET_FAILURE, dict(row))
                forgotten += conn.changes()
        after = dict(rows[-1])
        time.sleep(PAUSE_SECONDS)
    return forgotten


def _forget_attempt_logs(conn: Connection, before: int) -> int:
    """Forget what attempts logged, but the last ones of stages that are failed still."""
    below = find_end(conn, ATTEMPT_LOGS, before)
    forgotten, asked = 0, {"after": 0, "below": below, "before": before, "limit": LOGS_AT_ONCE}
    while True:
        asked["upto"], count = conn.execute(NEXT_ATTEMPT_LOGS, asked).fetchone()
        if not count:
            return forgotten
        with write(conn):
            conn.execute(ATTEMPT_LOGS.forget, asked)
            forgotten += conn.changes()
        asked["after"] = asked["upto"]
        time.sleep(PAUSE_SECONDS)


def forget_events(conn: Connection, before: int) -> int:
    """Forget the events before an instant (Unix ms), but the newest; how many. Commits again and again."""
    return _forget_log(conn, EVENTS, before)


def forget_costs(conn: Connection, before: int) -> int:
    """Forget the costs before an instant (Unix ms); the sums that budgets need stay. Commits again and again."""
    return _forget_log(conn, COSTS, before)


FORGETTING: dict[str, Callable[[Connection, int], int]] = {
    "events": forget_events,
    "history": forget_history,
    "costs": forget_costs,
}
"""What each key of `retention:` forgets."""


def forget_old(conn: Connection, spec: RetentionSpec) -> dict[str, int]:
    """Forget what is older than jobs.yaml wants it kept; how many rows by key. Commits again and again."""
    forgotten = {}
    for name, forget in FORGETTING.items():
        seconds = getattr(spec, name)
        if seconds is not None:
            before = now_ms() - int(seconds * 1000)
            forgotten[name] = forget(conn, before)
    return forgotten
