"""jobs.yaml into Celery beat's entries: one for each scheduled job, the sweep, and the chores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from celery.schedules import BaseSchedule, schedstate

from pipeline.maintenance import LOOK_SECONDS
from pipeline.schedule import SWEEP_SECONDS

if TYPE_CHECKING:
    from pipeline.filespec import JobsFile
    from pipeline.schedule import Schedule


class SlotSchedule(BaseSchedule):
    """A job's slots, by the rules of `pipeline.schedule`, as Celery wants to ask for them."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.slots = schedule

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Tell whether a slot has come since `last_run_at`, and the seconds until the next one."""
        now = datetime.now(UTC)
        due = self.slots.previous_slot(now) > last_run_at
        return schedstate(due, (self.slots.next_slot(now) - now).total_seconds())

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Tell how long it is until the slot after `last_run_at`."""
        return self.slots.next_slot(last_run_at) - datetime.now(UTC)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSchedule) and self.slots == other.slots

    def __hash__(self) -> int:
        return hash(self.slots)

    def __repr__(self) -> str:
        return f"<slots: {self.slots}>"

    def __reduce__(self) -> tuple[type[SlotSchedule], tuple[Schedule]]:
        return SlotSchedule, (self.slots,)


def make_beat_schedule(jobs: JobsFile) -> dict[str, dict[str, Any]]:
    """Make the entries by name: `discover JOB` for each enabled job with a schedule, `sweep`, and `maintenance`."""
    entries: dict[str, dict[str, Any]] = {
        f"discover {job.name}": {
            "task": "tasks.discover",
            "schedule": SlotSchedule(job.schedule),
            "args": (job.name,),
            "kwargs": {"scheduled": True},
            "options": {"shadow": f"{job.name}.discover"},
        }
        for job in jobs.enabled_jobs
        if job.schedule is not None
    }
    # A sweep that could not be sent in time is of no use: the next one does the same.
    entries["sweep"] = {
        "task": "tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    }
    if jobs.maintenance.schedules:
        entries["maintenance"] = {
            "task": "tasks.maintain",
            "schedule": LOOK_SECONDS,
            "options": {"expires": LOOK_SECONDS},
        }
    return entries
