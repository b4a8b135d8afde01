"""Pause and unpause, for people: a job, a stage, a host, or everything. Each act is one event, with who."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import JobsFileError, NotFoundError
from pipeline.until import require_future
from runner.dispatch import dispatch_job
from runner.known import require_job, require_stage
from tracker import host_waits, pauses
from tracker.clock import now_ms, to_datetime
from tracker.connection import write
from tracker.jobs import reset_auto_unpauses
from tracker.pauses import Pause  # noqa: TC001 - for the JSON schema of the API

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.filespec import JobsFile
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.pauses import Target


@dataclass(frozen=True, slots=True)
class PauseActed:
    """
    What pausing or lifting came to.

    `pause` is in force now, None when there is none. `before` is what was in force until then, None when nothing was:
    whoever acts second sees what the first did. `also` are other pauses that still hold the same. `sent` counts the
    messages that went out.
    """

    act: str
    scope: str
    job: str
    stage: str
    host: str
    pause: Pause | None
    before: Pause | None
    also: tuple[Pause, ...] = ()
    sent: int = 0


def pause(
    runtime: Runtime, target: Target, reason: str, until: datetime | None = None, by: str = "unknown"
) -> PauseActed:
    """
    Hold something back, at once, until an instant or until somebody lifts it.

    A pause that is in force gets the new reason and end, and goes on since it began. Raises `NotFoundError` for a
    job or stage that jobs.yaml has not (while that is refused: the tracker), and ValueError for an instant
    that is not in the future, or so late that not every time zone has it.
    """
    _require(runtime, target)
    if until is not None:
        require_future(until, to_datetime(now_ms()), f"{until:%Y-%m-%d %H:%M %Z}")
    conn = runtime.tracker
    with write(conn):
        before = pauses.pause(conn, target, reason, until, by)
        now = pauses.read_pause(conn, target)
    return _acted("pause", target, now, before)


def unpause(runtime: Runtime, target: Target, by: str = "unknown") -> PauseActed:
    """
    Let something go on, and send what is ready; nothing happens when it was not paused.

    What a breaker had counted is forgotten. Raises `NotFoundError` for a name that nothing answers to, paused or not.
    """
    conn = runtime.tracker
    if pauses.read_pause(conn, target) is None:
        _require(runtime, target)
    if target.scope == "host":
        _require_paused_host(runtime, target)
    with write(conn):
        before = pauses.lift(conn, target, by)
        if target.scope == "job":
            reset_auto_unpauses(conn, target.job_id)
    if target.scope == "host":
        host_waits.wake_waiting_stages(conn)
    sent = sum(dispatch_job(runtime, job) for job in _list_jobs(runtime, target))
    return _acted("unpause", target, None, before, _find_others(runtime, target), sent)


def _acted(
    act: str,
    target: Target,
    now: Pause | None,
    before: Pause | None,
    also: tuple[Pause, ...] = (),
    sent: int = 0,
) -> PauseActed:
    place = target.scope, target.job_id, target.stage, target.host
    return PauseActed(act, *place, pause=now, before=before, also=also, sent=sent)


def _find_jobs(runtime: Runtime) -> JobsFile | None:
    """Find the jobs in force; None while jobs.yaml is refused, for a brake has to work all the same."""
    try:
        return runtime.jobs
    except JobsFileError:
        return None


def _require(runtime: Runtime, target: Target) -> None:
    if not target.job_id:
        return
    jobs = _find_jobs(runtime)
    if jobs is not None:
        job = jobs.get_job(target.job_id)
        if target.stage:
            job.stage(target.stage)
        return
    require_job(runtime.tracker, target.job_id)
    if target.stage:
        require_stage(runtime.tracker, target.job_id, target.stage)


def _require_paused_host(runtime: Runtime, target: Target) -> None:
    """Raise `NotFoundError` for a host that is not paused, with the one that was likely meant."""
    paused = [each.host for each in pauses.list_pauses(runtime.tracker) if each.scope == "host"]
    if target.host not in paused:
        wider = (name for name in pauses.list_domains(target.host) if name in paused)
        nearest = next(wider, None) or find_nearest(target.host, paused)
        raise NotFoundError("paused host", target.host, nearest)


def _list_jobs(runtime: Runtime, target: Target) -> list[JobSpec]:
    jobs = _find_jobs(runtime)
    return [job for job in (jobs.enabled_jobs if jobs else ()) if target.job_id in {"", job.name}]


def _find_others(runtime: Runtime, target: Target) -> tuple[Pause, ...]:
    """Find what else holds a job or stage back, of what was just let go."""
    if target.scope not in {"job", "stage"}:
        return ()
    wider = pauses.find_pause_of(runtime.tracker, target.job_id, target.stage or None)
    narrower = [] if target.stage else pauses.list_stage_pauses(runtime.tracker, target.job_id)
    return ((wider,) if wider is not None else ()) + tuple(narrower)
