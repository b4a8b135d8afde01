"""What an ending means for the breaker of its job; and the pauses whose time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pipeline.lifecycle import FINISH, SKIP, Status
from tracker import breaker, host_breaker, pauses, probes

if TYPE_CHECKING:
    from pipeline.breaker import BreakerSpec
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.endings import Ending
    from tracker.moves import Settled
    from tracker.pauses import Pause

log = structlog.get_logger(__name__)


def note_ending(conn: Connection, job: JobSpec, settled: Settled, ending: Ending) -> None:
    """
    Count a failure or a success of a stage for its job's breaker, in the transaction that settles the attempt.

    A failure counts whether it is tried again or not. What is neither, such as `RetryLater`, says nothing.
    """
    if job.breaker is None:
        return
    place = {"item_id": settled.item_id, "attempt": settled.attempt}
    is_overruled = settled.status is Status.SKIPPED and ending.move is not SKIP  # cancelled, or switched off
    if ending.failure is not None and not is_overruled:
        signature = ending.failure.signature
        opened = breaker.note_failure(conn, job.breaker, job.name, settled.stage, signature, **place)
        if opened is not None:
            log.warning("breaker opened", job=job.name, reason=opened.reason, until=opened.until_at)
    elif ending.move in {FINISH, SKIP} and not is_overruled:
        live = [stage.name for stage in job.stages if stage.enabled]
        if breaker.note_success(conn, job.name, settled.stage, **place, stages=live):
            log.info("breaker closed", job=job.name)
    elif probes.take_back_probe(conn, settled.item_id, settled.stage, settled.attempt):
        probes.give_probe(conn, job.name)


# -- what the sweep does ----------------------------------------------------------------------------------


def lift_due_pauses(runtime: Runtime) -> int:
    """
    Lift the pauses whose time is up, or let out the probes of those that a breaker wrote; how many.

    Each is a transaction of its own, and only one of several sweeps gets to do it.
    """
    conn, count = runtime.tracker, 0
    for due in pauses.list_due_pauses(conn):
        spec = find_breaker(runtime, due)
        if due.cause == breaker.BREAKER and spec is not None:
            is_done = breaker.begin_probing(conn, due, spec.probe)
        else:
            is_done = pauses.lift_due(conn, due)
        if is_done:
            count += 1
            log.info("pause lifted: its time has come", what=str(due.target), cause=due.cause)
    probes.give_back_lost_probes(conn)
    host_breaker.give_back_lost_probes(conn)
    return count + _lift_orphans(runtime)


def _lift_orphans(runtime: Runtime) -> int:
    """Lift what waits for probes of a breaker that jobs.yaml no longer has."""
    orphans = [each for each in pauses.list_probing(runtime.tracker) if find_breaker(runtime, each) is None]
    for each in orphans:
        pauses.lift(runtime.tracker, each.target, pauses.SWEEP, "jobs.yaml has no breaker for it any more")
    return len(orphans)


def find_breaker(runtime: Runtime, pause: Pause) -> BreakerSpec | None:
    """Find what jobs.yaml says of the breaker of a paused job or host, or None."""
    if pause.scope == "host":
        return runtime.jobs.host_breakers.get(pause.host)
    job = runtime.jobs.jobs.get(pause.job_id)
    return job.breaker if job is not None else None
