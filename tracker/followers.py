"""What an ended attempt means for the stages that follow, and for its own if it waits again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lifecycle import SKIP, Status
from tracker.events import append_event
from tracker.places import AtPlaces
from tracker.plan import SWITCHED_OFF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is being settled at `now`."""

    item_id: int
    job_id: str
    stage: str
    number: int
    started_at: int | None
    now: int

    @property
    def place(self) -> tuple[int, str, str]:
        """Give its item, stage and job."""
        return self.item_id, self.stage, self.job_id


LIST_FOLLOWERS = "SELECT stage FROM stage_needs WHERE job_id = :job_id AND need = :stage"

RECOUNT_STAGES = AtPlaces(
    """
UPDATE item_stages
   SET needs_left = (SELECT count(*)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                      WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                        AND needed.status NOT IN ('done', 'skipped'))
""",
    only=" AND status = 'pending'",
)


def advance_needs(conn: Connection, places: Sequence[tuple[int, str, str]]) -> None:
    """Recount what the stages that need these, (item, stage, job), still wait for, in the caller's transaction."""
    followers = {
        (stage, job_id): [row[0] for row in conn.execute(LIST_FOLLOWERS, {"job_id": job_id, "stage": stage})]
        for stage, job_id in {(stage, job_id) for _, stage, job_id in places}
    }
    needing = [
        (item_id, follower) for item_id, stage, job_id in places for follower in followers[stage, job_id]
    ]
    RECOUNT_STAGES.run(conn, needing)


RECOUNT_NEEDS = """
UPDATE item_stages
   SET needs_left = (SELECT count(*)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                      WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                        AND needed.status NOT IN ('done', 'skipped')),
       queued_at = NULL, resend_at = NULL
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND status = 'pending'
   AND needs_left <> (SELECT count(*)
                        FROM stage_needs n
                        JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                       WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                         AND needed.status NOT IN ('done', 'skipped'))
"""


def recount_needs(conn: Connection, item_ids: Iterable[int]) -> None:
    """Recount what pending stages of these items wait for, where it has changed, in the caller's transaction."""
    conn.execute(RECOUNT_NEEDS, {"item_ids": json.dumps(sorted(set(item_ids)))})


SKIP_SWITCHED_OFF = """
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :switched_off, retry_at = NULL
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM job_stages p
                    WHERE p.job_id = :job_id AND p.stage = item_stages.stage AND p.switched_on)
"""


def rejoin_plan(conn: Connection, attempt: Attempt, by: str | None) -> Status:
    """Bring a stage that waits again to the plan of now: it may have changed under the attempt."""
    asked = {
        "item_id": attempt.item_id,
        "job_id": attempt.job_id,
        "stage": attempt.stage,
        "now": attempt.now,
        "switched_off": SWITCHED_OFF,
    }
    conn.execute(SKIP_SWITCHED_OFF, asked)
    if conn.changes() == 0:
        RECOUNT_STAGES.run(conn, [(attempt.item_id, attempt.stage)])
        return Status.PENDING
    detail = {"reason": SWITCHED_OFF}
    append_event(conn, attempt.job_id, SKIP.name, attempt.item_id, attempt.stage, attempt.number, by, detail)
    return SKIP.target


SKIP_REST = """
WITH RECURSIVE rest (stage) AS (
    SELECT stage FROM stage_needs WHERE job_id = :job_id AND need = :stage
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :reason,
       queued_at = NULL, resend_at = NULL, retry_at = NULL, needs_left = 0, over_budget = 0
 WHERE item_id = :item_id AND status = 'pending' AND stage IN (SELECT stage FROM rest)
RETURNING stage, attempt
"""


def skip_rest(conn: Connection, attempt: Attempt, reason: str | None, by: str | None) -> None:
    """Skip what needs a stage, at any distance, because that stage was left out with the rest."""
    asked = {
        "job_id": attempt.job_id,
        "item_id": attempt.item_id,
        "stage": attempt.stage,
        "now": attempt.now,
        "reason": reason,
    }
    for stage, number in conn.execute(SKIP_REST, asked).fetchall():
        detail = {"because_of": attempt.stage}
        append_event(conn, attempt.job_id, SKIP.name, attempt.item_id, stage, number, by, detail)
