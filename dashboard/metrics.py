"""
Metrics for Prometheus, read from the tracker's counters when they are asked for.

They are those of the whole house, whichever process does the work. Labels are names of jobs, stages and queues. What
belongs to none of the `MOST_JOBS` jobs with the most items, or of `MOST_STAGES` stages, is added up as `(others)`.

Source: prometheus.io/docs/practices/naming and /instrumenting/writing_exporters.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from dashboard.health import FRESH_SECONDS
from dashboard.house import house_of
from dashboard.visitors import Needs
from pipeline.lifecycle import Status
from runner.code_version import read_code_version
from tracker import gauges
from tracker.backlog import find_late_sweep
from tracker.budgets import list_budget_reports
from tracker.spending import EVERYTHING
from tracker.workers import count_serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from tracker.connection import Connection

router = APIRouter(include_in_schema=False)

MOST_JOBS, MOST_STAGES, MOST_NAME_CHARS = 200, 1000, 128

OTHERS = "(others)"


@router.get("/metrics", dependencies=[Depends(Needs("view"))], response_model=None)
def show_metrics(request: Request) -> Response:
    """Show the metrics of the whole house, as text."""
    registry = CollectorRegistry()
    registry.register(HouseCollector(house_of(request).reader))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class HouseCollector(Collector):
    """Reads every metric of one tracker, once."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._items = gauges.read_item_gauges(conn)
        self._stages = gauges.read_stage_gauges(conn)
        self._jobs = {one.job for one in self._items[:MOST_JOBS]}
        known = [(one.job, one.stage) for one in self._stages if one.job in self._jobs]
        self._places = set(known[:MOST_STAGES])

    def collect(self) -> Iterator[Metric]:
        """Give every metric."""
        yield InfoMetricFamily("celeriac", "The code that answers.", {"version": read_code_version()})
        yield from self._collect_items()
        yield from self._collect_stages()
        yield from self._collect_failures()
        yield from self._collect_costs()
        yield from self._collect_pauses()
        yield from self._collect_house()

    def _collect_items(self) -> Iterator[Metric]:
        yield self._gauge("items", "Items by status.", ("job", "status"), (
            ((self._job(one.job), status), getattr(one, status)) for one in self._items for status in Status
        ))  # fmt: skip
        yield self._gauge("items_unopened", "Pending items of which no stage was sent yet.", ("job",), (
            ((self._job(one.job),), one.unopened) for one in self._items
        ))  # fmt: skip
        yield self._gauge("items_held", "Items that wait to be approved.", ("job",), (
            ((self._job(one.job),), one.held) for one in self._items
        ))  # fmt: skip
        ages = gauges.read_fresh_ages(self._conn)
        oldest: dict[str, float] = {}
        for job, age in ages.items():
            oldest[self._job(job)] = max(age, oldest.get(self._job(job), 0.0))
        yield self._gauge(
            "oldest_fresh_age_seconds",
            "How long the oldest item waits that is neither through nor asked for again; 0 when none does.",
            ("job",),
            (((job,), age) for job, age in oldest.items()),
        )

    def _collect_stages(self) -> Iterator[Metric]:
        yield self._gauge("stages", "Stages of items by status.", ("job", "stage", "status"), (
            ((*self._place(one.job, one.stage), status), getattr(one, status))
            for one in self._stages for status in Status
        ))  # fmt: skip
        for name, about, attribute in (
            ("stages_due", "Pending stages that could be sent now.", "due"),
            ("stages_sent", "Pending stages whose message is on its way.", "sent"),
            ("stages_parked", "Pending stages that wait for a time.", "parked"),
        ):
            yield self._gauge(name, about, ("job", "stage"), (
                (self._place(one.job, one.stage), getattr(one, attribute)) for one in self._stages
            ))  # fmt: skip
        durations = SummaryMetricFamily(
            "celeriac_stage_duration_seconds",
            "How long attempts took that ended in a result or were skipped by their handler.",
            labels=("job", "stage"),
        )
        timings = gauges.read_timings(self._conn)
        ended = ((self._place(one.job, one.stage), one.ended) for one in timings)
        counts = _add_up(chain(self._at_nought(), ended))
        seconds = _add_up(
            chain(self._at_nought(), ((self._place(one.job, one.stage), one.seconds) for one in timings))
        )
        for labels, count in counts.items():
            durations.add_metric(labels, int(count), seconds[labels])
        yield durations

    def _collect_failures(self) -> Iterator[Metric]:
        failures = gauges.read_failure_gauges(self._conn)
        attempts = ((self._place(one.job, one.stage), one.attempts) for one in failures)
        yield self._counter(
            "failures",
            "Attempts that ended in an unexpected failure.",
            ("job", "stage"),
            chain(self._at_nought(), attempts),
        )
        yield self._gauge("failure_groups", "Groups of failures with failed stages, not muted.", ("job",), (
            ((self._job(one.job),), one.groups) for one in failures
        ))  # fmt: skip

    def _collect_costs(self) -> Iterator[Metric]:
        spent = gauges.read_spent(self._conn)
        yield self._counter("cost_usd", "What was spent, in US dollars, as far as it is known.", ("job",), (
            ((self._job(one.job),), one.usd) for one in spent
        ))  # fmt: skip
        yield self._counter("costs_unknown", "Costs of unknown price.", ("job",), (
            ((self._job(one.job),), one.unknown) for one in spent
        ))  # fmt: skip
        budgets = [
            (EVERYTHING if one.job is None else one.job, one) for one in list_budget_reports(self._conn)
        ][:MOST_JOBS]
        day = [(name, one) for name, one in budgets if one.usd_per_day is not None]
        yield self._gauge("budget_usd_per_day", "What may be spent in a day; job * is everything.", ("job",), (
            ((name,), one.usd_per_day or 0.0) for name, one in day
        ))  # fmt: skip
        yield self._gauge("budget_spent_today_usd", "What was spent of the day's budget.", ("job",), (
            ((name,), one.spent_today_usd) for name, one in day
        ))  # fmt: skip
        yield self._gauge("budget_reached", "1 while a budget holds stages back.", ("job",), (
            ((name,), one.reached is not None) for name, one in budgets
        ))  # fmt: skip

    def _collect_pauses(self) -> Iterator[Metric]:
        is_all, paused = gauges.list_paused(self._conn)
        yield GaugeMetricFamily("celeriac_all_paused", "1 while everything is paused.", value=is_all)
        yield self._gauge("paused", "1 while a job is paused, by itself or with everything.", ("job",), (
            ((one.job[:MOST_NAME_CHARS],), is_all or one.job in paused)
            for one in self._items if one.job in self._jobs
        ))  # fmt: skip
        yield self._gauge("pauses", "Pauses in force, by scope and cause.", ("scope", "cause"), (
            (names, count) for names, count in gauges.count_pauses(self._conn).items()
        ))  # fmt: skip

    def _collect_house(self) -> Iterator[Metric]:
        workers = gauges.read_worker_gauge(self._conn)
        yield self._gauge("workers", "Workers, by whether they said within a minute that they live.", ("state",), (
            (("alive",), workers.alive), (("silent",), workers.silent),
        ))  # fmt: skip
        yield GaugeMetricFamily(
            "celeriac_worker_processes",
            "Processes of living workers that run stages.",
            value=workers.processes,
        )
        yield self._gauge("queue_workers", "Living workers that serve a queue.", ("queue",), (
            ((queue[:MOST_NAME_CHARS],), count)
            for queue, count in sorted(count_serving(self._conn).items())[:MOST_JOBS]
        ))  # fmt: skip
        swept, beat = gauges.read_ages(self._conn)
        for name, about, age in (
            ("sweep", "How long ago the last sweep was.", swept),
            ("beat", "How long ago beat last ticked.", beat),
        ):
            yield self._gauge(f"{name}_age_seconds", about, (), [((), age)] if age is not None else [])
        late = find_late_sweep(self._conn, FRESH_SECONDS)
        yield GaugeMetricFamily(
            "celeriac_ready",
            "1 while the house is swept in time, or what runs takes long, as /readyz says.",
            value=late is None or late.healthy,
        )
        yield GaugeMetricFamily(
            "celeriac_notices_open", "Notices that are open.", value=gauges.count_open_notices(self._conn)
        )

    def _at_nought(self) -> Iterator[tuple[tuple[str, str], float]]:
        """Begin each stage's counter at 0: of one that appears with its first count Prometheus sees no increase."""
        return ((self._place(one.job, one.stage), 0.0) for one in self._stages)

    # -- labels -------------------------------------------------------------------------------------------

    def _job(self, job: str) -> str:
        return job[:MOST_NAME_CHARS] if job in self._jobs else OTHERS

    def _place(self, job: str, stage: str) -> tuple[str, str]:
        if (job, stage) in self._places:
            return job[:MOST_NAME_CHARS], stage[:MOST_NAME_CHARS]
        return self._job(job), OTHERS

    @staticmethod
    def _gauge(
        name: str, about: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
    ) -> Metric:
        family = GaugeMetricFamily(f"celeriac_{name}", about, labels=labels)
        for values, number in _add_up(samples).items():
            family.add_metric(values, number)
        return family

    @staticmethod
    def _counter(
        name: str, about: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
    ) -> Metric:
        family = CounterMetricFamily(f"celeriac_{name}", about, labels=labels)
        for values, number in _add_up(samples).items():
            family.add_metric(values, number)
        return family


def _add_up(samples: Iterable[tuple[tuple[str, ...], float]]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for values, number in samples:
        found[values] = found.get(values, 0) + number
    return found
