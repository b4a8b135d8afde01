"""
Keep to budgets: set aside what a stage is expected to cost before it is sent, and hold what would go beyond.

What runs is finished, what costs nothing goes on, and a stage that never ran goes on a few at a time until it is
known what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.loads import size_of_load
from tracker import holds, over_budget
from tracker.budgets import find_day
from tracker.reservations import reserve
from tracker.spending import (
    EVERYTHING,
    StageCost,
    count_finished,
    read_spending,
    read_spent_on_items,
    read_stage_costs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.budget import BudgetSpec, Cap
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.lanes import Load
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.dispatch import Candidate, Message, Runway

FIRST_ATTEMPTS = 4
"""So many may be out at once under a budget while fewer costs are known; of a stage with `batch`, one load."""


def bound_loads(stage: StageSpec, cost: StageCost | None, finished: int) -> int | None:
    """
    Tell how many loads of a stage may be out at once under a budget, for what is known of its costs; None for any.

    As many as there are costs to estimate by: a hundred sent by the first cost alone could each cost what nobody
    expected. One that finished often enough without any `cost` is free; what nobody knows the cost of no budget bounds.
    """
    first = FIRST_ATTEMPTS if stage.batch is None else 1
    if cost is None:
        return first if finished < first else None
    return max(first, cost.known // size_of_load(stage)) if cost.usd else None


ROUNDING = 1e-9


def can_pay(left_usd: float, expected_usd: float) -> bool:
    """Tell whether what is left of a budget is enough for one attempt that is expected to cost so much."""
    return left_usd + ROUNDING >= expected_usd


def has_budget(runtime: Runtime, job: JobSpec) -> bool:
    """Tell whether anything bounds what a job spends."""
    return job.budget is not None or runtime.jobs.budget is not None


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap of one budget: what was spent of it, and what of it is set aside; in US dollars."""

    job_id: str
    cap: Cap
    usd: float
    spent_usd: float
    reserved_usd: float
    until_at: int | None

    @property
    def left_usd(self) -> float:
        """What may still be set aside."""
        return self.usd - self.spent_usd - self.reserved_usd

    def is_reached_for(self, expected_usd: float) -> bool:
        """Tell whether one more attempt would go beyond, even when all that is set aside came back."""
        return self.spent_usd + expected_usd > self.usd + ROUNDING


@dataclass(slots=True)
class Purse:
    """What one job may spend at this moment. Lives for one refill, in the transaction that stamps."""

    conn: Connection
    job: JobSpec
    costs: dict[str, StageCost]
    limits: list[Limit]
    usd_per_item: float | None
    left_usd: float = field(init=False)

    def __post_init__(self) -> None:
        self.left_usd = find_least_left(self.limits)

    def price(self, stage: str) -> float:
        """Tell what an attempt of a stage is expected to cost, in US dollars; 0 while that is not known."""
        known = self.costs.get(stage)
        return known.usd or 0.0 if known else 0.0

    def count_allowed(self, stage: StageSpec, runway: Runway, room: int) -> int:
        """Count how many loads of a stage may go, at most `room`."""
        cost = self.costs.get(stage.name)
        if price := self.price(stage.name):
            if (affordable := self._count_affordable(price)) is None:
                return room
            room = min(room, -(-affordable // size_of_load(stage)))
        finished = 0 if cost else count_finished(self.conn, self.job.name, stage.name)
        most = bound_loads(stage, cost, finished)
        return room if most is None else max(0, min(room, most - runway.outstanding))

    def _count_affordable(self, price: float) -> int | None:
        if self.left_usd == float("inf"):
            return None
        return max(0, int((self.left_usd + ROUNDING) / price))

    def take(self, load: Load) -> Load:
        """Set aside what a load costs; what of it can be paid for."""
        price = self.price(load[0].stage)
        if not price:
            return load
        affordable = self._count_affordable(price)
        paid = load if affordable is None else load[:affordable]
        self.left_usd -= price * len(paid)
        return paid

    def is_dry(self, stage: StageSpec) -> bool:
        """Tell whether not one attempt of a stage can be paid for."""
        price = self.price(stage.name)
        return bool(price) and not can_pay(self.left_usd, price)

    def mark_over_budget(self, stage: str, found: Sequence[Candidate]) -> bool:
        """
        Mark those whose item has spent something and would spend more than it may; True if there is any.

        An item that has spent nothing yet may try, whatever its stage costs on the average.
        """
        price, cap = self.price(stage), self.usd_per_item
        if cap is None or not price:
            return False
        spent = read_spent_on_items(self.conn, [one.item_id for one in found if not one.unopened])
        over = {item_id: usd for item_id, usd in spent.items() if usd and usd + price > cap + ROUNDING}
        if not over:
            return False
        name = self.job.name
        holds.note_reached(
            self.conn,
            name,
            "usd_per_item",
            cap,
            spent_usd=max(over.values()),
            expected_usd=price,
            stage=stage,
        )
        over_budget.mark_over_budget(self.conn, name, stage, over, cap, price)
        return True

    def settle(self, messages: Sequence[Message], waiting: Sequence[str]) -> None:
        """Set aside what was stamped; and record the caps that hold what is `waiting`, if they are reached."""
        reserve(self.conn, messages, {name: self.price(name) for name in self.costs})
        if not waiting:
            return
        cheapest = min(self.price(name) for name in waiting)
        for limit in self.limits:
            if limit.is_reached_for(cheapest):
                holds.note_reached(
                    self.conn,
                    limit.job_id,
                    limit.cap,
                    limit.usd,
                    spent_usd=limit.spent_usd,
                    expected_usd=cheapest,
                    until_at=limit.until_at,
                )


def open_purse(runtime: Runtime, conn: Connection, job: JobSpec) -> Purse | None:
    """Read what a job may spend now, in the caller's transaction; None when no budget bounds it."""
    if not has_budget(runtime, job):
        return None
    everything = runtime.jobs.budget
    per_item = [
        spec.usd_per_item
        for spec in (job.budget, everything)
        if spec is not None and spec.usd_per_item is not None
    ]
    limits = read_limits(conn, job, everything)
    return Purse(conn, job, read_stage_costs(conn, job.name), limits, min(per_item, default=None))


def find_least_left(limits: Iterable[Limit]) -> float:
    """Find how many US dollars may still be set aside, by the limit that leaves least; infinity without any."""
    return min((limit.left_usd for limit in limits), default=float("inf"))


def read_limits(conn: Connection, job: JobSpec, everything: BudgetSpec | None) -> list[Limit]:
    """Read how a job stands to its own budget and to that for everything, if there are any."""
    named = ((job.name, job.budget), (EVERYTHING, everything))
    return [limit for name, spec in named if spec is not None for limit in _read_limits_of(conn, name, spec)]


def _read_limits_of(conn: Connection, job_id: str, spec: BudgetSpec) -> list[Limit]:
    begin, end = find_day(spec.timezone or "UTC")
    spent = read_spending(conn, job_id, begin)
    limits = []
    if spec.usd_per_day is not None:
        limits.append(Limit(job_id, "usd_per_day", spec.usd_per_day, spent.day_usd, spent.reserved_usd, end))
    if spec.usd_total is not None:
        limits.append(Limit(job_id, "usd_total", spec.usd_total, spent.total_usd, spent.reserved_usd, None))
    return limits
