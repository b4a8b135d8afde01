"""
The sweep: every few seconds, mend what time or a crash has broken, and send what was held back.

Each step is its own short transaction, and writes nothing when there is nothing to do. Any number of sweeps
may run at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import BrokerUnavailableError, TrackerFullError
from runner import working_off
from runner.accepted import note_accepted
from runner.applying import apply_jobs_file
from runner.breaker import lift_due_pauses
from runner.budget_review import review_budgets
from runner.dispatch import dispatch_job
from runner.notices import review_notices
from runner.on_schedule import is_held
from runner.search_keeping import keep_search
from tracker import discoveries, jobs, messages, recovery
from tracker.action_memory import forget_old_actions
from tracker.clock import now_ms, to_ms
from tracker.connection import Connection, write
from tracker.failure_hours import prune_failure_hours
from tracker.host_waits import wake_waiting_stages
from tracker.notes import SWEPT_AT, find_note, set_note
from tracker.spending import forget_old_quarters
from tracker.stats import prune_minutes
from tracker.workers import forget_silent_workers

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)

NOTE_EVERY_MS = 30_000

FORGETTING_SECONDS = 1.0
"""How long one sweep forgets what old actions changed; the next goes on."""

MISSED_AFTER_MS = 10_000
"""A slot that nobody took by then was missed, and is made up; a second too early costs nothing."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    ahead: int = 0
    """How many leases were of a clock that was set back."""
    expired: int = 0
    unpaused: int = 0
    budgets: int = 0
    """How many budgets were lifted."""
    woken: int = 0
    acted: int = 0
    """How much was done of actions that a killed process left over."""
    lost: int = 0
    sent: int = 0
    discoveries: int = 0
    told: int = 0
    """How many messages told people of notices."""


def sweep(runtime: Runtime, only: str | None = None) -> Swept:
    """
    Do everything that is due; what was done. With `only`, send nothing of other jobs.

    A full disk ends it early, with a word; the next one goes on.
    """
    conn = runtime.tracker
    try:
        apply_jobs_file(runtime)
        done = Swept(
            ahead=recovery.shorten_leases_ahead(conn),
            expired=_expire(runtime),
            unpaused=lift_due_pauses(runtime),
            budgets=review_budgets(runtime),
            woken=messages.wake_parked_stages(conn) + wake_waiting_stages(conn),
            acted=working_off.resume(runtime),
            lost=messages.take_back_lost_messages(conn) + _take_back_vanished(runtime),
            discoveries=0 if only else _send_discoveries(runtime),
            sent=sum(
                dispatch_job(runtime, job) for job in runtime.jobs.enabled_jobs if only in (None, job.name)
            ),
            told=0 if only else review_notices(runtime),
        )
        note_accepted(conn, runtime.jobs)
        _note(conn)
        keep_search(runtime, only)
    except TrackerFullError as error:
        log.error("the sweep could not write", error=str(error))
        return Swept()
    if done != Swept():
        log.info("swept", **{name: value for name in Swept.__slots__ if (value := getattr(done, name))})
    return done


def _expire(runtime: Runtime) -> int:
    steps = runtime.clock_steps
    return (
        0 if steps is not None and steps.was_set_forward() else recovery.reclaim_stuck_stages(runtime.tracker)
    )


def _take_back_vanished(runtime: Runtime) -> int:
    try:
        if runtime.publisher.has_waiting_messages():
            return 0
    except BrokerUnavailableError as error:
        log.warning("the broker is away", error=str(error))
        return 0
    return messages.take_back_vanished_messages(runtime.tracker)


def _send_discoveries(runtime: Runtime) -> int:
    """Send the discoveries that are due: tried again, taken up again, asked for, or missed while all was down."""
    enabled = {job.name: job for job in runtime.jobs.enabled_jobs}
    sent = 0
    jobs.wake_for_missed_slots(runtime.tracker)
    try:
        for run in discoveries.list_due_runs(runtime.tracker):
            if run.job_id in enabled and not is_held(runtime, enabled[run.job_id]):
                runtime.publisher.publish_discovery(run.job_id, run_id=run.run_id)
                sent += 1
        for job in enabled.values():
            if _has_missed_slot(runtime.tracker, job):
                runtime.publisher.publish_discovery(job.name, scheduled=True)
                sent += 1
        sent += _send_woken(runtime, set(enabled))
    except BrokerUnavailableError as error:
        log.warning("the broker is away; discoveries wait", error=str(error))
    return sent


def _has_missed_slot(conn: Connection, job: JobSpec) -> bool:
    if job.schedule is None:
        return False
    slot_at = to_ms(job.schedule.previous_slot(datetime.now(UTC)))
    return now_ms() - slot_at > MISSED_AFTER_MS and not discoveries.is_slot_taken(conn, job.name, slot_at)


def _send_woken(runtime: Runtime, enabled: set[str]) -> int:
    sent = 0
    for job_id, woken_at in jobs.list_woken_jobs(runtime.tracker):
        if job_id not in enabled:
            continue  # it may be in jobs.yaml as others read it, or come: its wish waits for it
        runtime.publisher.publish_discovery(job_id)
        sent += 1
        # after it was sent: a wish may be met twice, never lost
        jobs.note_looked(runtime.tracker, job_id, woken_at)
    return sent


def _forget_actions(conn: Connection) -> None:
    until = time.monotonic() + FORGETTING_SECONDS
    while forget_old_actions(conn) and time.monotonic() < until:
        pass


def _note(conn: Connection) -> None:
    noted = find_note(conn, SWEPT_AT)
    if noted is None or not 0 <= now_ms() - int(noted) < NOTE_EVERY_MS:
        with write(conn):
            set_note(conn, SWEPT_AT, str(now_ms()))
            forget_silent_workers(conn)
            prune_minutes(conn)
            forget_old_quarters(conn)
            prune_failure_hours(conn)
        _forget_actions(conn)
