"""What stages are expected to cost, and what was spent: from counters that triggers keep with each cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

EVERYTHING = "*"
"""Stands for all jobs together where a job's name would stand; no job can be called so."""

QUARTER_MS = 900_000
KEEP_QUARTERS = 40 * 96
"""Forty days: more than any day that a budget asks about."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """
    What a stage's attempts cost so far.

    `usd` is what one is expected to cost, the average of the `known`, whose whole cost is known; None while none is.
    `unknown` counts the attempts that reported a cost nobody knows.
    """

    usd: float | None
    known: int
    unknown: int = 0


STAGE_COSTS = """
SELECT stage, iif(attempts > 0, usd / attempts, NULL), attempts, unknown FROM stage_costs WHERE job_id = :job_id
"""


def read_stage_costs(conn: Connection, job_id: str) -> dict[str, StageCost]:
    """Read what each stage of a job costs; one that never reported a cost is absent."""
    rows = conn.execute(STAGE_COSTS, {"job_id": job_id})
    return {stage: StageCost(usd, known, unknown) for stage, usd, known, unknown in rows}


FINISHED = "SELECT coalesce(sum(count), 0) FROM stage_timings WHERE job_id = :job_id AND stage = :stage"


def count_finished(conn: Connection, job_id: str, stage: str) -> int:
    """Count the attempts of a stage that ever finished, whatever was reset since."""
    return int(conn.execute(FINISHED, {"job_id": job_id, "stage": stage}).fetchone()[0])


@dataclass(frozen=True, slots=True)
class Spending:
    """What a job, or everything, spent since a day began and in all, and what is set aside; in US dollars."""

    day_usd: float
    day_unknown: int
    total_usd: float
    reserved_usd: float


SPENDING = """
SELECT total(q.usd), coalesce(sum(q.unknown), 0),
       (SELECT total(usd) FROM spent_totals WHERE job_id = :job_id),
       (SELECT total(usd) FROM reservations WHERE job_id = :job_id)
  FROM spent_quarters q
 WHERE q.job_id = :job_id AND q.quarter >= :quarter
"""

SPENDING_ON_EVERYTHING = """
SELECT total(q.usd), coalesce(sum(q.unknown), 0),
       (SELECT total(usd) FROM spent_totals WHERE job_id = :job_id),
       (SELECT total(usd) FROM reservations)
  FROM spent_quarters q
 WHERE q.job_id = :job_id AND q.quarter >= :quarter
"""


def read_spending(conn: Connection, job_id: str, since_ms: int) -> Spending:
    """Read what a job spent, or `EVERYTHING`, of the day since an instant (Unix ms, a quarter of an hour sharp)."""
    asked = {"job_id": job_id, "quarter": since_ms // QUARTER_MS}
    sql = SPENDING_ON_EVERYTHING if job_id == EVERYTHING else SPENDING
    return Spending(*conn.execute(sql, asked).fetchone())


SPENT_ON_ITEMS = """
SELECT chosen.value,
       coalesce((SELECT usd FROM spent_items WHERE item_id = chosen.value), 0.0)
     + (SELECT total(usd) FROM reservations WHERE item_id = chosen.value)
  FROM json_each(:item_ids) chosen
"""


def read_spent_on_items(conn: Connection, item_ids: Iterable[int]) -> dict[int, float]:
    """Read what each of these items cost so far, and what is set aside for it, in US dollars."""
    rows = conn.execute(SPENT_ON_ITEMS, {"item_ids": json.dumps(list(item_ids))})
    return {row[0]: row[1] for row in rows}


FORGET_QUARTERS = """
DELETE FROM spent_quarters WHERE job_id IN (SELECT job_id FROM spent_totals) AND quarter < :quarter
"""


def forget_old_quarters(conn: Connection) -> None:
    """Drop the quarters of an hour that no budget asks about any more, in the caller's transaction."""
    conn.execute(FORGET_QUARTERS, {"quarter": now_ms() // QUARTER_MS - KEEP_QUARTERS})
