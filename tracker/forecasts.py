"""What is still to be paid for: the stages that wait, by what one of each costs on the average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    What the stages that wait are expected to cost, of one stage of a job; in US dollars.

    `waiting` counts also those whose item waits to be opened. `usd_each` is the average so far; None while only costs
    of unknown price were reported, and then `usd` is None too.
    """

    job: str
    stage: str
    waiting: int
    usd_each: float | None
    usd: float | None


LIST_FORECASTS = """
SELECT c.job_id, c.stage, coalesce(s.pending, 0) + iif(p.switched_on, coalesce(i.unopened, 0), 0) AS waiting,
       iif(c.attempts > 0, c.usd / c.attempts, NULL)
  FROM stage_costs c
  LEFT JOIN stage_counts s ON s.job_id = c.job_id AND s.stage = c.stage
  LEFT JOIN job_stages p ON p.job_id = c.job_id AND p.stage = c.stage
  LEFT JOIN item_counts i ON i.job_id = c.job_id
 WHERE (c.job_id = :job_id OR :job_id IS NULL) AND waiting > 0
 ORDER BY c.job_id, coalesce(p.position, 1000), c.stage
"""


def list_forecasts(conn: Connection, job_id: str | None = None) -> list[Forecast]:
    """Forecast each stage of a job, or of all, that waits and ever reported a cost. From counters."""
    found = conn.execute(LIST_FORECASTS, {"job_id": job_id})
    return [
        Forecast(job, stage, waiting, each, None if each is None else waiting * each)
        for job, stage, waiting, each in found
    ]


def total_usd(forecasts: Iterable[Forecast]) -> float:
    """Add up what is known of them, in US dollars."""
    return sum(one.usd or 0.0 for one in forecasts)
