"""Keys that are not there, and those that were likely meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from tracker.connection import Connection

KEYS_AFTER = """
SELECT key FROM work_items WHERE job_id = :job_id AND key >= :key ORDER BY key LIMIT 100
"""

KEYS_BEFORE = """
SELECT key FROM work_items WHERE job_id = :job_id AND key < :key ORDER BY key DESC LIMIT 100
"""


def find_near_key(conn: Connection, job_id: str, key: str) -> str | None:
    """Find the key that was likeliest meant by `key`, of those near it in the alphabet, in any case, or None."""
    near = [
        row[0]
        for spelled in dict.fromkeys((key, key.lower(), key.upper(), key.capitalize()))
        for sql in (KEYS_AFTER, KEYS_BEFORE)
        for row in conn.execute(sql, {"job_id": job_id, "key": spelled})
    ]
    return find_nearest(key, near) or next((one for one in near if key and one.startswith(key)), None)


def no_such_item(conn: Connection, job_id: str, key: str) -> NotFoundError:
    """Make the error that says that a job has no item with this key, and names the nearest."""
    return NotFoundError(f"item in job {job_id!r} with key", key, find_near_key(conn, job_id, key))
