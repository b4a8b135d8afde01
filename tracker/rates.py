"""
How often a stage may start, on all workers together.

A rate is kept as the instant from which it is free again (the generic cell rate algorithm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.clock import now_ms

if TYPE_CHECKING:
    from tracker.connection import Connection

READ_RATE = "SELECT free_us FROM rates WHERE job_id = :job_id AND stage = :stage"


def count_allowed(conn: Connection, job_id: str, stage: str, interval_us: int, burst: int) -> int:
    """
    Count how many sendings a stage's rate allows at this moment, at most `burst`.

    The instant is never further off than one interval, unless the clock was set back, or the rate was lower: then it is
    free now.
    """
    row = conn.execute(READ_RATE, {"job_id": job_id, "stage": stage}).fetchone()
    now_us = now_ms() * 1000
    behind = now_us - row[0] if row else burst * interval_us
    if behind < -interval_us:
        return 1
    return max(0, min(burst, 1 + behind // interval_us))


TAKE_RATE = """
INSERT INTO rates (job_id, stage, free_us)
VALUES (:job_id, :stage, :now - :burst_us + :count * :interval_us)
    ON CONFLICT DO UPDATE
   SET free_us = iif(free_us > :now + :interval_us, :now, max(free_us, :now - :burst_us)) + :count * :interval_us
"""


def take_allowed(conn: Connection, job_id: str, stage: str, interval_us: int, burst: int, count: int) -> None:
    """Use up `count` of the sendings that a rate allows, in the caller's transaction."""
    conn.execute(
        TAKE_RATE,
        {
            "job_id": job_id,
            "stage": stage,
            "now": now_ms() * 1000,
            "count": count,
            "interval_us": interval_us,
            "burst_us": (burst - 1) * interval_us,
        },
    )
