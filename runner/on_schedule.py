"""What becomes of a scheduled discovery while its job is paused: `on_schedule` of jobs.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.on_schedule import OnSchedule
from tracker.discoveries import skip_discovery
from tracker.pauses import find_pause_of

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.pauses import Pause


def is_held(runtime: Runtime, job: JobSpec) -> bool:
    """Tell whether a job's scheduled discoveries, and those to be tried again, wait for a pause to end."""
    return job.on_schedule is not OnSchedule.QUEUE and _find_pause(runtime.tracker, job) is not None


def _find_pause(conn: Connection, job: JobSpec) -> Pause | None:
    """Find what holds a job, unless it is a breaker that lets out probes: then there must be something to try."""
    held = find_pause_of(conn, job.name)
    return None if held is None or held.is_probing else held


def say_pause(conn: Connection, job: JobSpec) -> str | None:
    """Say by whom and why a job is paused, and what its `on_schedule` makes of it; None when it is not paused."""
    held = _find_pause(conn, job)
    if held is None:
        return None
    what = "paused" if held.scope == "job" else "everything is paused"
    return f"{what} by {held.by}: {held.reason} (on_schedule: {job.on_schedule})"


def leave_out(conn: Connection, job: JobSpec, slot_at: int | None, reason: str) -> bool:
    """
    Record a slot (Unix ms) that a paused job leaves out; False when it was taken already. Commits.

    With `hold` it is made up when the pause is lifted, together with all others that were missed.
    """
    return skip_discovery(conn, job.name, slot_at, reason, made_up=job.on_schedule is OnSchedule.HOLD)
