"""
Where something stands that does not move: one stage of an item, or all stages of a job that stand alike.

`runner.causes` judges places; what follows from the facts for more than one of its rules is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from tracker.spending import EVERYTHING
from tracker.workers import SILENT_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.budget import BudgetSpec
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.budgets import Limit
    from tracker.facts import Facts, Held, ItemStage, Paused, StageCounts


class State(StrEnum):
    """What a place is in, by the tracker alone; in the order in which it says most of where an item goes on."""

    RUNNING = "running"
    SENT = "sent"
    READY = "ready"
    PARKED = "parked"
    FAILED = "failed"
    BLOCKED = "blocked"
    HELD = "held"
    ENDED = "ended"
    LOOKING = "looking"
    """Nothing is left but to look for more items."""


OnFile = Literal["on", "off", "gone", "unknown"]


def _lacks_nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class JobOnFile:
    """
    What jobs.yaml says of a job. `unknown`: it is not in order, and running processes keep the last good one.

    `everything` is the budget for all jobs, and `limits` how the job stands to that and to its own.
    `find_lacks` says what this machine lacks for the job, if anything; it may have to import plugins for that.
    """

    state: OnFile
    spec: JobSpec | None = None
    everything: BudgetSpec | None = None
    find_lacks: Callable[[], str] = _lacks_nothing
    limits: tuple[Limit, ...] = ()

    @property
    def has_budget(self) -> bool:
        """Tell whether anything bounds what the job spends."""
        return self.everything is not None or (self.spec is not None and self.spec.budget is not None)


@dataclass(frozen=True, slots=True)
class Place:
    """
    One stage of an item, or `count` stages of a job that stand alike, of which `at` is the one that says most.

    `stage` is None for an item that waits for approval, and for a job that looks for items.
    """

    facts: Facts
    file: JobOnFile
    state: State
    stage: str | None = None
    at: ItemStage | None = None
    count: int = 1

    @property
    def spec(self) -> StageSpec | None:
        """The stage as jobs.yaml has it."""
        stages = self.file.spec.stages if self.file.spec else ()
        return next((one for one in stages if one.name == self.stage), None)

    @property
    def counts(self) -> StageCounts | None:
        """The stage's counts in the whole job."""
        return self.facts.stages.get(self.stage or "")

    @property
    def goes_out(self) -> bool:
        """Tell whether it is about to run, as far as it is concerned."""
        return self.state in {State.READY, State.SENT}

    @property
    def queued_on_queue(self) -> int:
        """Count what is sent and not claimed on the runway of the stage: the job's stages on its queue."""
        if self.file.spec is None or self.spec is None:
            return sum(one.queued for one in self.facts.stages.values())
        together = {one.name for one in self.file.spec.stages if one.queue == self.spec.queue}
        return sum(one.queued for one in self.facts.stages.values() if one.stage in together)

    def find_pause(self) -> Paused | None:
        """Find the pause that holds it, for longest if there are several; one that ends before its time does not."""
        holding = [one for one in self.facts.pauses if self._is_under(one)]
        return max(holding, key=_lasts, default=None)

    def _is_under(self, pause: Paused) -> bool:
        if pause.scope == "stage" and pause.stage != self.stage:
            return False
        if pause.scope == "host" and not self._asks(pause.host):
            return False
        retry_at = self.at.retry_at if self.at and self.state is State.PARKED else None
        return (
            retry_at is None or pause.until_at is None or pause.until_at > retry_at or self._waits_for(pause)
        )

    def _asks(self, host: str) -> bool:
        asked = (self.at and self.at.waits_for_host) or (self.facts.item and self.facts.item.host)
        return bool(asked) and is_within(str(asked), host)

    def _waits_for(self, pause: Paused) -> bool:
        waits_for = self.at.waits_for_host if self.at else None
        return pause.scope == "host" and waits_for is not None and is_within(waits_for, pause.host)

    def find_hold(self) -> Held | None:
        """Find the budget that holds it: the job's own before the one for everything. What costs nothing goes on."""
        if not self.counts or not self.counts.expected_usd:
            return None
        return min(self.facts.holds, key=lambda one: one.job == EVERYTHING, default=None)

    def count_serving(self) -> int:
        """Count the living workers of its queue."""
        queue = self.spec.queue if self.spec else None
        return sum(
            (queue is None or queue in one.queues)
            and not one.is_scoped
            and self.facts.now - one.seen_at <= SILENT_MS
            for one in self.facts.workers
        )

    def name_worker(self) -> str:
        """Name the worker whose process claimed it, by the name that Celery gives it where that is known."""
        claimed_by = (self.at.worker if self.at else None) or "somebody"
        host, _, pid = claimed_by.rpartition(":")
        for one in self.facts.workers:
            if one.host == host and pid in {str(number) for number in (one.pid, *one.processes)}:
                return f"{one.name} (process {pid})"
        return claimed_by


def _lasts(pause: Paused) -> tuple[bool, int]:
    return pause.until_at is None, pause.until_at or 0


def is_within(host: str, domain: str) -> bool:
    """
    Tell whether a host is a domain or lies in it.

    >>> is_within("www.example.org", "example.org"), is_within("example.org", "ample.org")
    (True, False)
    """
    return host == domain or host.endswith(f".{domain}")
