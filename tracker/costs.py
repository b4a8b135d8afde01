"""What was spent, summed up: by job, stage, model or day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from tracker.clock import DAY_MS
from tracker.spending import QUARTER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

By = Literal["job", "stage", "model", "day"]

HEADINGS: dict[By, tuple[str, ...]] = {
    "job": ("job",),
    "stage": ("job", "stage"),
    "model": ("provider", "model"),
    "day": ("day",),
}
"""What costs can be added up by, and of what each heading is made."""


@dataclass(slots=True)
class CostReport:
    """
    What was spent under one heading; the parts of a heading that were not asked for are None.

    `usd` sums what is known; `unknown` counts the costs whose price is not. `units` are sums by name, such as
    `input_tokens`. `day` is a UTC date, `2026-11-25`.
    """

    job: str | None = None
    stage: str | None = None
    provider: str | None = None
    model: str | None = None
    day: str | None = None
    usd: float = 0.0
    costs: int = 0
    unknown: int = 0
    units: dict[str, float] = field(default_factory=dict)

    @classmethod
    def total(cls, reports: Iterable[Self]) -> Self:
        """Add reports up."""
        total = cls()
        for report in reports:
            total.add(report.usd, report.costs, report.unknown)
            for name, count in report.units.items():
                total.add_unit(name, count)
        return total

    def add(self, usd: float, costs: int, unknown: int) -> None:
        """Count further costs."""
        self.usd, self.costs, self.unknown = self.usd + usd, self.costs + costs, self.unknown + unknown

    def add_unit(self, name: str, count: float) -> None:
        """Count further units."""
        self.units[name] = self.units.get(name, 0) + count


@dataclass(frozen=True, slots=True)
class Costs:
    """What was spent, added up by one heading, and all together."""

    by: By
    costs: list[CostReport]
    total: CostReport


# Whole days come from counters that triggers keep; of a day that is cut in two, its costs are summed.

SUM_DAYS = """
SELECT job_id, stage, provider, model, date(day * 86400, 'unixepoch'), usd, costs, unknown
  FROM spent_days
 WHERE day >= :day AND (job_id = :job_id OR :job_id IS NULL)
"""

SUM_UNITS_OF_DAYS = """
SELECT job_id, stage, provider, model, date(day * 86400, 'unixepoch'), unit, count
  FROM spent_units
 WHERE day >= :day AND (job_id = :job_id OR :job_id IS NULL)
 ORDER BY unit
"""

SUM_COSTS = """
SELECT job_id, stage, provider, model, strftime('%F', spent_at / 1000.0, 'unixepoch') AS day,
       total(usd), count(*), count(*) - count(usd)
  FROM costs INDEXED BY idx_costs_spent
 WHERE spent_at >= :since AND spent_at < :until
 GROUP BY job_id, stage, provider, model, day
"""

SUM_COSTS_OF_JOB = """
SELECT job_id, stage, provider, model, strftime('%F', spent_at / 1000.0, 'unixepoch') AS day,
       total(usd), count(*), count(*) - count(usd)
  FROM costs INDEXED BY idx_costs_job_day
 WHERE job_id = :job_id AND spent_at >= :since AND spent_at < :until
 GROUP BY job_id, stage, provider, model, day
"""

SUM_UNITS = """
SELECT c.job_id, c.stage, c.provider, c.model, strftime('%F', c.spent_at / 1000.0, 'unixepoch') AS day,
       u.key, sum(u.value)
  FROM costs c INDEXED BY idx_costs_spent
  JOIN json_each(c.units) u
 WHERE c.spent_at >= :since AND c.spent_at < :until AND u.type IN ('integer', 'real')
 GROUP BY c.job_id, c.stage, c.provider, c.model, day, u.key
 ORDER BY u.key
"""

SUM_UNITS_OF_JOB = """
SELECT c.job_id, c.stage, c.provider, c.model, strftime('%F', c.spent_at / 1000.0, 'unixepoch') AS day,
       u.key, sum(u.value)
  FROM costs c INDEXED BY idx_costs_job_day
  JOIN json_each(c.units) u
 WHERE c.job_id = :job_id AND c.spent_at >= :since AND c.spent_at < :until AND u.type IN ('integer', 'real')
 GROUP BY c.job_id, c.stage, c.provider, c.model, day, u.key
 ORDER BY u.key
"""


def list_costs(conn: Connection, job_id: str | None, by: By, since_ms: int = 0) -> list[CostReport]:
    """
    Sum what was spent since an instant (Unix ms), of one job or of all, by heading, in the headings' order.

    From a midnight UTC on it costs the number of days, not of costs.
    """
    asked = _cut(job_id, since_ms)
    found: dict[tuple[str, ...], CostReport] = {}

    def find(*heading: str | None) -> CostReport:
        named = zip(("job", "stage", "provider", "model", "day"), heading, strict=True)
        job, stage, provider, model, day = (
            (said or None) if name in HEADINGS[by] else None for name, said in named
        )
        wanted = CostReport(job, stage, provider, model, day)
        return found.setdefault(tuple(getattr(wanted, name) or "" for name in HEADINGS[by]), wanted)

    of_days, of_rest = (SUM_COSTS, SUM_UNITS) if job_id is None else (SUM_COSTS_OF_JOB, SUM_UNITS_OF_JOB)
    for sql in (SUM_DAYS, of_days):
        for *heading, usd, costs, unknown in conn.execute(sql, asked):
            find(*heading).add(usd, costs, unknown)
    for sql in (SUM_UNITS_OF_DAYS, of_rest):
        for *heading, unit, count in conn.execute(sql, asked):
            find(*heading).add_unit(unit, count)
    return [_in_order(found[heading]) for heading in sorted(found)]


def read_costs(conn: Connection, job_id: str | None, by: By | None = None, since_ms: int = 0) -> Costs:
    """Sum what was spent as `list_costs` does, and its total; by job, or by stage of one job, unless told."""
    by = by or ("stage" if job_id else "job")
    reports = list_costs(conn, job_id, by, since_ms)
    return Costs(by, reports, CostReport.total(reports))


def _cut(job_id: str | None, since_ms: int) -> dict[str, str | int | None]:
    """Say which whole days are asked for, and what there is of a day before them."""
    day = -(-since_ms // DAY_MS)
    return {"job_id": job_id, "day": day, "since": since_ms, "until": day * DAY_MS}


def _in_order(report: CostReport) -> CostReport:
    report.units = dict(sorted(report.units.items()))
    return report


SPENT_SINCE = """
SELECT total(usd), coalesce(sum(unknown), 0)
  FROM spent_quarters
 WHERE job_id = :job_id AND quarter >= :quarter
"""


def sum_spent(conn: Connection, job_id: str, since_ms: int) -> tuple[float, int]:
    """
    Sum what a job spent since an instant (Unix ms, a quarter of an hour sharp), and count the costs of unknown price.

    In US dollars, from counters that are kept for forty days.
    """
    asked = {"job_id": job_id, "quarter": since_ms // QUARTER_MS}
    usd, unknown = conn.execute(SPENT_SINCE, asked).fetchone()
    return usd, unknown
