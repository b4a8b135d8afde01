"""Run one attempt of one stage for several items together: each is claimed, judged and settled by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from handlers.running import run_handler_together
from pipeline.errors import NotFoundError
from runner.advance import conclude_all
from runner.attempt_log import LinesOfBatch
from runner.claimed import Claimed
from runner.room import wait_for_room
from tracker import claims
from tracker.clock import OwnInstants
from tracker.connection import write
from tracker.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.prepared import Prepared
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.moves import Settled

log = structlog.get_logger(__name__)

INSTANTS = OwnInstants()
"""When the loads of this process begin: threads that begin one at once run two."""


def advance_together(runtime: Runtime, stage: str, attempts: Sequence[tuple[int, int]]) -> list[Settled]:
    """
    Run one attempt of a stage of several items of a job, given as (item, attempt); what became of each.

    Those whose claim fails are left out: a message may be a duplicate, late or overtaken. When the handler
    fails for all of them together, each is tried once more by itself, so that one bad item fails alone. Commits
    the claims, and the settlings. What the process is stopped by comes through as an exception, after the
    claims have been given back.
    """
    taken = wait_for_room(lambda: _claim(runtime, stage, attempts))
    if not taken:
        log.debug("nothing to claim", stage=stage, attempts=attempts)
        return []
    try:
        endings = _work(runtime, taken)
    except runtime.stop_errors:
        for one in taken:
            one.give_back()
        raise
    return conclude_all(runtime, list(zip(taken, endings, strict=True)))


def _claim(runtime: Runtime, stage: str, attempts: Sequence[tuple[int, int]]) -> list[Claimed]:
    asked = [(item_id, stage, attempt) for item_id, attempt in attempts]
    taken = claims.claim_together(runtime.tracker, asked, worker=runtime.worker, started_at=INSTANTS.next())
    return [Claimed(runtime, claim) for claim in taken]


def _work(runtime: Runtime, taken: list[Claimed]) -> list[Ending]:
    """Run the handler on all that was claimed, whatever it does, to an ending for each."""
    first = taken[0].claim
    try:
        job = runtime.jobs.get_job(first.job_id)
        spec = job.stage(first.stage)
    except NotFoundError as error:
        return [Ending.released(f"not in this worker's jobs.yaml: {error}") for _ in taken]
    with runtime.leases.hold(f"{first.job_id}.{first.stage}", _renewal(taken)) as held:
        try:
            prepared = runtime.prepare(job, spec.name)
        except Exception as error:  # noqa: BLE001 - a plugin that does not import fails its stage, not the worker
            return [one.judge_error(spec, error) for one in taken]
        return _run(runtime, prepared, taken, held.lost.is_set)


def _renewal(taken: list[Claimed]) -> Callable[[Connection], bool]:
    def renew(conn: Connection) -> bool:
        with write(conn):
            renewed = [one.renew(conn) for one in taken]
        return any(renewed)

    return renew


def _run(
    runtime: Runtime, prepared: Prepared, taken: list[Claimed], stop_asked: Callable[[], bool]
) -> list[Ending]:
    spec = prepared.spec
    contexts = [one.make_context(prepared, stop_asked) for one in taken]
    try:
        with LinesOfBatch([one.lines for one in taken]):
            outcomes = run_handler_together(prepared.handler, contexts)
    except runtime.stop_errors:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises, its stage fails, not the worker
        if len(taken) == 1 or isinstance(error, runtime.timeout_error | TimeoutError):
            return [one.judge_error(spec, error, prepared.version) for one in taken]
        log.warning(
            "failed together; each is tried alone", stage=spec.name, items=len(taken), error=str(error)
        )
        return [ending for one in taken for ending in _run(runtime, prepared, [one], stop_asked)]
    return [
        one.judge_error(spec, outcome, prepared.version)
        if isinstance(outcome, Exception)
        else one.judge(outcome, prepared.version)
        for one, outcome in zip(taken, outcomes, strict=True)
    ]
