"""What the overview says of each job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.sparklines import Sparkline, draw
from dashboard.standing import NextLook, Stand, find_next_look, find_stand
from runner.explain import explain_job, find_job
from tracker.activity import read_day
from tracker.clock import now_ms, to_datetime, to_ms
from tracker.reports import get_job_report, list_job_names

if TYPE_CHECKING:
    from pipeline.filespec import JobsFile
    from pipeline.jobspec import JobSpec
    from runner.causes import Told
    from tracker.activity import DayReport
    from tracker.connection import Connection
    from tracker.reports import JobReport


@dataclass(frozen=True, slots=True)
class Card:
    """One job: its record, how it stands and why, its last day, what it spends, and when it looks for items."""

    report: JobReport
    title: str
    stand: Stand
    cause: Told
    day: DayReport
    sparkline: Sparkline
    spent_usd: float
    unknown_costs: int
    cap_usd: float | None
    next_look: NextLook

    @property
    def job(self) -> str:
        """The job's name."""
        return self.report.job


def make_cards(conn: Connection, jobs: JobsFile | None) -> list[Card]:
    """Make the card of every job that the tracker or jobs.yaml knows, those with a problem first."""
    known = {*list_job_names(conn), *(jobs.jobs if jobs else ())}
    cards = [make_card(conn, jobs, name) for name in sorted(known)]
    order = list(Stand)
    return sorted(cards, key=lambda card: (order.index(card.stand), not card.report.failed, card.job))


def make_card(conn: Connection, jobs: JobsFile | None, name: str) -> Card:
    """Make the card of one job. Its cost does not grow with its items."""
    job = jobs.jobs.get(name) if jobs else None
    report, day = get_job_report(conn, name), read_day(conn, name)
    cause = explain_job(conn, find_job(jobs, name), name).cause
    spent_usd, unknown, cap = _find_spent(report)
    return Card(
        report=report,
        title=job.title if job and job.title else name,
        stand=find_stand(cause),
        cause=cause,
        day=day,
        sparkline=draw(day.slots),
        spent_usd=spent_usd,
        unknown_costs=unknown,
        cap_usd=cap,
        next_look=find_next_look(job, report.discovery, report.pause, now_ms(), find_slot(job)),
    )


def find_slot(job: JobSpec | None) -> int | None:
    """Find a job's next slot (Unix ms), None without a schedule."""
    if job is None or job.schedule is None:
        return None
    return to_ms(job.schedule.next_slot(to_datetime(now_ms())))


def _find_spent(report: JobReport) -> tuple[float, int, float | None]:
    """Find what was spent today, and the cap of it: in the day of the job's own budget, if it has one for a day."""
    budget = report.budget
    if budget is None or budget.job is None or budget.usd_per_day is None:
        return report.spent_today_usd, report.unknown_costs_today, None
    return budget.spent_today_usd, budget.unknown_costs_today, budget.usd_per_day
