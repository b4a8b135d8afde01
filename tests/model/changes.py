"""What the tracker's statements do to a row, and what befalls the bag of messages; each gives a new state or row."""

from __future__ import annotations

from pipeline.lifecycle import ENDED, SATISFIED, SKIP, Move, Status
from tests.model.states import Lease, Message, Process, Row, State, Wait


class IllegalMoveError(Exception):
    """The machine was asked for a move that the table does not have."""


def order(process: Process) -> tuple[int, Message]:
    return process.mode, process.about or Message(-1, 0)


def set_row(state: State, stage: int, row: Row) -> State:
    if state.rows[stage] is row:
        return state
    return state._replace(rows=(row, state.rows[1]) if stage == 0 else (state.rows[0], row))


def with_message(state: State, message: Message) -> State:
    return state._replace(messages=tuple(sorted((*state.messages, message))))


def without_message(state: State, message: Message) -> State:
    left = list(state.messages)
    left.remove(message)
    return state._replace(messages=tuple(left))


def owns(row: Row, about: Message) -> bool:
    return row.status is Status.IN_PROGRESS and row.attempt == about.attempt


def is_ready(row: Row) -> bool:
    return row.status is Status.PENDING and not (row.needs_left or row.stamped or row.wait)


def unstamp(state: State, message: Message) -> Row:
    """Take a stamp back, if it is still this message's: `tracker.dispatch.take_back_stamps`."""
    row = state.rows[message.stage]
    is_its = row.status is Status.PENDING and row.attempt == message.attempt - 1
    return row._replace(stamped=False) if is_its and row.stamped else row


def give_up(row: Row, message: Message) -> Row:
    """Spend a message that could not be claimed: what `tracker.claims.claim` does then."""
    is_its = row.status is Status.PENDING and row.attempt == message.attempt - 1
    if is_its and row.stamped and row.wait is not Wait.AHEAD:
        return row._replace(stamped=False, wait=Wait.NONE)
    return row


def end(row: Row, move: Move) -> Row:
    """Make a move that ends an attempt, as the table has it. What an ended stage has been through no longer matters."""
    if row.status not in move.sources:
        raise IllegalMoveError(f"{move.name} from {row.status}")
    ended = row._replace(status=move.target, stamped=False, wait=Wait.NONE, lease=Lease.NONE)
    return ended._replace(retries=0, crashes=0) if move.target in ENDED else ended


def advance(state: State) -> State:
    """Recount what the second stage waits for."""
    first, second = state.rows
    left = 0 if first.status in SATISFIED else 1
    return set_row(state, 1, second._replace(needs_left=left)) if second.status is Status.PENDING else state


def skip_rest(state: State, stage: int) -> State:
    """Skip what needs a stage that was left out with the rest."""
    second = state.rows[1]
    if stage == 0 and second.status in SKIP.sources and second.status is Status.PENDING:
        return set_row(state, 1, end(second, SKIP)._replace(needs_left=0))
    return state
