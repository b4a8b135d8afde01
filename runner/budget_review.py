"""Look after the budgets that are reached: the sweep lifts what is due, and keeps on record what jobs.yaml allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import holds, over_budget
from tracker.budgets import find_day, remember_budgets
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.reservations import drop_orphans
from tracker.spending import EVERYTHING, read_stage_costs

if TYPE_CHECKING:
    from pipeline.budget import BudgetSpec
    from pipeline.filespec import JobsFile
    from runner.runtime import Runtime
    from tracker.holds import Hold

FALLEN = 0.8
"""Items over budget are looked at again when their stage is expected to cost less than this share of before."""

OTHER_BUDGET = "jobs.yaml has another budget"


def list_budgets(jobs: JobsFile) -> dict[str, BudgetSpec]:
    """List the budgets of jobs.yaml by job; the one for everything under `EVERYTHING`."""
    found = {job.name: job.budget for job in jobs.jobs.values() if job.budget is not None}
    return {EVERYTHING: jobs.budget, **found} if jobs.budget is not None else found


def review_budgets(runtime: Runtime) -> int:
    """
    Lift what is due: at the day's end, or because jobs.yaml or a stage's cost changed; how many. Commits.

    Keeps the budgets of jobs.yaml where explanations and reports find them, and writes nothing if nothing changed.
    """
    conn, budgets = runtime.tracker, list_budgets(runtime.jobs)
    remember_budgets(conn, budgets)
    drop_orphans(conn)
    return sum(_review(conn, hold, budgets) for hold in holds.list_holds(conn))


def _review(conn: Connection, hold: Hold, budgets: dict[str, BudgetSpec]) -> bool:
    if hold.stage:
        return _review_items(conn, hold, budgets)
    spec = budgets.get(hold.job_id)
    cap = None if spec is None else getattr(spec, hold.cap)
    if cap != hold.usd:
        return holds.lift(conn, hold, OTHER_BUDGET)
    if spec is None or hold.until_at is None:
        return False
    if hold.until_at <= now_ms():
        return holds.lift(conn, hold, "a new day")
    if find_day(spec.timezone or "UTC")[1] != hold.until_at:
        return holds.lift(conn, hold, OTHER_BUDGET)
    return False


def _review_items(conn: Connection, hold: Hold, budgets: dict[str, BudgetSpec]) -> bool:
    known = [budgets[name].usd_per_item for name in (hold.job_id, EVERYTHING) if name in budgets]
    cap = min((usd for usd in known if usd is not None), default=None)
    cost = read_stage_costs(conn, hold.job_id).get(hold.stage)
    expected = cost.usd or 0.0 if cost else 0.0
    if cap == hold.usd and expected >= FALLEN * hold.expected_usd:
        return False
    over_budget.clear_marks(conn, hold.job_id, hold.stage)
    with write(conn):
        if cap is not None and over_budget.has_marks(conn, hold.job_id, hold.stage):  # marked meanwhile
            holds.renew(conn, hold, cap, expected)
            return False
        return holds.lift(conn, hold, "the stage costs less" if cap == hold.usd else OTHER_BUDGET)
