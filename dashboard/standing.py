"""How a job stands, in one word: by the one cause for which it does not move, with what needs somebody first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.saying import say_distance

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec
    from runner.causes import Told
    from tracker.pauses import Pause
    from tracker.runs import RunReport


class Stand(StrEnum):
    """How a job stands; in the order in which jobs are shown."""

    STUCK = "stuck"
    FAILED = "failed"
    HELD = "held"
    OVER_BUDGET = "over budget"
    PAUSED = "paused"
    WAITING = "waiting"
    MOVING = "moving"
    IDLE = "idle"
    OFF = "off"

    @property
    def shape(self) -> str:
        """The class by which it has its colour and shape."""
        return self.value.replace(" ", "-")


BY_CAUSE = {
    "failed": Stand.FAILED,
    "held": Stand.HELD,
    "over_budget": Stand.OVER_BUDGET,
    "item_over_budget": Stand.OVER_BUDGET,
    "paused": Stand.PAUSED,
    "retry_at": Stand.WAITING,
    "host_limit": Stand.WAITING,
    "look_waits": Stand.WAITING,
    "waits_for_stage": Stand.WAITING,
    "next_look": Stand.IDLE,
    "no_schedule": Stand.IDLE,
    "done": Stand.IDLE,
    "switched_off": Stand.OFF,
    "not_in_jobs_file": Stand.OFF,
}
"""By a cause of `runner.causes`; with any other that does not move it is stuck."""


def find_stand(cause: Told) -> Stand:
    """Find how a job stands by its cause."""
    return Stand.MOVING if cause.moves else BY_CAUSE.get(cause.cause, Stand.STUCK)


@dataclass(frozen=True, slots=True)
class NextLook:
    """When a job looks for items next (`at`, Unix ms, None when it is not known), in words before and after."""

    words: str
    at: int | None = None
    schedule: str = ""


def find_next_look(
    job: JobSpec | None, last: RunReport | None, pause: Pause | None, now: int, slot_at: int | None
) -> NextLook:
    """Find when a job looks for items next. `slot_at` is its next slot, None without a schedule."""
    schedule = job.schedule.describe() if job and job.schedule else ""
    if job is None or not job.enabled:
        return NextLook("does not look for items")
    if last is not None and last.ended_at is None:
        return NextLook(f"looks for items now, since {say_distance(last.started_at, now)}", None, schedule)
    if pause is not None and not pause.is_probing:
        return NextLook("looks for items when it is let go on", None, schedule)
    if last is not None and last.retry_at is not None:
        waits = f"waits for the paused host {last.waits_for}; looks again"
        return NextLook(
            waits if last.is_waiting else "tries again to look for items", last.retry_at, schedule
        )
    if slot_at is None:
        return NextLook("looks for items only when asked")
    return NextLook("looks for items again", slot_at, schedule)
