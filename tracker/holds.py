"""Budgets that are reached: one record and one event for each cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tracker.clock import now_ms
from tracker.connection import write
from tracker.events import append_event
from tracker.spending import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.budget import Cap
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Hold:
    """
    A budget that is reached: its cap as it was, and what one attempt of what waits was expected to cost.

    `stage` is '' unless the cap is `usd_per_item`. `until_at` (Unix ms) is the day's end, or None.
    """

    job_id: str
    cap: Cap
    stage: str
    usd: float
    expected_usd: float
    since_at: int
    until_at: int | None


NOTE_REACHED = """
INSERT INTO budget_holds (job_id, cap, stage, usd, expected_usd, since_at, until_at)
VALUES (:job_id, :cap, :stage, :usd, :expected_usd, :now, :until_at)
    ON CONFLICT DO NOTHING
"""


def note_reached(
    conn: Connection,
    job_id: str,
    cap: Cap,
    usd: float,
    *,
    spent_usd: float,
    expected_usd: float,
    until_at: int | None = None,
    stage: str = "",
) -> bool:
    """
    Record that a budget is reached, in the caller's transaction; False when that is on record already.

    The event, `budget_reached`, belongs to no job when it is the budget for everything.
    """
    hold = {"job_id": job_id, "cap": cap, "stage": stage, "usd": usd, "expected_usd": expected_usd}
    conn.execute(NOTE_REACHED, hold | {"now": now_ms(), "until_at": until_at})
    if not conn.changes():
        return False
    detail = {
        "cap": cap,
        "usd": usd,
        "spent_usd": spent_usd,
        "expected_usd": expected_usd,
        "until_at": until_at,
    }
    _append(conn, "budget_reached", job_id, stage, detail)
    return True


FORGET = "DELETE FROM budget_holds WHERE job_id = :job_id AND cap = :cap AND stage = :stage AND since_at = :since_at"


def lift(conn: Connection, hold: Hold, reason: str) -> bool:
    """Strike a budget off the record, with its event, `budget_lifted`; False when another did. Commits."""
    asked = {"job_id": hold.job_id, "cap": hold.cap, "stage": hold.stage, "since_at": hold.since_at}
    with write(conn):
        conn.execute(FORGET, asked)
        if not conn.changes():
            return False
        _append(
            conn,
            "budget_lifted",
            hold.job_id,
            hold.stage,
            {"cap": hold.cap, "usd": hold.usd, "reason": reason},
        )
    return True


def _append(conn: Connection, kind: str, job_id: str, stage: str, detail: Mapping[str, object]) -> None:
    append_event(
        conn, None if job_id == EVERYTHING else job_id, kind, None, stage or None, None, "budget", detail
    )


RENEW = """
UPDATE budget_holds
   SET usd = :usd, expected_usd = :expected_usd
 WHERE job_id = :job_id AND cap = :cap AND stage = :stage
"""


def renew(conn: Connection, hold: Hold, usd: float, expected_usd: float) -> None:
    """Keep a budget on record with what holds now, in the caller's transaction."""
    asked = {"job_id": hold.job_id, "cap": hold.cap, "stage": hold.stage}
    conn.execute(RENEW, asked | {"usd": usd, "expected_usd": expected_usd})


LIST_HOLDS = """
SELECT job_id, cap, stage, usd, expected_usd, since_at, until_at
  FROM budget_holds
 ORDER BY job_id, cap, stage
"""


def list_holds(conn: Connection) -> list[Hold]:
    """List the budgets that are reached."""
    return [Hold(job, cast("Cap", cap), *rest) for job, cap, *rest in conn.execute(LIST_HOLDS)]


def find_reached(conn: Connection, job_id: str) -> Hold | None:
    """Find the reached budget that holds a job longest, its own or the one for everything; None if none does."""
    held = [hold for hold in list_holds(conn) if hold.job_id in (job_id, EVERYTHING) and not hold.stage]
    return max(held, key=lambda hold: hold.until_at or float("inf"), default=None)
