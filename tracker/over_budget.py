"""Items that would spend more than `usd_per_item`: marked, so that dispatch passes over them at no cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker.connection import write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.connection import Connection

CLEAR_AT_ONCE = 1000

MARK = """
UPDATE item_stages
   SET over_budget = 1
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND over_budget = 0
"""


def mark_over_budget(
    conn: Connection, job_id: str, stage: str, spent: Mapping[int, float], cap_usd: float, expected_usd: float
) -> None:
    """Mark a stage of some items, with what each has spent, in the caller's transaction; an event for each."""
    for item_id, spent_usd in spent.items():
        conn.execute(MARK, {"item_id": item_id, "stage": stage})
        detail = {"usd_per_item": cap_usd, "spent_usd": spent_usd, "expected_usd": expected_usd}
        append_event(conn, job_id, "over_budget", item_id, stage, None, None, detail)


LIST_MARKED = """
SELECT item_id
  FROM item_stages INDEXED BY idx_item_stages_over_budget
 WHERE job_id = :job_id AND stage = :stage AND status = 'pending' AND over_budget = 1 AND item_id > :after
 ORDER BY item_id
 LIMIT :limit
"""

CLEAR = """
UPDATE item_stages
   SET over_budget = 0
 WHERE stage = :stage AND item_id IN (SELECT value FROM json_each(:item_ids))
"""


def clear_marks(conn: Connection, job_id: str, stage: str) -> int:
    """
    Let dispatch look again at a stage of the items that are over budget; how many. Commits in batches.

    Each item is visited once: those that dispatch marks meanwhile keep their mark. Safe to be done again.
    """
    cleared, after = 0, 0
    while True:
        asked = {"job_id": job_id, "stage": stage, "after": after, "limit": CLEAR_AT_ONCE}
        with write(conn):
            item_ids = [row[0] for row in conn.execute(LIST_MARKED, asked)]
            conn.execute(CLEAR, {"stage": stage, "item_ids": json.dumps(item_ids)})
        if not item_ids:
            return cleared
        cleared, after = cleared + len(item_ids), item_ids[-1]


def has_marks(conn: Connection, job_id: str, stage: str) -> bool:
    """Tell whether a stage of any item is marked."""
    asked = {"job_id": job_id, "stage": stage, "after": 0, "limit": 1}
    return conn.execute(LIST_MARKED, asked).fetchone() is not None


COUNT_MARKED = """
SELECT count(*)
  FROM item_stages INDEXED BY idx_item_stages_over_budget
 WHERE job_id = :job_id AND status = 'pending' AND over_budget = 1
"""


def count_marked(conn: Connection, job_id: str) -> int:
    """Count the stages of a job that wait because their items are over budget, from an index of just these."""
    return int(conn.execute(COUNT_MARKED, {"job_id": job_id}).fetchone()[0])
