"""What making results again is expected to take: how many, how much, how long; from the job's own history."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.durations import format_duration
from pipeline.money import format_usd
from runner.code_version import read_code_version
from runner.saying import say_count
from tracker.budgets import describe
from tracker.planning import list_expected_costs
from tracker.stats import stage_timing_stats
from tracker.workers import list_workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from tracker.budgets import BudgetReport
    from tracker.connection import Connection
    from tracker.reprocessing import Meant


@dataclass(frozen=True, slots=True)
class StageQuote:
    """
    How often one stage would run, what that would cost in US dollars, and how long its attempts would take together.

    `at_most` says that it follows another, and runs only where that one's result is another one; `expected` is then
    how often, once a canary has shown it. None: its attempts never reported a cost, or it never ran.
    """

    stage: str
    runs: int
    at_most: bool
    expected: int | None
    usd: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Quote:
    """
    What making results again would take. `usd` is at most so much, of stages whose cost is known.

    `seconds` is how long, by the time that attempts took so far, on as many `processes` as there are now, within
    the stages' limits; None when nothing ran yet. `days` is how many days of the budget that takes, today's rest
    first; None without one, or where nothing is spent. `beyond_total` says that the budget in all would not do.
    `outdated_workers` run other code than this process: what they make may be of another version. `unknown` says of
    which stages it cannot be told whether they are stale, and why.
    """

    job: str
    items: int
    stages: Sequence[StageQuote]
    usd: float
    seconds: float | None
    processes: int
    days: int | None
    usd_per_day: float | None
    beyond_total: bool
    outdated_workers: int
    unknown: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not any(one.runs for one in self.stages)

    @property
    def words(self) -> str:
        """Sum it up, such as `4 items; at most $2.00; about 8 s on 2 processes; 2 days at $2.50 a day`."""
        said = [say_count(self.items, "item"), f"at most {format_usd(self.usd)}"]
        if self.seconds is not None:
            processes = say_count(self.processes, "process", "es")
            said.append(f"about {format_duration(self.seconds)} on {processes}")
        if self.days is not None and self.usd_per_day is not None:
            said.append(f"{say_count(self.days, 'day')} at {format_usd(self.usd_per_day)} a day")
        if self.beyond_total:
            said.append("more than its budget in all allows")
        return "; ".join(said)


def make_quote(
    conn: Connection,
    job: JobSpec,
    meant: Meant,
    *,
    unknown: Mapping[str, str] | None = None,
    changed: Mapping[str, float] | None = None,
) -> Quote:
    """
    Quote what is meant, and what follows from it.

    `changed` is, by stage, the share of results that came out as others in a canary.
    """
    costs, times = list_expected_costs(conn, job.name), stage_timing_stats(conn, job.name)
    workers = [one for one in list_workers(conn) if not one.is_silent]
    processes = sum(len(one.processes) for one in workers if not one.is_scoped) or os.cpu_count() or 1
    stages = [
        _quote_stage(spec, runs, at_most, expected, costs.get(spec.name), times.get(spec.name, {}).get("p50"))
        for spec, runs, at_most, expected in _count_runs(job, meant, changed or {})
    ]
    usd = sum(one.usd or 0.0 for one in stages)
    budget = describe(conn, job.name)
    return Quote(
        job=job.name,
        items=meant.items,
        stages=stages,
        usd=usd,
        seconds=_count_seconds(job, stages, processes),
        processes=processes,
        days=_count_days(usd, budget),
        usd_per_day=budget.usd_per_day if budget else None,
        beyond_total=bool(budget and budget.usd_total and budget.spent_total_usd + usd > budget.usd_total),
        outdated_workers=sum(one.version != read_code_version() for one in workers),
        unknown=unknown or {},
    )


def _count_runs(
    job: JobSpec, meant: Meant, changed: Mapping[str, float]
) -> list[tuple[StageSpec, int, bool, int | None]]:
    """Count, in the job's order, how often each stage runs, at most or for certain, and how often it is expected to."""
    most: dict[str, int] = {}
    expected: dict[str, float | None] = {}
    found = []
    for spec in job.stages:
        asked = meant.stages.get(spec.name, 0)
        before = [need for need in spec.needs if most.get(need)]
        if not spec.enabled or not (asked or before):
            continue
        following = min(meant.items, asked + sum(most[need] for need in before))
        most[spec.name] = max(asked, following)
        expected[spec.name] = _expect(meant.items, asked, before, expected, changed)
        known = expected[spec.name]
        found.append(
            (spec, most[spec.name], not asked or following > asked, None if known is None else round(known))
        )
    return found


def _expect(
    items: int,
    asked: int,
    before: Sequence[str],
    expected: Mapping[str, float | None],
    changed: Mapping[str, float],
) -> float | None:
    """Expect how often a stage runs: as asked, and where a result before it is another one; None if nobody knows."""
    total: float = asked
    for need in before:
        runs = expected[need]
        if runs is None or (runs and need not in changed):
            return None
        total += runs * changed.get(need, 0.0)
    return min(float(items), total)


def _quote_stage(
    spec: StageSpec, runs: int, at_most: bool, expected: int | None, usd: float | None, p50: float | None
) -> StageQuote:
    return StageQuote(
        spec.name,
        runs,
        at_most,
        expected if at_most else runs,
        usd=None if usd is None else runs * usd,
        seconds=None if p50 is None else runs * p50,
    )


def _count_seconds(job: JobSpec, stages: Sequence[StageQuote], processes: int) -> float | None:
    """Count how long it takes: all of it on all processes, but no stage quicker than its own limits allow."""
    if not any(one.seconds is not None for one in stages):
        return None
    longest = sum(one.seconds or 0.0 for one in stages) / processes
    for one in stages:
        spec = job.stage(one.stage)
        if spec.concurrency is not None:
            longest = max(longest, (one.seconds or 0.0) / spec.concurrency)
        if spec.rate is not None:
            longest = max(longest, one.runs / spec.rate.per_second)
    return longest


def _count_days(usd: float, budget: BudgetReport | None) -> int | None:
    if budget is None or budget.usd_per_day is None or not usd:
        return None
    left = max(0.0, budget.usd_per_day - budget.spent_today_usd - budget.reserved_usd)
    return 1 if usd <= left else 1 + math.ceil((usd - left) / budget.usd_per_day)
