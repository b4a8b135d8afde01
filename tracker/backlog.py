"""What a job still has to do, and whether anything is being done: read by passes and by health checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status
from tracker.clock import now_ms
from tracker.notes import SWEPT_AT, find_note
from tracker.stats import get_job_stats
from tracker.workers import find_beat

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracker.connection import Connection
    from tracker.progress import Told


@dataclass(frozen=True, slots=True)
class Backlog:
    """
    What a job, or some of its items, still have to do; counts of stages, but `unopened` counts items.

    `ready` may be 1 where there are more: it is for telling whether there are any. Paused stages do not count.
    """

    unopened: int
    ready: int
    queued: int
    running: int
    ended: int
    total: int
    items_opened: int
    next_retry_at: int | None
    """When (Unix ms) the next of them is due that waits for a time."""
    latest: Told | None = None
    """What a running attempt of the job last said of itself, if any did."""

    @property
    def is_moving(self) -> bool:
        """Tell whether anything could be settled without waiting for a time to come."""
        return bool(self.unopened or self.ready or self.queued or self.running)


BACKLOG = """
SELECT coalesce((SELECT unopened FROM item_counts WHERE job_id = :job_id), 0),
       EXISTS (SELECT 1
                 FROM stage_counts c
                WHERE c.job_id = :job_id
                  AND NOT EXISTS (SELECT 1 FROM pauses p
                                   WHERE p.scope = 'stage' AND p.job_id = c.job_id AND p.stage = c.stage
                                     AND p.host = '')
                  AND EXISTS (SELECT 1 FROM item_stages s INDEXED BY idx_item_stages_ready
                               WHERE s.job_id = c.job_id AND s.stage = c.stage AND s.over_budget = 0
                                 AND s.status = 'pending' AND s.needs_left = 0
                                 AND s.queued_at IS NULL AND s.retry_at IS NULL)),
       coalesce(sum(queued), 0), coalesce(sum(in_progress), 0), coalesce(sum(done + failed + skipped), 0),
       coalesce(sum(pending + in_progress + done + failed + skipped), 0),
       coalesce((SELECT pending + in_progress + done + failed + skipped - unopened
                   FROM item_counts WHERE job_id = :job_id), 0),
       (SELECT min(s.retry_at)
          FROM item_stages s INDEXED BY idx_item_stages_parked
         WHERE s.job_id = :job_id AND s.status = 'pending' AND s.retry_at IS NOT NULL)
  FROM stage_counts
 WHERE job_id = :job_id
"""

BACKLOG_AMONG = """
SELECT count(*) FILTER (WHERE i.opened_at IS NULL),
       count(*) FILTER (WHERE s.status = 'pending' AND s.needs_left = 0 AND s.queued_at IS NULL
                          AND s.retry_at IS NULL AND s.over_budget = 0 AND p.stage IS NULL),
       count(*) FILTER (WHERE s.queued_at IS NOT NULL AND s.retry_at IS NULL),
       count(*) FILTER (WHERE s.status = 'in_progress'),
       count(*) FILTER (WHERE s.ended_at IS NOT NULL),
       count(s.stage),
       count(DISTINCT i.item_id) FILTER (WHERE i.opened_at IS NOT NULL),
       min(s.retry_at)
  FROM json_each(:item_ids) chosen
  JOIN work_items i ON i.item_id = chosen.value
  LEFT JOIN item_stages s ON s.item_id = i.item_id AND (s.stage = :stage OR :stage IS NULL)
  LEFT JOIN pauses p ON p.scope = 'stage' AND p.job_id = s.job_id AND p.stage = s.stage AND p.host = ''
"""


def read_backlog(
    conn: Connection, job_id: str, among: Collection[int] | None = None, stage: str | None = None
) -> Backlog:
    """Read what a job has to do, from counters; or what some of its items have, of one stage if given."""
    if among is None:
        return Backlog(*conn.execute(BACKLOG, {"job_id": job_id}).fetchone())
    asked = {"item_ids": json.dumps(sorted(among)), "stage": stage}
    return Backlog(*conn.execute(BACKLOG_AMONG, asked).fetchone())


STATUSES_AMONG = """
SELECT i.status, count(*)
  FROM json_each(:item_ids) chosen
  JOIN work_items i ON i.item_id = chosen.value
 GROUP BY i.status
"""


def count_statuses(conn: Connection, job_id: str, among: Collection[int] | None = None) -> dict[str, int]:
    """Count a job's items by status, or some of its items."""
    if among is None:
        counts = get_job_stats(conn, job_id)
        return {status: counts[status] for status in Status}
    asked = {"item_ids": json.dumps(sorted(among))}
    found = {row[0]: row[1] for row in conn.execute(STATUSES_AMONG, asked)}
    return {status: found.get(status, 0) for status in Status}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether work is being settled, and the one reason if it is not."""

    healthy: bool
    reason: str


OLDEST_SENT = """
SELECT min(queued_at)
  FROM item_stages INDEXED BY idx_item_stages_sent
 WHERE status = 'pending' AND queued_at IS NOT NULL AND retry_at IS NULL
"""

SETTLED_SINCE = """
SELECT 1 FROM stage_counts c
 CROSS JOIN stage_minutes m ON m.job_id = c.job_id AND m.stage = c.stage AND m.minute >= :since
 LIMIT 1
"""

RUNNING = "SELECT coalesce(sum(in_progress), 0) FROM stage_counts"

HELD = """
SELECT EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_leased
                WHERE status = 'in_progress' AND leased_until > :now)
"""


def is_anything_held(conn: Connection) -> bool:
    """Tell whether a stage runs whose lease is in force: its worker lives, and may have no process for more."""
    return bool(conn.execute(HELD, {"now": now_ms()}).fetchone()[0])


def find_late_sweep(conn: Connection, within_seconds: int) -> Health | None:
    """
    Judge a house that was not swept for so long; None of one that was.

    It is healthy if beat ticks and what runs holds its leases.
    """
    now, within_ms = now_ms(), within_seconds * 1000
    swept, ticked_at = find_note(conn, SWEPT_AT), find_beat(conn)
    if swept is not None and now - int(swept) <= within_ms:
        return None
    if ticked_at is not None and now - ticked_at <= within_ms and is_anything_held(conn):
        return Health(True, "what runs takes long; the sweep waits for a process")
    return Health(False, f"no sweep in the last {within_seconds} seconds: is beat running, and a worker?")


def read_health(conn: Connection, within_seconds: int) -> Health:
    """
    Judge health by what is settled, not by a ping: a worker may be alive and deaf.

    Stages that run for long are healthy as long as they hold their leases.
    """
    late = find_late_sweep(conn, within_seconds)
    if late is not None:
        return late
    now = now_ms()
    oldest = conn.execute(OLDEST_SENT).fetchone()[0]
    since = (now - within_seconds * 1000) // 60_000
    moving = conn.execute(SETTLED_SINCE, {"since": since}).fetchone() or conn.execute(RUNNING).fetchone()[0]
    if oldest is not None and now - oldest > within_seconds * 1000 and not moving:
        return Health(False, f"stages were sent over {within_seconds} seconds ago and none was settled since")
    return Health(True, "work is being settled")
