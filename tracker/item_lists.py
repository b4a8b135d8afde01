"""Lists of a job's items in other orders than their ids', each by the index that has it; and the stages of a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status
from tracker.selected import Selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.connection import Connection
    from tracker.rows import Row

LIST_BY_KEY = """
SELECT item_id, job_id, key, NULL, status, NULL, priority, discovered_at, host, source, NULL
  FROM work_items INDEXED BY sqlite_autoindex_work_items_1
 WHERE job_id = :job_id AND key > :after
 ORDER BY key
 LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class ListPage:
    """Some items; `next_after` is where the next page begins, as text, None when that was all."""

    rows: list[Selected]
    next_after: str | None


def list_by_key(conn: Connection, job_id: str, after: str | None, limit: int) -> ListPage:
    """List a job's items in the order of their keys, behind the key `after`."""
    asked = {"job_id": job_id, "after": after or "", "limit": limit + 1}
    rows = [Selected(*row) for row in conn.execute(LIST_BY_KEY, asked)]
    return ListPage(rows[:limit], rows[limit - 1].key if len(rows) > limit else None)


LIST_BY_PRIORITY = """
SELECT item_id, job_id, key, NULL, status, NULL, priority, discovered_at, host, source, NULL
  FROM work_items INDEXED BY idx_work_items_job_status
 WHERE job_id = :job_id AND status = :status AND priority = :priority AND item_id > :after
   AND status <> 'in_progress'                  -- the index's own words, or SQLite would not take it
 ORDER BY item_id
 LIMIT :limit
"""

LIST_PLACES = """
SELECT priority, item_id
  FROM work_items INDEXED BY idx_work_items_job_status
 WHERE job_id = :job_id AND status = :status AND priority = :priority AND item_id > :after
   AND status <> 'in_progress'                  -- as above
 ORDER BY item_id
 LIMIT :limit
"""

NEXT_LOWER_PRIORITY = """
SELECT max(priority)
  FROM work_items INDEXED BY idx_work_items_job_status
 WHERE job_id = :job_id AND status = :status AND status <> 'in_progress' AND priority < :before
"""

# These are few: all of them are looked at, and sorted.
LIST_IN_PROGRESS = """
SELECT item_id, job_id, key, NULL, status, NULL, priority, discovered_at, host, source, NULL
  FROM work_items
 WHERE status = 'in_progress'
   AND item_id IN (SELECT s.item_id
                     FROM item_stages s INDEXED BY idx_item_stages_leased
                    WHERE s.status = 'in_progress' AND s.job_id = :job_id)
   AND (-priority, item_id) > (-:priority, :after)
 ORDER BY priority DESC, item_id
 LIMIT :limit
"""

ABOVE_ALL = 2**62

Asked = Mapping[str, object]

Place = tuple[int, int]
"""A priority, and the id of an item: a page begins behind it."""


def list_by_priority(conn: Connection, job_id: str, status: str, after: str | None, limit: int) -> ListPage:
    """
    List a job's items of one status, the highest priority first and of one priority the oldest, behind `after`.

    `after` is as a page before named it: "priority:item". Raises ValueError for anything else.
    """
    asked, place = {"job_id": job_id, "status": status}, _read_place(after)
    if status == Status.IN_PROGRESS:
        rows = _list_in_progress(conn, asked, place, limit + 1)
    else:
        rows = [Selected(*row) for row in _list_of_status(conn, LIST_BY_PRIORITY, asked, place, limit + 1)]
    last = rows[limit - 1] if len(rows) > limit else None
    return ListPage(rows[:limit], _write_place(last.priority, last.item_id) if last else None)


def list_ids_by_priority(
    conn: Connection, job_id: str, status: str, after: str | None, limit: int
) -> tuple[list[int], str | None]:
    """
    List the ids of a job's items of one status like `list_by_priority`, and where the next page begins.

    It reads nothing but an index, which has none of the items in progress.
    """
    asked = {"job_id": job_id, "status": status}
    places = _list_of_status(conn, LIST_PLACES, asked, _read_place(after), limit)
    return [item_id for _, item_id in places], _write_place(*places[-1]) if places else None


def _read_place(after: str | None) -> Place:
    if after is None:
        return ABOVE_ALL, 0
    priority, item_id = (int(number) for number in after.split(":"))
    return priority, item_id


def _write_place(priority: int, item_id: int) -> str:
    return f"{priority}:{item_id}"


def _list_in_progress(conn: Connection, asked: Asked, place: Place, limit: int) -> list[Selected]:
    priority, item_id = place
    rows = conn.execute(LIST_IN_PROGRESS, {**asked, "priority": priority, "after": item_id, "limit": limit})
    return [Selected(*row) for row in rows]


def _list_of_status(conn: Connection, sql: str, asked: Asked, place: Place, limit: int) -> list[Row]:
    rows: list[Row] = []
    priority: int | None
    priority, item_id = place
    while priority is not None and len(rows) < limit:
        there = {"priority": priority, "after": item_id, "limit": limit - len(rows)}
        rows += conn.execute(sql, {**asked, **there}).fetchall()
        priority, item_id = _find_lower(conn, asked, priority), 0
    return rows


def _find_lower(conn: Connection, asked: Asked, before: int) -> int | None:
    found = conn.execute(NEXT_LOWER_PRIORITY, {**asked, "before": before}).fetchone()[0]
    return None if found is None else int(found)


STAGES_OF_LIST = """
SELECT s.item_id, s.stage, s.status
  FROM json_each(:item_ids) chosen
 CROSS JOIN item_stages s ON s.item_id = chosen.value
 ORDER BY s.item_id, s.position
"""


def list_stages_of(conn: Connection, item_ids: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
    """List the stages of some items in their job's order, each with its status, by item."""
    found: dict[int, list[tuple[str, str]]] = {item_id: [] for item_id in item_ids}
    for item_id, stage, status in conn.execute(STAGES_OF_LIST, {"item_ids": json.dumps(list(found))}):
        found[item_id].append((stage, status))
    return found


OF_THE_JOB = """
SELECT i.item_id, i.key
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.job_id = :job_id
 ORDER BY i.item_id
"""


def list_keys_of(conn: Connection, job_id: str, item_ids: Sequence[int]) -> dict[int, str]:
    """List the keys of those of some items that are of a job, by item."""
    asked = {"job_id": job_id, "item_ids": json.dumps(list(item_ids))}
    rows = conn.execute(OF_THE_JOB, asked)
    return {row[0]: row[1] for row in rows}
