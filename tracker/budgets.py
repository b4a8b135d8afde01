"""Budgets as the tracker knows them, and how each stands: what is spent, set aside, and waits for more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pipeline.budget import CAPS, Cap, day_around
from pipeline.money import format_usd
from tracker.clock import now_ms, to_ms
from tracker.connection import write
from tracker.holds import list_holds
from tracker.over_budget import count_marked
from tracker.spending import EVERYTHING, read_spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.budget import BudgetSpec
    from tracker.connection import Connection
    from tracker.holds import Hold
    from tracker.rows import Row

LIST_BUDGETS = """
SELECT job_id, usd_per_day, usd_per_item, usd_total, timezone
  FROM budgets
 ORDER BY job_id
"""

FORGET_BUDGETS = "DELETE FROM budgets"

REMEMBER_BUDGET = """
INSERT INTO budgets (job_id, usd_per_day, usd_per_item, usd_total, timezone)
VALUES (:job_id, :usd_per_day, :usd_per_item, :usd_total, :timezone)
"""


def remember_budgets(conn: Connection, budgets: Mapping[str, BudgetSpec]) -> bool:
    """
    Store the budgets of jobs.yaml by job, the one for everything under `EVERYTHING`; False if none has changed.

    Commits, and writes nothing if none has.
    """
    rows = [
        (job_id, *(getattr(spec, cap) for cap in CAPS), spec.timezone or "UTC")
        for job_id, spec in sorted(budgets.items())
    ]
    if [tuple(row) for row in conn.execute(LIST_BUDGETS)] == rows:
        return False
    names = ("job_id", *CAPS, "timezone")
    with write(conn):
        conn.execute(FORGET_BUDGETS)
        conn.executemany(REMEMBER_BUDGET, [dict(zip(names, row, strict=True)) for row in rows])
    return True


def find_day(timezone: str) -> tuple[int, int]:
    """Give today's beginning and end in a time zone, in Unix milliseconds."""
    begin, end = day_around(datetime.fromtimestamp(now_ms() / 1000, UTC), timezone)
    return to_ms(begin), to_ms(end)


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """
    How one budget stands; sums in US dollars.

    `job` is None for the budget for everything. `reached` names the cap that is reached, since and until when
    (Unix ms; None: until jobs.yaml allows more). `waiting` counts the stages that could go if money were no matter,
    and would cost about `waiting_usd`; `over_budget` those whose items would spend more than `usd_per_item`.
    """

    job: str | None
    usd_per_day: float | None
    usd_per_item: float | None
    usd_total: float | None
    timezone: str
    spent_today_usd: float
    unknown_costs_today: int
    spent_total_usd: float
    reserved_usd: float
    reached: Cap | None
    since_at: int | None
    resumes_at: int | None
    waiting: int
    waiting_usd: float
    over_budget: int

    @property
    def holds_back(self) -> bool:
        """Tell whether anything waits because of it."""
        return self.reached is not None or self.over_budget > 0

    @property
    def words(self) -> str:
        """Say how it stands, such as `budget of $5.00 a day reached: 312 waiting, about $4.10, resumes 00:00 UTC`."""
        said = self._say_reached() if self.reached else f"budget: {', '.join(self._say_caps())}"
        if self.usd_per_item is None or not self.over_budget:
            return said
        return f"{said}; {self.over_budget:,} over {format_usd(self.usd_per_item)} an item"

    def _say_reached(self) -> str:
        cap = format_usd((self.usd_per_day if self.reached == "usd_per_day" else self.usd_total) or 0)
        named = f"budget of {cap} {'a day' if self.reached == 'usd_per_day' else 'in all'} reached"
        until = "until jobs.yaml allows more" if self.resumes_at is None else f"resumes {self._say_resumes()}"
        return f"{named}: {self.waiting:,} waiting, about {format_usd(self.waiting_usd)}, {until}"

    def _say_resumes(self) -> str:
        at = datetime.fromtimestamp((self.resumes_at or 0) / 1000, ZoneInfo(self.timezone))
        return f"{at:%H:%M} {self.timezone}"

    def _say_caps(self) -> list[str]:
        said = []
        if self.usd_per_day is not None:
            said.append(f"{format_usd(self.spent_today_usd)} of {format_usd(self.usd_per_day)} today")
        if self.usd_total is not None:
            said.append(f"{format_usd(self.spent_total_usd)} of {format_usd(self.usd_total)} in all")
        if self.usd_per_item is not None:
            said.append(f"{format_usd(self.usd_per_item)} an item")
        return said


