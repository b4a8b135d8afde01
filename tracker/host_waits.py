"""Who waits for a paused host: stages that are parked, and discoveries; both go on when its pause is lifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event

if TYPE_CHECKING:
    from tracker.discoveries import RunLease

KEEP_WAIT = """
INSERT INTO host_waits (host, item_id, stage, retry_at) VALUES (:host, :item_id, :stage, :retry_at)
    ON CONFLICT DO UPDATE SET retry_at = excluded.retry_at
"""

# From host to host, so that what waits for one that is paused is passed over whole.
LIST_OVER = """
WITH RECURSIVE hosts (host) AS (
    SELECT min(host) FROM host_waits
    UNION ALL
    SELECT (SELECT min(w.host) FROM host_waits w WHERE w.host > hosts.host) FROM hosts WHERE hosts.host IS NOT NULL
)
SELECT w.host, w.item_id, w.stage, w.retry_at
  FROM hosts
 CROSS JOIN host_waits w ON w.host = hosts.host
 WHERE NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'host' AND p.job_id = '' AND p.stage = '' AND p.host = hosts.host
                      AND p.probes_left = 0)
 LIMIT :limit
"""

WAKE_WAITING = """
UPDATE item_stages
   SET retry_at = NULL
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND retry_at = :retry_at AND queued_at IS NULL
"""

FORGET_WAIT = "DELETE FROM host_waits WHERE host = :host AND item_id = :item_id AND stage = :stage"

WAKE_AT_ONCE = 1000


def keep_wait(conn: Connection, host: str, item_id: int, stage: str, retry_at: int) -> None:
    """Remember that a stage parked until `retry_at` waits for a host's pause to end, in the caller's transaction."""
    conn.execute(KEEP_WAIT, {"host": host, "item_id": item_id, "stage": stage, "retry_at": retry_at})


def wake_waiting_stages(conn: Connection) -> int:
    """
    Make ready the stages that wait for hosts which are no longer paused; how many waits ended. Commits.

    A thousand in a transaction: killed in the middle, the next sweep goes on. Writes nothing when none waits.
    """
    woken = 0
    while batch := _wake_some(conn):
        woken += batch
    return woken


def _wake_some(conn: Connection) -> int:
    asked = {"limit": WAKE_AT_ONCE}
    if conn.execute(LIST_OVER, asked).fetchone() is None:
        return 0
    with write(conn):
        over = [dict(row) for row in conn.execute(LIST_OVER, asked)]
        conn.executemany(WAKE_WAITING, over)
        conn.executemany(FORGET_WAIT, over)
    return len(over)


WAIT_FOR_HOST = """
UPDATE discovery_runs
   SET leased_until = NULL, ended_at = :now, outcome = 'unavailable', error = :reason,
       retry_at = :retry_at, waits_for = :host, waits = waits + 1
 WHERE run_id = :run_id AND attempt = :attempt AND leased_until IS NOT NULL
RETURNING job_id
"""


def wait_for_host(conn: Connection, run: RunLease, host: str, reason: str, retry_at: int) -> None:
    """
    Let a discovery wait until a paused host may be asked again, at `retry_at` (Unix ms) or when it is lifted. Commits.

    That is no failure: neither the job nor the source has an error by it, and it is not counted as a try.
    """
    with write(conn):
        asked = {"run_id": run.run_id, "attempt": run.attempt, "now": now_ms(), "host": host}
        asked |= {"reason": reason, "retry_at": retry_at}
        if conn.execute(WAIT_FOR_HOST, asked).fetchone() is None:
            return
        detail = {"host": host, "reason": reason, "retry_at": retry_at}
        append_event(conn, run.job_id, "discover_waits", None, None, None, None, detail)


WAKE_LOOKS = """
UPDATE discovery_runs INDEXED BY idx_discovery_runs_retry
   SET retry_at = :now
 WHERE retry_at > :now AND waits_for = :host
"""


def wake_looks(conn: Connection, host: str) -> None:
    """Let the discoveries that wait for a host look again now, in the caller's transaction."""
    conn.execute(WAKE_LOOKS, {"host": host, "now": now_ms()})
