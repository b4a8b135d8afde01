"""The attempts that were made at one item, each with how it ended, how it failed, and what it logged."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import CLAIM, MOVES, Status
from tracker.attempt_logs import AttemptLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

MOST_ATTEMPTS = 20
LOOK_AT_EVENTS = 300

ENDINGS = frozenset(move.name for move in MOVES if Status.IN_PROGRESS in move.sources)


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """How an attempt failed."""

    error_type: str
    message: str
    traceback: str | None


@dataclass(frozen=True, slots=True)
class AttemptOfItem:
    """
    One attempt. `ended` is the move that ended it, None while it runs, or when nobody knows any more; times in Unix ms.

    `log` is None when it logged nothing that is kept; `log_is_lost` says that its process died, and its log with it.
    """

    stage: str
    attempt: int
    by: str | None
    began_at: int | None
    ended_at: int | None
    ended: str | None
    reason: str | None
    failure: AttemptFailure | None
    log: AttemptLog | None
    log_is_lost: bool


@dataclass(slots=True)
class _Found:
    """What is known of an attempt so far."""

    newest_at: int = 0
    by: str | None = None
    began_at: int | None = None
    ended_at: int | None = None
    ended: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    failure: AttemptFailure | None = None
    log: AttemptLog | None = None


MOVES_OF_ITEM = """
SELECT stage, attempt, kind, at, by, detail
  FROM events
 WHERE item_id = :item_id
 ORDER BY event_id DESC
 LIMIT :limit
"""

LAST_FAILURES_OF_ITEM = """
SELECT stage, attempt, failed_at, error_type, message, traceback
  FROM failures
 WHERE item_id = :item_id
 ORDER BY failed_at DESC
 LIMIT :limit
"""

LAST_LOGS_OF_ITEM = """
SELECT stage, attempt, ended_at, lines, left_out, text
  FROM attempt_logs
 WHERE item_id = :item_id
 ORDER BY log_id DESC
 LIMIT :limit
"""


def list_attempts(conn: Connection, item_id: int) -> list[AttemptOfItem]:
    """List the last attempts at an item, the newest first; at most 20. Older ones than its events are without these."""
    found: dict[tuple[str, int], _Found] = {}
    asked = {"item_id": item_id, "limit": LOOK_AT_EVENTS}
    _note_moves(found, conn.execute(MOVES_OF_ITEM, asked).fetchall()[::-1])
    asked["limit"] = MOST_ATTEMPTS
    for stage, attempt, at, *failure in conn.execute(LAST_FAILURES_OF_ITEM, asked):
        _note(found, stage, attempt, at).failure = AttemptFailure(*failure)
    for stage, attempt, at, *log in conn.execute(LAST_LOGS_OF_ITEM, asked):
        _note(found, stage, attempt, at).log = AttemptLog(*log)
    newest = sorted(found.items(), key=lambda one: (one[1].newest_at, one[0][1]), reverse=True)
    return [_make(stage, attempt, one) for (stage, attempt), one in newest[:MOST_ATTEMPTS]]


def _note(found: dict[tuple[str, int], _Found], stage: str, attempt: int, at: int) -> _Found:
    one = found.setdefault((stage, attempt), _Found())
    one.newest_at = max(one.newest_at, at)
    return one


def _note_moves(found: dict[tuple[str, int], _Found], moves: Iterable[Any]) -> None:
    for stage, attempt, kind, at, by, detail in moves:
        if kind == CLAIM.name:
            one = _note(found, stage, attempt, at)
            one.began_at, one.by = at, by
        elif kind in ENDINGS and (stage, attempt) in found and found[stage, attempt].ended is None:
            one = _note(found, stage, attempt, at)
            one.ended_at, one.ended, one.detail = at, kind, json.loads(detail or "{}")


def _make(stage: str, attempt: int, one: _Found) -> AttemptOfItem:
    killed = (
        one.failure is not None and one.failure.error_type == "StageTimeout" and not one.failure.traceback
    )
    return AttemptOfItem(
        stage=stage,
        attempt=attempt,
        by=one.by,
        began_at=one.began_at,
        ended_at=one.ended_at,
        ended=one.ended,
        reason=one.detail.get("reason"),
        failure=one.failure,
        log=one.log,
        log_is_lost=one.log is None and (killed or bool(one.detail.get("crash"))),
    )