# What is ready at each stage that costs, by counters; an unopened item is ready where it begins.
WAITING = """
SELECT coalesce(sum(ready), 0), total(ready * usd)
  FROM (SELECT c.usd / c.attempts AS usd,
               coalesce(max(0, s.pending - s.queued - s.countdown - s.blocked - s.parked), 0)
             + iif(p.stage IS NOT NULL AND n.stage IS NULL, coalesce(i.unopened, 0), 0) AS ready
          FROM stage_costs c
          LEFT JOIN stage_counts s ON s.job_id = c.job_id AND s.stage = c.stage
          LEFT JOIN job_stages p ON p.job_id = c.job_id AND p.stage = c.stage AND p.switched_on
          LEFT JOIN stage_needs n ON n.job_id = c.job_id AND n.stage = c.stage
                                 AND EXISTS (SELECT 1 FROM job_stages q
                                              WHERE q.job_id = n.job_id AND q.stage = n.need AND q.switched_on)
          LEFT JOIN item_counts i ON i.job_id = c.job_id
         WHERE c.attempts > 0 AND c.usd > 0.0 AND (c.job_id = :job_id OR :job_id = '*')
         GROUP BY c.job_id, c.stage)
"""


def count_waiting(conn: Connection, job_id: str) -> tuple[int, float]:
    """Count the ready stages of a job, or of `EVERYTHING`, that cost something; and what about, in US dollars."""
    waiting, usd = conn.execute(WAITING, {"job_id": job_id}).fetchone()
    return waiting, usd


def list_budget_reports(conn: Connection) -> list[BudgetReport]:
    """Report how each budget stands: the one for everything first, then by job."""
    holds = {hold.job_id: hold for hold in list_holds(conn) if not hold.stage}
    return [_report(conn, row, holds.get(row[0])) for row in conn.execute(LIST_BUDGETS).fetchall()]


def _report(conn: Connection, row: Row, hold: Hold | None) -> BudgetReport:
    job_id, per_day, per_item, total, timezone = row
    is_everything = job_id == EVERYTHING
    spent = read_spending(conn, job_id, find_day(timezone)[0])
    waiting, waiting_usd = count_waiting(conn, job_id)
    return BudgetReport(
        job=None if is_everything else job_id,
        usd_per_day=per_day,
        usd_per_item=per_item,
        usd_total=total,
        timezone=timezone,
        spent_today_usd=spent.day_usd,
        unknown_costs_today=spent.day_unknown,
        spent_total_usd=spent.total_usd,
        reserved_usd=spent.reserved_usd,
        reached=hold.cap if hold else None,
        since_at=hold.since_at if hold else None,
        resumes_at=hold.until_at if hold else None,
        waiting=waiting,
        waiting_usd=waiting_usd,
        over_budget=0 if is_everything else count_marked(conn, job_id),
    )


def describe(conn: Connection, job_id: str) -> BudgetReport | None:
    """
    Report the budget that matters to a job: one that is reached, its own before the one for everything; else its own.

    None when nothing bounds what it spends.
    """
    holds = {hold.job_id: hold for hold in list_holds(conn) if not hold.stage}
    rows = [row for row in conn.execute(LIST_BUDGETS).fetchall() if row[0] in (job_id, EVERYTHING)]
    chosen = min(rows, key=lambda row: (row[0] not in holds, row[0] == EVERYTHING), default=None)
    return None if chosen is None else _report(conn, chosen, holds.get(chosen[0]))
