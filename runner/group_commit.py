"""
Group commit: one transaction for what a process has ended and what it claims next, when its stages are short.

A transaction of its own for each claim and each settling costs more than a short stage does. So when more messages wait
for this process already, it claims several of them at once, and what ended is settled together with the next claims.
It never waits for that: when nothing more waits, all is settled at once.

Nothing of it is new to the tracker: a stage is claimed before its handler runs, and its followers are sent after it is
settled. What was claimed ahead is given back when the stage before it takes long after all, and by the parent when the
process dies.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from runner.advance import conclude, conclude_all, conclude_together, follow_up, run_claimed
from runner.big_results import is_big
from runner.claimed import Claimed
from runner.dispatch import dispatch_job
from runner.room import wait_for_room
from tracker import claims
from tracker.connection import write
from tracker.dispatch import take_back_stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.advance import Concluded
    from runner.runtime import Runtime
    from tracker.claims import Attempt
    from tracker.endings import Ending

log = structlog.get_logger(__name__)

MANY = 1000
"""More messages than wait in a process."""

AGE_SECONDS = 0.02
"""When what has ended first is so old, all that has ended is settled."""

LATE_SECONDS = 0.05
"""When a stage takes so long after all, what waits because of it is settled or given back by a thread."""


class GroupCommit:
    """
    Runs the attempts whose messages come to one process.

    `look_ahead(n)` lists at most `n` of the attempts whose messages wait in the process, the next one first. It may be
    called from two threads. At most `together` stages are claimed in one transaction.
    """

    def __init__(
        self, runtime: Runtime, look_ahead: Callable[[int], Sequence[Attempt]], together: int
    ) -> None:
        self._runtime, self._look_ahead, self._together = runtime, look_ahead, together
        self._lock = threading.RLock()
        self._ahead: dict[Attempt, Claimed] = {}
        self._ended: list[tuple[Claimed, Ending]] = []
        self._first_ended = self._begun = 0.0
        self._holds = threading.Event()
        self._keeper: threading.Thread | None = None

    def advance(self, item_id: int, stage: str, attempt: int) -> None:
        """
        Run one attempt, as `runner.advance.advance` does; its settling may follow with the next claims.

        What the process is stopped by comes through as an exception, after the claim has been given back.
        """
        claimed = self._take((item_id, stage, attempt))
        if claimed is None:
            log.debug("nothing to claim", item_id=item_id, stage=stage, attempt=attempt)
            return
        begun = time.monotonic()  # of this one: other threads begin others meanwhile
        ending = run_claimed(self._runtime, claimed)
        claimed.took_ms = int((time.monotonic() - begun) * 1000)
        wait_for_room(claimed.costs.write)
        claimed.write_log()  # while nobody waits for it
        if is_big(ending):
            conclude(self._runtime, claimed, ending)
            return
        with self._lock:
            if not self._ended:
                self._first_ended = time.monotonic()
            self._ended.append((claimed, ending))
            if self._may_wait(ending):
                self._watch()
            else:
                self._settle()

    def close(self) -> None:
        """Settle what has ended, and give back what was claimed ahead: the process stops."""
        with self._lock:
            self._settle()
            self._give_back()

    # -- what is done together --------------------------------------------------------------------------------

    def _may_wait(self, ending: Ending) -> bool:
        """Tell whether the settling of a stage that has just ended may follow with the next claims."""
        return (
            ending.failure is None
            and ending.retry_at is None
            and time.monotonic() - self._first_ended < AGE_SECONDS
            and bool(self._ahead or self._look_ahead(1))
        )

    def _take(self, attempt: Attempt) -> Claimed | None:
        """Give the claim of an attempt, made before or now; None when there is nothing to claim."""
        with self._lock:
            self._begun = time.monotonic()
            claimed = self._ahead.pop(attempt, None)
            if claimed is not None:
                return claimed
            done, taken = self._settle_and_claim(attempt)
            for one in taken:
                self._ahead[one.claim.item_id, one.claim.stage, one.claim.attempt] = one
            claimed = self._ahead.pop(attempt, None)
            if self._ahead:
                self._watch()
        follow_up(self._runtime, done)
        self._begun = time.monotonic()
        return claimed

    def _settle_and_claim(self, attempt: Attempt) -> tuple[Concluded, list[Claimed]]:
        try:
            done, taken = wait_for_room(partial(self._commit, attempt))
        except self._runtime.stop_errors:
            raise
        except Exception:
            if not self._ended:
                raise
            self._settle()  # alone, if need be: one that cannot be settled keeps no other from being claimed
            done, taken = wait_for_room(partial(self._commit, attempt))
        self._ended.clear()
        return done, taken

    def _commit(self, attempt: Attempt) -> tuple[Concluded, list[Claimed]]:
        runtime, conn = self._runtime, self._runtime.tracker
        with write(conn):
            done = conclude_together(runtime, self._ended)
            taken = claims.claim_together(conn, [attempt], worker=runtime.worker)
            if taken and not taken[0].crashes:  # what may kill its worker takes no others with it
                others = [one for one in self._look_ahead(self._together - 1) if one not in self._ahead]
                taken += claims.claim_together(conn, others, worker=runtime.worker, ahead=True)
        return done, [Claimed(runtime, claim) for claim in taken]

    def _settle(self) -> None:
        ended, self._ended = self._ended, []
        try:
            conclude_all(self._runtime, ended)
        except self._runtime.stop_errors:
            self._ended = ended + self._ended  # `close` settles them; those that were are left alone
            raise

    def _give_back(self) -> None:
        while self._ahead:
            _, claimed = self._ahead.popitem()
            claimed.give_back("it waited behind another stage of its process")

    def _hand_back(self) -> None:
        """Let others have what waits here and is not claimed; its messages find nothing to claim then."""
        conn = self._runtime.tracker
        waiting = self._look_ahead(MANY)
        with write(conn):
            take_back_stamps(conn, waiting)

    # -- what waits for too long ------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._holds.set()
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="group-commit", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while self._holds.wait():
            time.sleep(LATE_SECONDS)
            try:
                with self._lock:
                    self._let_go_if_late()
            except Exception as error:  # noqa: BLE001 - leases run out; the thread must live for what comes later
                log.error("what waits in a process was not let go", error=repr(error))

    def _let_go_if_late(self) -> None:
        """Settle what has ended, and let others have what waits, if the present stage takes its time."""
        if not self._ahead and not self._ended:
            self._holds.clear()
            return
        if time.monotonic() - self._begun < LATE_SECONDS:
            return
        self._settle()
        self._hand_back()
        jobs = {one.claim.job_id for one in self._ahead.values()}
        self._give_back()
        for job in (self._runtime.jobs.jobs.get(name) for name in sorted(jobs)):
            if job is not None:
                dispatch_job(self._runtime, job)
