"""
Bring a job's items to a changed list of stages: at once, or batch by batch.

The tracker knows the new list from the beginning: whoever opens an item or settles a stage goes by it. The items
that were open already are brought to it in the order of their ids, and a row of `plan_changes` says how far that is.
So it may be killed at any moment, any number of processes may take part, and any of them may end it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lifecycle import REOPEN, SKIP, Move
from tracker.carrying import Moved, bring_items
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.plan import StagePlan, Stages, make_plan, remember_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_ITEM_ID = 2**63 - 1
ITEMS_AT_ONCE = 100
"""How many items one transaction brings to a changed list of stages: it is over in some 10 milliseconds."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """
    How far the items of a job are brought to a changed list of stages.

    Of `items`, `looked` were seen to; `reopened` and `skipped` count stages. `began_at` is in Unix ms.
    """

    job: str
    by: str | None
    began_at: int
    items: int
    looked: int
    reopened: int
    skipped: int


LIST_CHANGES = """
SELECT job_id, by, began_at, items, looked, reopened, skipped FROM plan_changes ORDER BY job_id
"""


def list_changes(conn: Connection) -> list[PlanChange]:
    """List the changes that are on their way, by job."""
    return [PlanChange(*row) for row in conn.execute(LIST_CHANGES)]


def find_change(conn: Connection, job_id: str) -> PlanChange | None:
    """Find the change of a job that is on its way, or None."""
    return next((change for change in list_changes(conn) if change.job == job_id), None)


COUNT_OPENED = """
SELECT pending + in_progress + done + failed + skipped - unopened FROM item_counts WHERE job_id = :job_id
"""

NEWEST_ITEM = "SELECT max(item_id) FROM work_items INDEXED BY idx_work_items_job WHERE job_id = :job_id"

PUT_CHANGE = """
INSERT INTO plan_changes (job_id, by, began_at, until_id, items)
VALUES (:job_id, :by, :now, :until_id, :items)
    ON CONFLICT DO UPDATE
   SET by = excluded.by, after_id = 0, until_id = excluded.until_id, items = excluded.items, looked = 0
"""


def begin_change(conn: Connection, job_id: str, stages: Stages | StagePlan, by: str | None = None) -> bool:
    """
    Take up a changed list of stages, to which `carry_over` then brings the items. False if nothing had changed.

    One that is on its way begins again, with the newest list. Commits.
    """
    plan = make_plan(stages)
    with write(conn):
        if not remember_plan(conn, job_id, plan):
            return False
        asked = {"job_id": job_id, "by": by, "now": now_ms()}
        opened = conn.execute(COUNT_OPENED, asked).fetchone()
        until_id = conn.execute(NEWEST_ITEM, asked).fetchone()[0]
        conn.execute(PUT_CHANGE, asked | {"until_id": until_id or 0, "items": opened[0] if opened else 0})
    return True


READ_CHANGE = "SELECT after_id, until_id FROM plan_changes WHERE job_id = :job_id"

NEXT_ITEMS = """
SELECT item_id
  FROM work_items INDEXED BY idx_work_items_job
 WHERE job_id = :job_id AND item_id > :after_id AND item_id <= :until_id
 ORDER BY item_id
 LIMIT :limit
"""

NOTE_CARRIED = """
UPDATE plan_changes
   SET after_id = :after_id, looked = looked + :looked, reopened = reopened + :reopened,
       skipped = skipped + :skipped
 WHERE job_id = :job_id
"""


def carry_over(conn: Connection, job_id: str, limit: int = ITEMS_AT_ONCE) -> bool:
    """
    Bring the next `limit` items to the list of stages that the tracker knows. False when all are there.

    Each stage that moves has its event; the change as a whole has one when the last is there. Commits.
    """
    with write(conn):
        change = conn.execute(READ_CHANGE, {"job_id": job_id}).fetchone()
        if change is None:
            return False
        asked = {"job_id": job_id, "after_id": change[0], "until_id": change[1], "limit": limit}
        chosen = [row[0] for row in conn.execute(NEXT_ITEMS, asked)]
        if chosen:
            moved = bring_items(conn, job_id, chosen)
            conn.execute(NOTE_CARRIED, asked | _describe_carried(chosen, moved))
        if len(chosen) < limit:
            _finish(conn, job_id)
    return len(chosen) == limit


def _describe_carried(chosen: Sequence[int], moved: Mapping[Move, Moved]) -> dict[str, int]:
    return {
        "after_id": chosen[-1],
        "looked": len(chosen),
        "reopened": len(moved[REOPEN]),
        "skipped": len(moved[SKIP]),
    }


STAGE_NAMES = "SELECT stage FROM job_stages WHERE job_id = :job_id ORDER BY position"

END_CHANGE = "DELETE FROM plan_changes WHERE job_id = :job_id RETURNING by, looked, reopened, skipped"


def _finish(conn: Connection, job_id: str) -> None:
    by, looked, reopened, skipped = conn.execute(END_CHANGE, {"job_id": job_id}).fetchone()
    stages = [row[0] for row in conn.execute(STAGE_NAMES, {"job_id": job_id})]
    detail = {"stages": stages, "items": looked, "reopened": reopened, "skipped": skipped}
    append_event(conn, job_id, "apply_plan", None, None, None, by, detail)


def apply_plan(conn: Connection, job_id: str, stages: Stages | StagePlan, by: str | None = None) -> bool:
    """
    Bring a job's items to a changed list of stages: reopen, skip, recount. False if nothing had changed.

    One transaction, and so for jobs of few items. Commits.
    """
    with write(conn):
        if not begin_change(conn, job_id, stages, by):
            return False
        while carry_over(conn, job_id):
            pass
    return True


# -- a whole job at once ---------------------------------------------------------------------------------


def move_all(conn: Connection, job_id: str, stages: Stages | StagePlan, move: Move) -> int:
    """
    Make one move, REOPEN or SKIP, for all of a job's items that a changed list of stages asks for; how many items.

    One transaction. Commits.
    """
    item_ids: set[int] = set()
    with write(conn):
        remember_plan(conn, job_id, make_plan(stages))
        for chosen in _list_batches(conn, job_id):
            item_ids.update(row[0] for row in bring_items(conn, job_id, chosen, {move})[move])
    return len(item_ids)


def _list_batches(conn: Connection, job_id: str) -> Iterator[list[int]]:
    asked = {"job_id": job_id, "after_id": 0, "until_id": MAX_ITEM_ID, "limit": ITEMS_AT_ONCE}
    while chosen := [row[0] for row in conn.execute(NEXT_ITEMS, asked)]:
        yield chosen
        asked["after_id"] = chosen[-1]
