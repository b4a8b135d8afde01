"""
The statuses of a stage, and every legal move between them.

This table is the only place that says so. The SQL guards bind their statuses from it, and tests derive the
CHECK constraints, the trigger that refuses illegal moves, and the diagram in docs/lifecycle.md from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """What a stage, or an item as a whole, is at this moment."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED = frozenset({Status.DONE, Status.FAILED, Status.SKIPPED})
"""Nothing more happens to a stage in these, unless somebody asks for it."""

SATISFIED = frozenset({Status.DONE, Status.SKIPPED})
"""A stage is ready when everything it needs is in one of these."""


@dataclass(frozen=True, slots=True)
class Move:
    """One legal change of status; its name is also the kind of the event that records it."""

    name: str
    sources: frozenset[Status]
    target: Status
    when: str


def _move(name: str, sources: Iterable[Status], target: Status, when: str) -> Move:
    return Move(name, frozenset(sources), target, when)


_P, _I, _D, _F, _S = Status

CLAIM = _move("claim", [_P], _I, "a worker takes the stage under a lease")
FINISH = _move("finish", [_I], _D, "the handler returned a result")
FAIL = _move("fail", [_I], _F, "gave up, used up its retries, or killed its worker three times")
SKIP = _move(
    "skip", [_I, _P, _F], _S, "the handler left it out, its stage is switched off, or a person skipped it"
)
RETRY = _move("retry", [_I], _P, "an unexpected failure with retries left: again after its backoff")
RETRY_LATER = _move("retry_later", [_I], _P, "the handler asked for a later time; uses no retry")
EXPIRE = _move("expire", [_I], _P, "the lease ran out: the worker is dead or cut off")
RELEASE = _move("release", [_I], _P, "the worker was lost, or gave its claim back")
RESET = _move("reset", [_I, _D, _F, _S], _P, "a person or a new version asks for it again")
RETRY_FAILED = _move("retry_failed", [_F], _P, "a person asks for the failed ones again")
REOPEN = _move("reopen", [_S], _P, "its stage is switched on again in jobs.yaml")
MARK_DONE = _move(
    "mark_done", [_P], _D, "counted as done by hand, by an undo, or as the item was injected later on"
)
MARK_FAILED = _move("mark_failed", [_P], _F, "counted as failed by hand, or by an undo")

MOVES = (
    CLAIM,
    FINISH,
    FAIL,
    SKIP,
    RETRY,
    RETRY_LATER,
    EXPIRE,
    RELEASE,
    RESET,
    RETRY_FAILED,
    REOPEN,
    MARK_DONE,
    MARK_FAILED,
)

LEGAL = frozenset((source, move.target) for move in MOVES for source in move.sources)
"""Every (source, target) that some move makes."""


def derive_item_status(stages: Iterable[Status]) -> Status:
    """
    Derive an item's status from its stages'; the view `item_derived_status` says the same in SQL.

    >>> derive_item_status([]), derive_item_status([Status.DONE, Status.SKIPPED])
    (<Status.PENDING: 'pending'>, <Status.DONE: 'done'>)
    """
    found = set(stages)
    if Status.FAILED in found:
        return Status.FAILED
    if found and found <= SATISFIED:
        return Status.DONE
    return Status.IN_PROGRESS if Status.IN_PROGRESS in found else Status.PENDING


def draw_diagram() -> str:
    """Draw the moves as a Mermaid state diagram, for docs/lifecycle.md."""
    arrows = [
        f"    {source} --> {move.target}: {move.name}"
        for move in MOVES
        for source in Status
        if source in move.sources
    ]
    return "\n".join(["stateDiagram-v2", "    [*] --> pending: open", *arrows])


def draw_table() -> str:
    """Draw the moves as a Markdown table, for docs/lifecycle.md."""
    rows = [
        f"| `{move.name}` | {', '.join(s for s in Status if s in move.sources)} | {move.target} | {move.when} |"
        for move in MOVES
    ]
    return "\n".join(["| move | from | to | when |", "|---|---|---|---|", *rows])
