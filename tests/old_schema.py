"""Files of older schemas, made by the migrations up to theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from tracker.schema import list_migrations

if TYPE_CHECKING:
    from pathlib import Path


def open_of_version(path: Path, version: int) -> apsw.Connection:
    """Make a new file of an older schema, and open it by SQLite alone; the caller closes it."""
    conn = apsw.Connection(str(path))
    for number, sql in list_migrations()[:version]:
        conn.execute(sql).fetchall()
        conn.pragma("user_version", number)
    return conn
