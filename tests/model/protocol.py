"""
The protocol by which stages are sent, claimed, renewed, settled and swept, as a small machine.

One item of two stages in a row, two workers, and one process that sweeps. A state is immutable; `steps` gives all
that may happen in it, with what comes of each. Moves are taken from `pipeline.lifecycle`, so that the machine cannot
disagree with the code about what is legal. Each step is one transaction, one message, or one thing that befalls a
process; so a crash is possible between any two. How it stands for the code: docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pipeline.lifecycle import CLAIM, EXPIRE, FAIL, FINISH, RELEASE, RETRY, RETRY_LATER, SKIP, Move, Status
from tests.model.changes import (
    advance,
    end,
    give_up,
    is_ready,
    order,
    owns,
    set_row,
    skip_rest,
    unstamp,
    with_message,
    without_message,
)
from tests.model.states import Lease, Message, Mode, Process, Row, State, Step, Wait
from tracker.endings import CRASH_LIMIT

Put = Callable[[State, Process], State]
"""Puts what a process does now in its place."""


class Fault(StrEnum):
    """A mistake that the protocol could have; each must be found."""

    ATTEMPT_NOT_CHECKED = "the attempt is not checked at the settling"
    CLAIM_NOT_COMPARED = "a claim takes the stage whatever its status and attempt"
    PUBLISHED_BEFORE_COMMIT = "messages are published before the commit"
    LEASE_NOT_RENEWED = "a lease is not renewed"
    LEASE_NOT_LOOKED_AT = "the sweep does not look at the lease"


@dataclass(frozen=True)
class Protocol:
    """
    The machine, within bounds: attempts of a stage, messages on the broker at once, retries of a stage.

    A stage at its last attempt is not harmed any more, and a broker that is full loses one message for another.
    All else may happen again and again.
    """

    attempts: int = 3
    messages: int = 2
    retries: int = 1
    workers: int = 2
    fault: Fault | None = None

    def start(self) -> State:
        """Give the state of a new item: its rows are made, and nothing is sent."""
        rows = Row(Status.PENDING, needs_left=0), Row(Status.PENDING, needs_left=1)
        return State(rows, (Process(),) * self.workers)

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Give everything that may happen in a state, with the state after it."""
        yield from self._broker(state)
        yield from self._time(state)
        yield from self._sweep(state)
        yield from self._publishing(state, state.sweeper, lambda now, then: now._replace(sweeper=then))
        for place, worker in enumerate(state.workers):
            if place and worker == state.workers[place - 1]:
                continue  # its twin does the same
            yield from self._worker(state, place, worker)

    # -- the broker ---------------------------------------------------------------------------------------

    def _broker(self, state: State) -> Iterator[tuple[Step, State]]:
        for message in sorted(set(state.messages)):
            without = without_message(state, message)
            yield Step("lose", message), without
            yield Step("hand back", message), set_row(without, message.stage, unstamp(without, message))
            if len(state.messages) < self.messages:
                yield Step("duplicate", message), with_message(state, message)
        if state.messages:
            yield Step("flush"), state._replace(messages=())

    # -- time ---------------------------------------------------------------------------------------------

    def _time(self, state: State) -> Iterator[tuple[Step, State]]:
        for stage, row in enumerate(state.rows):
            about = Message(stage, row.attempt)
            if row.wait is Wait.AHEAD:
                yield Step("time comes", about), set_row(state, stage, row._replace(wait=Wait.DUE))
            if row.lease is Lease.HELD and self._may_die(row) and not self._is_renewed(state, about):
                yield Step("lease runs out", about), set_row(state, stage, row._replace(lease=Lease.RUN_OUT))

    def _is_renewed(self, state: State, about: Message) -> bool:
        renewing = Process(Mode.WORKING, about)
        return renewing in state.workers and self.fault is not Fault.LEASE_NOT_RENEWED

    # -- the sweep ----------------------------------------------------------------------------------------

    def _sweep(self, state: State) -> Iterator[tuple[Step, State]]:
        for stage, row in enumerate(state.rows):
            about = Message(stage, row.attempt)
            if self._is_expired(row):
                yield Step("expire", about), self._after_death(state, about, EXPIRE)
            if row.status is not Status.PENDING:
                continue
            sent = Message(stage, row.attempt + 1)
            if row.wait is Wait.DUE and not row.stamped:
                yield Step("wake", sent), set_row(state, stage, row._replace(wait=Wait.NONE))
            if row.stamped and row.wait is not Wait.AHEAD:
                taken_back = row._replace(stamped=False, wait=Wait.NONE)
                yield Step("take back", sent), set_row(state, stage, taken_back)
            if row.stamped and row.wait is Wait.NONE and not state.messages:
                yield Step("take back vanished", sent), set_row(state, stage, row._replace(stamped=False))
            if is_ready(row) and state.sweeper.mode is Mode.IDLE:
                after = set_row(state, stage, row._replace(stamped=True))
                yield (
                    Step("dispatch", sent, stamps=True),
                    after._replace(sweeper=Process(Mode.PUBLISHING, sent)),
                )

    def _is_expired(self, row: Row) -> bool:
        if self.fault is Fault.LEASE_NOT_LOOKED_AT:
            return row.status is Status.IN_PROGRESS and self._may_die(row)
        return row.lease is Lease.RUN_OUT

    # -- who publishes ------------------------------------------------------------------------------------

    def _publishing(self, state: State, process: Process, put: Put) -> Iterator[tuple[Step, State]]:
        if process.mode is not Mode.PUBLISHING:
            return
        message, freed = process.about, put(state, Process())
        yield Step("die before publishing", message), freed
        yield Step("find the broker away", message), set_row(freed, message.stage, unstamp(freed, message))
        is_full = len(state.messages) >= self.messages
        sent = with_message(without_message(freed, state.messages[0]) if is_full else freed, message)
        yield Step("publish", message), sent
        yield Step("publish, and hear nothing", message), set_row(sent, message.stage, unstamp(sent, message))

    # -- a worker -----------------------------------------------------------------------------------------

    def _worker(self, state: State, place: int, worker: Process) -> Iterator[tuple[Step, State]]:
        def put(now: State, then: Process) -> State:
            others = [one for at, one in enumerate(now.workers) if at != place]
            return now._replace(workers=tuple(sorted([*others, then], key=order)))

        if worker.mode is Mode.IDLE:
            for message in sorted(set(state.messages)):
                yield from self._receive(state, message, put)
        elif worker.mode is Mode.PUBLISHING:
            yield from self._publishing(state, worker, put)
        elif worker.mode is Mode.DEAD:
            released = self._after_death(state, worker.about, RELEASE)
            yield Step("hear of the death", worker.about), put(released, Process())
            yield Step("hear of the death twice", worker.about), released
            yield Step("lose the parent too", worker.about), put(state, Process())
        else:
            yield from self._at_work(state, worker, put)

    def _receive(self, state: State, message: Message, put: Put) -> Iterator[tuple[Step, State]]:
        without, row = without_message(state, message), state.rows[message.stage]
        refused = set_row(without, message.stage, give_up(row, message))
        yield Step("claim while paused", message), refused
        if not self._may_claim(row, message):
            yield Step("claim", message), refused
            return
        claimed = row._replace(
            status=CLAIM.target,
            attempt=message.attempt,
            stamped=False,
            wait=Wait.NONE,
            lease=Lease.HELD,
        )
        yield (
            Step("claim", message),
            put(set_row(without, message.stage, claimed), Process(Mode.WORKING, message)),
        )

    def _may_claim(self, row: Row, message: Message) -> bool:
        if self.fault is Fault.CLAIM_NOT_COMPARED:
            return row.needs_left == 0
        return (
            row.status in CLAIM.sources
            and row.attempt == message.attempt - 1
            and row.needs_left == 0
            and row.wait is not Wait.AHEAD
        )

    def _at_work(self, state: State, worker: Process, put: Put) -> Iterator[tuple[Step, State]]:
        about = worker.about
        row = state.rows[about.stage]
        is_owner = owns(row, about)
        if worker.mode is Mode.WORKING:
            yield Step("stop", about), put(state, Process(Mode.STOPPED, about))
        if worker.mode is Mode.STOPPED and is_owner:
            renewed = set_row(state, about.stage, row._replace(lease=Lease.HELD))
            yield Step("renew", about), put(renewed, Process(Mode.WORKING, about))
        if not is_owner or self._may_die(row):
            yield Step("die", about), put(state, Process(Mode.DEAD, about))
        yield from self._settle(state, about, put)

    # -- how an attempt ends ------------------------------------------------------------------------------

    def _settle(self, state: State, about: Message, put: Put) -> Iterator[tuple[Step, State]]:
        row = state.rows[about.stage]
        settles = owns(row, about)
        if self.fault is Fault.ATTEMPT_NOT_CHECKED:
            settles = row.status is Status.IN_PROGRESS
        if not settles:  # a `StaleLeaseError`: nothing is changed, and nothing sent
            yield Step("settle", about, "finish"), put(state, Process())
            return
        for ending, after in self._endings(state, about.stage, row):
            yield Step("settle", about, ending), put(after, Process())
            yield from self._and_stamp(state, about, ending, after, put)

    def _endings(self, state: State, stage: int, row: Row) -> Iterator[tuple[str, State]]:
        done = end(row, FINISH)._replace(results=row.results + 1)
        yield "finish", advance(set_row(state, stage, done))
        yield "skip", advance(set_row(state, stage, end(row, SKIP)))
        yield "skip with the rest", skip_rest(set_row(state, stage, end(row, SKIP)), stage)
        yield "give up", set_row(state, stage, end(row, FAIL))
        if row.retries >= self.retries:
            yield "error", set_row(state, stage, end(row, FAIL))
        elif row.attempt < self.attempts:
            retried = end(row, RETRY)._replace(retries=row.retries + 1, wait=Wait.AHEAD)
            yield "error", set_row(state, stage, retried)
        if row.attempt < self.attempts:
            yield "later", set_row(state, stage, end(row, RETRY_LATER)._replace(wait=Wait.AHEAD))
            yield "stopped", set_row(state, stage, end(row, RELEASE))

    def _and_stamp(
        self, before: State, about: Message, ending: str, after: State, put: Put
    ) -> Iterator[tuple[Step, State]]:
        """Stamp what may be sent now, in the same transaction: the stage's own countdown, or what is ready."""
        for stage, row in enumerate(after.rows):
            is_countdown = stage == about.stage and row.wait is Wait.AHEAD
            if not is_countdown and not is_ready(row):
                continue
            message = Message(stage, row.attempt + 1)
            stamped = set_row(after, stage, row._replace(stamped=True))
            step = Step("settle", about, ending, stamps=True)
            if self.fault is not Fault.PUBLISHED_BEFORE_COMMIT:
                yield step, put(stamped, Process(Mode.PUBLISHING, message))
            elif len(before.messages) < self.messages:
                yield Step("publish too early", message), with_message(before, message)

    def _after_death(self, state: State, about: Message, move: Move) -> State:
        row = state.rows[about.stage]
        if not owns(row, about):
            return state
        if row.crashes + 1 >= CRASH_LIMIT:
            return set_row(state, about.stage, end(row, FAIL))  # poison
        return set_row(state, about.stage, end(row, move)._replace(crashes=row.crashes + 1))

    def _may_die(self, row: Row) -> bool:
        """Tell whether a worker may be lost under a stage: whether there is an attempt left after it, if needed."""
        return row.attempt < self.attempts or row.crashes + 1 >= CRASH_LIMIT
