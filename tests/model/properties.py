"""What must hold in every state of the protocol, and of every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lifecycle import ENDED, LEGAL, SATISFIED, Status, derive_item_status
from tests.model.explorer import Explored, explore
from tests.model.states import Lease, Message, Mode, Process, State, Step, Wait, is_fair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def one_result_counts(state: State) -> bool:
    """Of each stage at most one result is recorded, and exactly one if it is done."""
    return all(row.results == (row.status is Status.DONE) for row in state.rows)


def a_lease_belongs_to_a_claim(state: State) -> bool:
    """A stage has a lease exactly while it is claimed; only one that waits is stamped, or waits for a time."""
    return all(
        (row.lease is not Lease.NONE) == (row.status is Status.IN_PROGRESS)
        and (row.status is Status.PENDING or (not row.stamped and row.wait is Wait.NONE))
        for row in state.rows
    )


def nothing_runs_before_what_it_needs(state: State) -> bool:
    """The second stage is claimed or ended only when the first is done or skipped."""
    first, second = state.rows
    return first.status in SATISFIED or second.attempt == 0


def an_attempt_has_one_worker(state: State) -> bool:
    """No attempt is in the hands of two processes."""
    held = [one.about for one in state.workers if one.mode not in (Mode.IDLE, Mode.PUBLISHING)]
    return len(held) == len(set(held))


def who_lives_keeps_its_claim(state: State) -> bool:
    """A worker that lives and renews its lease is the one that owns its stage."""
    for worker in state.workers:
        if worker.mode is Mode.WORKING:
            row = state.rows[worker.about.stage]
            if row.status is not Status.IN_PROGRESS or row.attempt != worker.about.attempt:
                return False
    return True


def no_message_runs_ahead(state: State) -> bool:
    """What a message announces is on record: the stage before is over, and so is the attempt before."""
    first, _ = state.rows
    return all(
        state.rows[message.stage].attempt >= message.attempt - 1
        and (message.stage == 0 or first.status in SATISFIED)
        and not _is_claimed(state, Message(message.stage, message.attempt - 1))
        for message in state.messages
    )


def _is_claimed(state: State, attempt: Message) -> bool:
    row = state.rows[attempt.stage]
    return row.status is Status.IN_PROGRESS and row.attempt == attempt.attempt


OF_STATES = (
    one_result_counts,
    a_lease_belongs_to_a_claim,
    nothing_runs_before_what_it_needs,
    an_attempt_has_one_worker,
    who_lives_keeps_its_claim,
    no_message_runs_ahead,
)


def every_move_is_legal(before: State, step: Step, after: State) -> bool:
    """A status changes only as the table in `pipeline.lifecycle` says."""
    return all(
        old.status == new.status or (old.status, new.status) in LEGAL
        for old, new in zip(before.rows, after.rows, strict=True)
    )


def attempts_only_grow(before: State, step: Step, after: State) -> bool:
    """An attempt's number never falls, and a claim alone raises it, by one."""
    grown = [new.attempt - old.attempt for old, new in zip(before.rows, after.rows, strict=True)]
    if step.name != "claim":
        return grown == [0, 0]
    return sorted(grown) in ([0, 0], [0, 1])


def a_late_word_changes_nothing(before: State, step: Step, after: State) -> bool:
    """Whoever does not own the stage any more changes no row by settling, renewing or dying."""
    if step.name not in ("settle", "renew", "hear of the death", "hear of the death twice"):
        return True
    return _is_claimed(before, step.about) or before.rows == after.rows


def a_refused_message_moves_nothing(before: State, step: Step, after: State) -> bool:
    """A message whose claim is refused changes no status, no attempt and no lease."""
    if not step.name.startswith("claim") or after.workers != before.workers:
        return True
    return all(
        (old.status, old.attempt, old.lease) == (new.status, new.attempt, new.lease)
        for old, new in zip(before.rows, after.rows, strict=True)
    )


OF_STEPS = (
    every_move_is_legal,
    attempts_only_grow,
    a_late_word_changes_nothing,
    a_refused_message_moves_nothing,
)


def find_wrong(state: State) -> str | None:
    """Name what does not hold in a state, if anything."""
    return next((_name(holds) for holds in OF_STATES if not holds(state)), None)


def find_wrong_step(before: State, step: Step, after: State) -> str | None:
    """Name what does not hold of a step, if anything. Of one that leaves all rows alone, everything holds."""
    if before.rows is after.rows:
        return None
    return next((_name(holds) for holds in OF_STEPS if not holds(before, step, after)), None)


def _name(holds: object) -> str:
    return f"broken: {holds.__name__.replace('_', ' ')}"


def is_end(state: State) -> bool:
    """Tell whether all is over: the item done or failed, nobody at work, no message and no stamp left."""
    return (
        derive_item_status(row.status for row in state.rows) in (Status.DONE, Status.FAILED)
        and all(row.status in ENDED or (row.needs_left and not row.stamped) for row in state.rows)
        and all(process == Process() for process in (*state.workers, state.sweeper))
        and not state.messages
    )


def explore_protocol(start: State, steps: Callable[[State], Iterable[tuple[Step, State]]]) -> Explored:
    """Go through every state that the steps lead to, and stop where one of these properties does not hold."""
    return explore(
        start,
        steps,
        find_wrong=find_wrong,
        find_wrong_step=find_wrong_step,
        is_fair=is_fair,
        is_end=is_end,
    )
