"""An item as a whole, moved by hand: its stages are opened first if they never were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.errors import NotFoundError
from pipeline.lifecycle import Status
from tracker.applying import apply_plan
from tracker.connection import Connection, write
from tracker.moves import settle
from tracker.plan import Stages, make_plan, open_items

if TYPE_CHECKING:
    from tracker.endings import Ending
    from tracker.rows import Row

WHOLE_ITEM = "item"
"""The stage of an item that is moved as a whole without ever having had stages."""

READ_OPENED = """
SELECT i.job_id, i.opened_at,
       (SELECT json_group_array(stage) FROM (SELECT stage FROM job_stages WHERE job_id = i.job_id ORDER BY position))
  FROM work_items i
 WHERE i.item_id = :item_id
"""


def open_whole(conn: Connection, item_id: int, stages: Stages | None) -> None:
    """
    Open an item that never was, with `stages`, else those that its job has, else one for the whole of it.

    In the caller's transaction. Raises `NotFoundError` for an unknown item.
    """
    row = conn.execute(READ_OPENED, {"item_id": item_id}).fetchone()
    if row is None:
        raise NotFoundError("item with id", str(item_id))
    if row[1] is None:
        known = json.loads(row[2])
        plan = make_plan(stages or known or [WHOLE_ITEM])
        if stages:
            apply_plan(conn, row[0], plan)
        open_items(conn, row[0], [item_id], plan)


UNFINISHED_STAGES = """
SELECT stage, status, attempt, needs_left
  FROM item_stages
 WHERE item_id = :item_id AND status IN ('pending', 'in_progress')
 ORDER BY position
"""


def list_unfinished(conn: Connection, item_id: int) -> list[Row]:
    """List the (stage, status, attempt, needs left) of an item that are pending or in progress, in their order."""
    return conn.execute(UNFINISHED_STAGES, {"item_id": item_id}).fetchall()


def end_unfinished(
    conn: Connection,
    item_id: int,
    stages: Stages | None,
    running: Ending,
    waiting: Ending,
    *,
    first: bool = False,
) -> None:
    """
    End every unfinished stage of an item, or the `first` alone: one that runs as `running`, another as `waiting`.

    Commits.
    """
    with write(conn):
        open_whole(conn, item_id, stages)
        ended = set[str]()
        while left := [row for row in list_unfinished(conn, item_id) if row["stage"] not in ended]:
            # read anew each time: one that was done again and ends has what needs it begin again
            stage, status, attempt, _ = left[0]
            ending = running if status == Status.IN_PROGRESS else waiting
            settle(conn, item_id, stage, attempt, ending, by="by hand")
            ended.add(stage)
            if first:
                break
