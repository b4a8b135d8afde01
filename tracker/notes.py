"""Notes about the whole house, such as when it was last swept: a text under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

SWEPT_AT = "swept_at"
"""The note that holds when the last sweep was, to within half a minute: beat and a worker live."""

SET_NOTE = (
    "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = excluded.value"
)

FIND_NOTE = "SELECT value FROM meta WHERE name = :name"


def set_note(conn: Connection, name: str, value: str) -> None:
    """Keep a note. Commits."""
    with write(conn):
        conn.execute(SET_NOTE, {"name": name, "value": value})


def find_note(conn: Connection, name: str) -> str | None:
    """Find a note, or None."""
    row = conn.execute(FIND_NOTE, {"name": name}).fetchone()
    return row[0] if row else None
