"""A claimed attempt while its handler works: what it is handed, and how what came of it is judged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import StaleLeaseError, TrackerFullError
from pipeline.versions import hash_input
from runner.attempt import Work, make_context
from runner.attempt_log import Lines
from runner.big_results import read_needed
from runner.costs import Costs
from runner.desk import TrackerDesk
from runner.judge import describe_error, describe_timeout, judge_failure, judge_outcome
from runner.needed_results import NeededResults
from tracker import claims, moves
from tracker.artifacts import Holder
from tracker.attempt_logs import put_log
from tracker.clock import now_ms
from tracker.connection import write
from tracker.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from handlers.base import HandlerContext
    from pipeline.jobspec import StageSpec
    from pipeline.outcomes import Outcome
    from runner.prepared import Prepared
    from runner.runtime import Runtime
    from tracker.attempt_logs import AttemptLog
    from tracker.claims import Claim
    from tracker.connection import Connection


class Claimed:
    """
    One claim of this process, with its costs, its desk and what its handler logs.

    `far_log` is what was logged by an attempt far from the file, which has ended. `took_ms` is how long the work took,
    where that is not from its claim until it is settled.
    """

    def __init__(self, runtime: Runtime, claim: Claim, far_log: AttemptLog | None = None) -> None:
        self.claim, self._runtime, self._log = claim, runtime, far_log
        self.lines = Lines(job=claim.job_id, key=claim.key, stage=claim.stage, attempt=claim.attempt)
        self.costs = Costs(runtime, claim.job_id, claim.item_id, claim.stage, claim.attempt)
        self._desk = TrackerDesk(runtime, self.holder)
        self._needed = NeededResults(dict)
        self.took_ms: int | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or takes until now."""
        return (now_ms() - self.claim.started_at if self.took_ms is None else self.took_ms) / 1000

    @property
    def holder(self) -> Holder:
        """Who holds the artifacts that are kept meanwhile."""
        return Holder(self.claim.item_id, self.claim.stage, self.claim.attempt)

    def renew(self, conn: Connection) -> bool:
        """
        Renew the lease, and show what progress was not shown yet; False when nobody waits for the result any more.

        That is when the claim is lost, or when somebody cancelled the stage, which the lease outlasts.
        """
        self._desk.tell_untold(conn)
        place = self.claim.item_id, self.claim.stage, self.claim.attempt
        return claims.renew_lease(conn, *place) and not claims.is_cancelled(conn, *place)

    def make_context(self, prepared: Prepared, stop_asked: Callable[[], bool]) -> HandlerContext:
        """Make what the handler is handed; its deadline counts from now."""
        claim, spec = self.claim, prepared.spec
        self._needed = NeededResults(
            lambda: read_needed(self._runtime, self._runtime.tracker, claim.item_id, spec.needs)
        )
        work = Work(
            job=claim.job_id,
            key=claim.key,
            stage=claim.stage,
            attempt=claim.attempt,
            data=claim.data,
            results=self._needed,
            timeout_seconds=spec.timeout,
            item_files=prepared.item_files,
        )
        return make_context(work, self._runtime.http, self.costs.record, stop_asked, self._desk)

    def write_log(self) -> AttemptLog | None:
        """Write what the handler logged, once, when the attempt has ended; None when that is nothing."""
        if self._log is None:
            self._log = self.lines.write()
        return self._log

    def judge(self, outcome: Outcome, version: str) -> Ending:
        """Turn what the handler ended in into the ending that is recorded."""
        return judge_outcome(outcome, version, hash_input(self.claim.data_json, self._needed.read_hashes))

    def judge_error(self, spec: StageSpec, error: BaseException, version: str | None = None) -> Ending:
        """Turn what the handler of this version raised, or the end of its time, into the ending that is recorded."""
        failure = describe_error(error)
        if isinstance(error, self._runtime.timeout_error):
            failure = describe_timeout(spec.timeout, failure.traceback)
        return judge_failure(spec, self.claim.retries, replace(failure, handler_version=version))

    def give_back(self, reason: str = "the worker was stopped") -> None:
        """Let another worker have it. On a full disk its lease runs out, then."""
        claim, conn, log = self.claim, self._runtime.tracker, self.write_log()
        with suppress(TrackerFullError), write(conn):
            self.costs.write()
            with suppress(StaleLeaseError):
                ending = Ending.released(reason)
                moves.settle(conn, claim.item_id, claim.stage, claim.attempt, ending)
                if log is not None:
                    put_log(conn, claim.item_id, claim.stage, claim.attempt, claim.job_id, log)
