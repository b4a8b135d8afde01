"""What a job's page says of each stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracker.live import read_counts
from tracker.plan import find_plan
from tracker.reports import list_stage_reports
from tracker.spending import read_stage_costs
from tracker.stats import RATE_MINUTES, get_job_stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.jobspec import JobSpec
    from tracker.connection import Connection
    from tracker.reports import StageReport
    from tracker.spending import StageCost


@dataclass(frozen=True, slots=True)
class StageFacts:
    """
    One stage: what waits at it and for no other, what runs, is done, failed and skipped.

    `usd` is what one attempt costs on the average, None when that is not known. `is_narrow` marks the stage where the
    job queues up: of those at which something waits, the one that needs the longest for it. `state` is what became of
    it: `on`, `off`, or `gone` from jobs.yaml.
    """

    name: str
    needs: tuple[str, ...]
    state: str
    handler: str
    queue: str
    concurrency: int | None
    rate: str | None
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    rate_per_minute: float = 0.0
    usd: float | None = None
    unknown_costs: int = 0
    is_narrow: bool = False

    @property
    def seconds_to_empty(self) -> float | None:
        """How long what waits will take at the present rate; None when nothing is being settled."""
        if not self.waiting:
            return 0.0
        return self.waiting / self.rate_per_minute * 60 if self.rate_per_minute else None


def list_stage_facts(conn: Connection, job_id: str, spec: JobSpec | None) -> list[StageFacts]:
    """List the stages of a job, each after all that it needs; those that only the tracker has come last."""
    counts = read_counts(conn)
    reports = {report.stage: report for report in list_stage_reports(conn, job_id)}
    costs = read_stage_costs(conn, job_id)
    unopened = get_job_stats(conn, job_id)["unopened"]
    found = [
        _fill(stage, job_id, counts, reports.get(stage.name), costs.get(stage.name), unopened)
        for stage in _list_stages(conn, job_id, spec, reports)
    ]
    narrow = find_narrow(found)
    return [replace(stage, is_narrow=stage.name == narrow) for stage in found]


def _list_stages(
    conn: Connection, job_id: str, spec: JobSpec | None, reports: Mapping[str, StageReport]
) -> list[StageFacts]:
    plan = find_plan(conn, job_id)
    needs = plan.needs if plan is not None else {}
    stages = [
        StageFacts(
            name=stage.name,
            needs=stage.needs,
            state="on" if stage.enabled else "off",
            handler=stage.handler,
            queue=stage.queue,
            concurrency=stage.concurrency,
            rate=str(stage.rate) if stage.rate else None,
        )
        for stage in (spec.stages if spec else ())
    ]
    known = {stage.name for stage in stages}
    left = [name for name in (*(plan.names if plan else ()), *reports) if name not in known]
    gone = [
        StageFacts(name, tuple(needs.get(name, ())), "gone" if spec else "on", "", "", None, None)
        for name in dict.fromkeys(left)
    ]
    return _in_order([*stages, *gone])


def _in_order(stages: list[StageFacts]) -> list[StageFacts]:
    """Order stages so that each comes after all that it needs, else as they are; needs that go round are left."""
    ordered: dict[str, StageFacts] = {}
    names = {stage.name for stage in stages}
    left = stages
    while left:
        ready = [
            one for one in left if all(need in ordered or need not in names for need in one.needs)
        ] or left
        ordered |= {one.name: one for one in ready}
        left = [one for one in left if one.name not in ordered]
    return list(ordered.values())


def _fill(
    stage: StageFacts,
    job_id: str,
    counts: Mapping[str, int],
    report: StageReport | None,
    cost: StageCost | None,
    unopened: int,
) -> StageFacts:
    name = f"{job_id}/{stage.name}"
    not_begun = count_not_begun(stage.needs, unopened, is_on=stage.state == "on")
    return replace(
        stage,
        waiting=count_waiting(counts, name, not_begun),
        running=counts.get(f"{name}.in_progress", 0),
        done=counts.get(f"{name}.done", 0),
        failed=counts.get(f"{name}.failed", 0),
        skipped=counts.get(f"{name}.skipped", 0),
        p50_seconds=report.p50_seconds if report else None,
        p95_seconds=report.p95_seconds if report else None,
        rate_per_minute=report.rate_per_minute if report else 0.0,
        usd=cost.usd if cost else None,
        unknown_costs=cost.unknown if cost else 0,
    )


def count_waiting(counts: Mapping[str, int], name: str, not_begun: int) -> int:
    """Count what waits at `job/stage` and for no other; `not_begun` do where the tracker has no count of it yet."""
    return max(0, counts.get(f"{name}.waiting", not_begun))


def count_not_begun(needs: Sequence[str], unopened: int, *, is_on: bool) -> int:
    """Count the items of which nothing was sent yet, at a stage: they wait where an item begins, and nowhere else."""
    return unopened if is_on and not needs else 0


def find_narrow(stages: list[StageFacts]) -> str | None:
    """Find the stage where a job queues up; None when nothing waits anywhere."""
    waiting = [stage for stage in stages if stage.waiting]
    if not waiting:
        return None
    return max(waiting, key=_weigh).name


def _weigh(stage: StageFacts) -> float:
    """Weigh a stage by how long it needs; fewer than one in the minutes that rates are of count as one."""
    return stage.waiting / max(stage.rate_per_minute, 1 / RATE_MINUTES)
