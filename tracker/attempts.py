"""What one attempt of one stage of one item came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class AttemptCost:
    """What an attempt spent at once; `usd` is None when nobody knows how much."""

    usd: float | None
    provider: str
    model: str | None
    units: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """
    Where a stage is after an attempt, and what that came to.

    `error`, `message` and `traceback` are those of its failure, if it failed unexpectedly, also when it is to be tried
    again. `retry_at` is in Unix ms.
    """

    status: Status
    reason: str | None
    retry_at: int | None
    error: str | None
    message: str | None
    traceback: str | None
    costs: Sequence[AttemptCost]


READ_STAGE = "SELECT status, reason, retry_at FROM item_stages WHERE item_id = :item_id AND stage = :stage"

READ_FAILURE = """
SELECT error_type, message, traceback
  FROM failures
 WHERE item_id = :item_id AND stage = :stage AND attempt = :attempt
"""

COSTS_OF_ATTEMPT = """
SELECT usd, provider, model, units
  FROM costs
 WHERE item_id = :item_id AND stage = :stage AND attempt = :attempt
 ORDER BY cost_id
"""


def read_attempt_report(conn: Connection, item_id: int, stage: str, attempt: int) -> AttemptReport:
    """Report on an attempt that was made."""
    asked = {"item_id": item_id, "stage": stage, "attempt": attempt}
    status, reason, retry_at = conn.execute(READ_STAGE, asked).fetchone()
    error, message, traceback = conn.execute(READ_FAILURE, asked).fetchone() or (None, None, None)
    costs = [
        AttemptCost(usd, provider, model, json.loads(units))
        for usd, provider, model, units in conn.execute(COSTS_OF_ATTEMPT, asked)
    ]
    return AttemptReport(Status(status), reason, retry_at, error, message, traceback, costs)


UNTRIED = """
SELECT stage
  FROM item_stages
 WHERE item_id = :item_id AND status = 'pending' AND needs_left = 0 AND attempt = 0
 ORDER BY position
"""


def list_untried(conn: Connection, item_id: int) -> list[str]:
    """List the stages of an item that could run and were never tried, in the job's order."""
    return [row[0] for row in conn.execute(UNTRIED, {"item_id": item_id})]


STAGES_OF_ITEM = "SELECT stage, status, reason FROM item_stages WHERE item_id = :item_id ORDER BY position"


def list_stages(conn: Connection, item_id: int) -> list[tuple[str, str, str | None]]:
    """List the stages of an item in the job's order, each with its status and why it has it."""
    return [(row[0], row[1], row[2]) for row in conn.execute(STAGES_OF_ITEM, {"item_id": item_id})]
