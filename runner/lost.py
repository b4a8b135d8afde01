"""Take back what a process was doing when it died or was stopped by force."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import NotFoundError, StaleLeaseError
from pipeline.lifecycle import Status
from runner.alive import is_alive
from runner.breaker import note_ending
from runner.judge import describe_timeout, judge_failure
from runner.runtime import HOST, name_process
from tracker import dispatch, moves, recovery
from tracker.connection import open_db, write
from tracker.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.runtime import Runtime
    from tracker.claims import Attempt
    from tracker.connection import Connection
    from tracker.moves import Settled

log = structlog.get_logger(__name__)

# These run in a worker's parent process, which forks: each opens a connection and closes it again, so that
# no child inherits one.


def give_back_crashed(runtime: Runtime, item_id: int, stage: str, attempt: int, reason: str) -> None:
    """Give back the claim of a worker process that died under its stage. Safe to call twice."""
    try:
        with open_db(runtime.settings.db_path) as conn, write(conn):
            holder = recovery.find_holder(conn, item_id, stage, attempt)
            if holder is not None and _lives(holder):
                return  # what died had a duplicate of the message, and no claim
            settled = release_crashed(runtime, conn, item_id, stage, attempt, reason)
    except StaleLeaseError as error:
        log.debug("nothing to give back", reason=str(error))
        return
    failed = settled.status == Status.FAILED
    log.error(
        "worker process lost; its stage failed"
        if failed
        else "worker process lost; its stage was given back",
        job=settled.job_id,
        item_id=item_id,
        stage=stage,
        attempt=attempt,
        reason=reason,
    )


def give_back_waiting(runtime: Runtime, pid: int) -> None:
    """
    Give back what a process of this host that has ended held besides the stage that it ran; none of that is a crash.

    Call it after `give_back_crashed`.
    """
    worker = name_process(pid)
    with open_db(runtime.settings.db_path) as conn:
        held = recovery.list_held(conn, worker)
        if not held:
            return
        with write(conn):
            for attempt in held:
                with suppress(StaleLeaseError):
                    moves.settle(
                        conn, *attempt, Ending.released("its process ended before its turn"), by=worker
                    )
    log.warning("worker process ended; what it held was given back", worker=worker, stages=len(held))


def _lives(worker: str) -> bool:
    """Tell whether a process, as the tracker names it, lives; one of another host is no child of this one's."""
    host, _, pid = worker.rpartition(":")
    if not pid.isdigit() or worker == name_process():
        return False
    return host != HOST or is_alive(int(pid))


def release_crashed(
    runtime: Runtime, conn: Connection, item_id: int, stage: str, attempt: int, reason: str
) -> Settled:
    """Give back the claim of a process that died, in the caller's transaction. Raises `StaleLeaseError`."""
    settled, ending = recovery.release_lost_worker(conn, item_id, stage, attempt, reason)
    if (job := runtime.jobs.jobs.get(settled.job_id)) is not None:
        note_ending(conn, job, settled, ending)
    return settled


def end_overdue(runtime: Runtime, item_id: int, stage: str, attempt: int) -> None:
    """End an attempt that was killed because it would not stop when its time was up. Safe to call twice."""
    try:
        with open_db(runtime.settings.db_path) as conn, write(conn):
            job_id, retries = recovery.read_attempt(conn, item_id, stage)
            spec = runtime.jobs.get_job(job_id).stage(stage)
            ending = judge_failure(spec, retries, describe_timeout(spec.timeout))
            settled = moves.settle(conn, item_id, stage, attempt, ending, by=runtime.worker, hand_over=False)
            note_ending(conn, runtime.jobs.get_job(job_id), settled, ending)
    except (StaleLeaseError, NotFoundError) as error:
        log.debug("nothing to end", reason=str(error))
        return
    log.warning("stage killed: it did not stop when its time was up", item_id=item_id, stage=stage)


def hand_back_unbegun(runtime: Runtime, fetched: Sequence[Attempt]) -> None:
    """Let other workers have what this one fetched and has not begun."""
    if not fetched:
        return
    with open_db(runtime.settings.db_path) as conn, write(conn):
        dispatch.take_back_stamps(conn, fetched)
    log.info("handed back what was not begun", stages=len(fetched))
