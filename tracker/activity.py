"""What jobs got through, and spent, over time: from counters by the minute and the quarter of an hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.spending import QUARTER_MS
from tracker.stats import RATE_MINUTES, find_recent_minutes

if TYPE_CHECKING:
    from tracker.connection import Connection

DAY_MINUTES = 1440
SLOT_MINUTES = 30
"""How long one slot of a day is; midnight in UTC falls between two."""

ENDED_BY_SLOT = """
SELECT minute / :every, sum(done), sum(failed)
  FROM item_minutes
 WHERE job_id = :job_id AND minute >= :since
 GROUP BY minute / :every
"""

ENDED_RECENTLY = """
SELECT total((done + failed) * iif(minute = :first, :share, 1.0))
  FROM item_minutes
 WHERE job_id = :job_id AND minute >= :first
"""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of time, from `at` (Unix ms) on: how many items were done in it, and how many failed."""

    at: int
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class DayReport:
    """
    What became of a job's items of late. `slots` are the last 24 hours, the oldest first, the last one still open.

    An item counts each time that it ends. Today began at midnight UTC; `rate_per_minute` is of the last five minutes.
    """

    done_today: int
    failed_today: int
    rate_per_minute: float
    slots: tuple[Slot, ...]


def read_day(conn: Connection, job_id: str) -> DayReport:
    """Read what became of a job's items within the last 24 hours. Its cost does not grow with them."""
    minute = now_ms() // 60_000
    last = minute // SLOT_MINUTES
    first = last - DAY_MINUTES // SLOT_MINUTES + 1
    known = _read_slots(conn, job_id, first * SLOT_MINUTES, SLOT_MINUTES)
    slots = tuple(
        Slot(slot * SLOT_MINUTES * 60_000, *known.get(slot, (0, 0))) for slot in range(first, last + 1)
    )
    midnight = minute // DAY_MINUTES * DAY_MINUTES * 60_000
    today = [slot for slot in slots if slot.at >= midnight]
    recent = conn.execute(ENDED_RECENTLY, {"job_id": job_id, **find_recent_minutes()}).fetchone()[0]
    return DayReport(
        done_today=sum(slot.done for slot in today),
        failed_today=sum(slot.failed for slot in today),
        rate_per_minute=recent / RATE_MINUTES,
        slots=slots,
    )


def _read_slots(conn: Connection, job_id: str, since: int, every: int) -> dict[int, tuple[int, int]]:
    rows = conn.execute(ENDED_BY_SLOT, {"job_id": job_id, "since": since, "every": every})
    return {slot: (done, failed) for slot, done, failed in rows}


SETTLED_BY_SLOT = """
SELECT m.stage, m.minute / :every, sum(m.settled), sum(m.failed)
  FROM stage_counts c
 CROSS JOIN stage_minutes m ON m.job_id = c.job_id AND m.stage = c.stage AND m.minute >= :since
 WHERE c.job_id = :job_id
 GROUP BY m.stage, m.minute / :every
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """
    How many attempts of each stage were settled in each of the `at` (Unix ms, the beginnings of slots), and failed.

    The lists of `by_stage`, and `failed`, which is of all stages together, are as long as `at`.
    """

    every_minutes: int
    at: tuple[int, ...]
    by_stage: dict[str, list[int]]
    failed: list[int]


def read_settled(conn: Connection, job_id: str, minutes: int, every: int) -> Settled:
    """Read what was settled within so many minutes, in slots of `every` minutes. At most seven days are kept."""
    last = now_ms() // 60_000 // every
    first = last - minutes // every + 1
    found = Settled(every, tuple(slot * every * 60_000 for slot in range(first, last + 1)), {}, [])
    found.failed.extend([0] * len(found.at))
    asked = {"job_id": job_id, "since": first * every, "every": every}
    for stage, slot, settled, failed in conn.execute(SETTLED_BY_SLOT, asked):
        if slot <= last:  # it may have become later meanwhile
            found.by_stage.setdefault(stage, [0] * len(found.at))[slot - first] = settled
            found.failed[slot - first] += failed
    return found


SPENT_BY_SLOT = """
SELECT quarter / :every, sum(usd)
  FROM spent_quarters
 WHERE job_id = :job_id AND quarter >= :since
 GROUP BY quarter / :every
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, in US dollars, in each of the `at` (Unix ms, the beginnings of slots)."""

    every_minutes: int
    at: tuple[int, ...]
    usd: list[float]


def read_spent(conn: Connection, job_id: str, quarters: int, every: int) -> Spent:
    """Read what a job spent within so many quarters of an hour, in slots of `every` quarters. 40 days are kept."""
    last = now_ms() // QUARTER_MS // every
    first = last - quarters // every + 1
    slots = range(first, last + 1)
    asked = {"job_id": job_id, "since": first * every, "every": every}
    known = {row[0]: row[1] for row in conn.execute(SPENT_BY_SLOT, asked)}
    at = tuple(slot * every * QUARTER_MS for slot in slots)
    return Spent(every * QUARTER_MS // 60_000, at, [known.get(slot, 0.0) for slot in slots])
