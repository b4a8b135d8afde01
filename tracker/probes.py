"""The probes of a breaker: the attempts that it lets out while all else of their job is paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

TAKE_PROBE = """
UPDATE pauses
   SET probes_left = probes_left - 1
 WHERE scope = 'job' AND job_id = :job_id AND stage = '' AND host = '' AND probes_left > 0
"""

KEEP_PROBE = """
INSERT INTO probes (item_id, stage, attempt, job_id) VALUES (:item_id, :stage, :attempt, :job_id)
    ON CONFLICT DO NOTHING
"""

GIVE_PROBE = """
UPDATE pauses
   SET probes_left = probes_left + 1
 WHERE scope = 'job' AND job_id = :job_id AND stage = '' AND host = ''
   AND cause = 'breaker' AND until_at IS NULL
"""

TAKE_BACK_PROBE = """
DELETE FROM probes WHERE item_id = :item_id AND stage = :stage AND attempt = :attempt RETURNING job_id
"""


def take_probe(conn: Connection, job_id: str, item_id: int, stage: str, attempt: int) -> bool:
    """Use up one of the probes that are let out, for an attempt; False if none is left. In the caller's transaction."""
    asked = {"job_id": job_id, "item_id": item_id, "stage": stage, "attempt": attempt}
    conn.execute(TAKE_PROBE, asked)
    if conn.changes() == 0:
        return False
    conn.execute(KEEP_PROBE, asked)
    return True


def take_back_probe(conn: Connection, item_id: int, stage: str, attempt: int) -> bool:
    """Tell whether an attempt was a probe, which it then no longer is. In the caller's transaction."""
    asked = {"item_id": item_id, "stage": stage, "attempt": attempt}
    return conn.execute(TAKE_BACK_PROBE, asked).fetchone() is not None


def give_probe(conn: Connection, job_id: str) -> None:
    """Let one more attempt out, in the caller's transaction: a probe has ended and said nothing."""
    conn.execute(GIVE_PROBE, {"job_id": job_id})


LIST_LOST_PROBES = """
SELECT p.item_id, p.stage, p.attempt, p.job_id
  FROM probes p
  LEFT JOIN item_stages s ON s.item_id = p.item_id AND s.stage = p.stage
 WHERE s.status IS NOT 'in_progress' OR s.attempt <> p.attempt
"""


def give_back_lost_probes(conn: Connection) -> int:
    """
    Let others out for the probes that ended without a word: expired, given back, reset; how many. Commits.

    Writes nothing when there is none.
    """
    if conn.execute(LIST_LOST_PROBES).fetchone() is None:
        return 0
    with write(conn):
        lost = conn.execute(LIST_LOST_PROBES).fetchall()
        for item_id, stage, attempt, job_id in lost:
            take_back_probe(conn, item_id, stage, attempt)
            give_probe(conn, job_id)
    return len(lost)


FORGET_PROBES = "DELETE FROM probes WHERE job_id = :job_id"

FORGET_HOST_PROBES = "DELETE FROM host_probes WHERE host = :host"


def forget_probes(conn: Connection, job_id: str = "", host: str = "") -> None:
    """Let the probes of a job or a host be attempts like any other, in the caller's transaction."""
    conn.execute(FORGET_PROBES, {"job_id": job_id})
    conn.execute(FORGET_HOST_PROBES, {"host": host})
