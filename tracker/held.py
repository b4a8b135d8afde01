"""New items above a cap: kept, and not run until somebody approves them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.url_hosts import find_host_of_data
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.item_data import complete_data, set_data
from tracker.items import find_item, get_item, mark_skipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.plan import StagePlan

COUNT_HELD = "SELECT held FROM item_counts WHERE job_id = :job_id"


def count_held(conn: Connection, job_id: str) -> int:
    """Count the items of a job that wait for approval, from its counter."""
    row = conn.execute(COUNT_HELD, {"job_id": job_id}).fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class HeldItem:
    """An item that waits for approval; `held_at` is when it was found (Unix ms)."""

    key: str
    data: dict[str, Any]
    priority: int
    source: str | None
    held_at: int


LIST_HELD = """
SELECT key, data, priority, nullif(source, ''), held_at
  FROM held_items INDEXED BY idx_held_items_job
 WHERE job_id = :job_id
 ORDER BY held_id
 LIMIT :limit
"""


def list_held(conn: Connection, job_id: str, limit: int) -> list[HeldItem]:
    """List at most `limit` of a job's held items, the earliest found first: as they would be let in."""
    rows = conn.execute(LIST_HELD, {"job_id": job_id, "limit": limit})
    return [HeldItem(key, json.loads(data), *rest) for key, data, *rest in rows]


NEXT_HELD = """
SELECT key FROM held_items WHERE job_id = :job_id ORDER BY held_id LIMIT :limit
"""

ADMIT_HELD = """
INSERT INTO work_items (job_id, key, data, priority, discovered_at, version, host, source)
SELECT h.job_id, h.key, h.data, h.priority, :now, h.version, h.host, nullif(h.source, '')
  FROM json_each(:keys) asked
 CROSS JOIN held_items h ON h.job_id = :job_id AND h.key = asked.value
 WHERE true
    ON CONFLICT (job_id, key) DO NOTHING
"""

DROP_HELD = """
DELETE FROM held_items
 WHERE job_id = :job_id AND key IN (SELECT value FROM json_each(:keys))
"""


def approve_next(conn: Connection, job_id: str, *, limit: int, by: str) -> int:
    """Let in the next `limit` held items, the earliest found first; how many were taken. One transaction."""
    with write(conn):
        taken = _take_next(conn, job_id, limit)
        if taken:
            append_event(conn, job_id, "approve", None, None, None, by, {"items": len(taken)})
    return len(taken)


def dismiss_next(conn: Connection, job_id: str, *, limit: int, by: str, plan: StagePlan) -> int:
    """
    Make the next `limit` held items known without running them: every stage counts as skipped.

    How many were taken. One transaction.
    """
    with write(conn):
        taken = _take_next(conn, job_id, limit)
        for key in taken:
            item = find_item(conn, job_id, key)
            if item is not None and item["opened_at"] is None:
                mark_skipped(conn, item["item_id"], "dismissed before it was let in", plan.names)
        if taken:
            append_event(conn, job_id, "dismiss", None, None, None, by, {"items": len(taken)})
    return len(taken)


def _take_next(conn: Connection, job_id: str, limit: int) -> Sequence[str]:
    keys = [row[0] for row in conn.execute(NEXT_HELD, {"job_id": job_id, "limit": limit})]
    admit(conn, job_id, keys)
    return keys


def admit(conn: Connection, job_id: str, keys: Sequence[str]) -> int:
    """
    Let in, as they were found and in this order, those of the keys that wait for approval; how many were new.

    The caller's transaction.
    """
    asked = {"job_id": job_id, "keys": json.dumps(list(keys)), "now": now_ms()}
    conn.execute(ADMIT_HELD, asked)
    admitted = conn.changes()
    conn.execute(DROP_HELD, asked)
    return admitted


SET_HELD_PRIORITY = "UPDATE held_items SET priority = :priority WHERE job_id = :job_id AND key = :key"


def set_priorities(conn: Connection, job_id: str, priorities: Mapping[str, int]) -> None:
    """Give items that wait for approval the priorities with which they are to come in. The caller's transaction."""
    asked = [{"job_id": job_id, "key": key, "priority": priority} for key, priority in priorities.items()]
    conn.executemany(SET_HELD_PRIORITY, asked)


def prefer_data(conn: Connection, job_id: str, key: str, data: Mapping[str, Any]) -> None:
    """
    Put what somebody says of an item that was let in before what was found of it, which completes it.

    The caller's transaction. Raises ValueError or TypeError for data that is not JSON.
    """
    item = get_item(conn, job_id, key)
    merged = complete_data(data, json.loads(item["data"]))
    text = json.dumps(merged, ensure_ascii=False, allow_nan=False)
    set_data(conn, item["item_id"], text, find_host_of_data(merged))


READ_HELD = """
SELECT json_object('key', key, 'data', data, 'priority', priority, 'version', version, 'source', source,
                   'host', host, 'held_at', held_at)
  FROM held_items
 WHERE job_id = :job_id AND key = :key
"""


def read_held(conn: Connection, job_id: str, key: str) -> str | None:
    """Read an item that waits for approval, as JSON from which `hold_again` makes it; None for one that does not."""
    row = conn.execute(READ_HELD, {"job_id": job_id, "key": key}).fetchone()
    return None if row is None else str(row[0])


HOLD_AGAIN = """
INSERT INTO held_items (job_id, key, data, priority, version, source, host, held_at)
VALUES (:job_id, :held ->> 'key', :held ->> 'data', :held ->> 'priority', :held ->> 'version', :held ->> 'source',
        :held ->> 'host', :held ->> 'held_at')
    ON CONFLICT (job_id, key) DO NOTHING
"""


def hold_again(conn: Connection, job_id: str, held: str) -> None:
    """Have an item wait for approval as it did when `read_held` read it. The caller's transaction."""
    conn.execute(HOLD_AGAIN, {"job_id": job_id, "held": held})


def drop(conn: Connection, job_id: str, keys: Sequence[str]) -> None:
    """Let none of these keys wait for approval any more: they came in otherwise. The caller's transaction."""
    conn.execute(DROP_HELD, {"job_id": job_id, "keys": json.dumps(list(keys))})
