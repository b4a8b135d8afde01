"""Chores on record: each slot done once, tried again when it failed, made up once when it was missed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.clock import latest_ms, now_ms
from tracker.connection import write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.connection import Connection

MOST_ATTEMPTS = 4
FIRST_WAIT_MS = 300_000
"""How long a chore that failed waits before it is tried again; each time four times as long."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A chore that this process has taken: its slot (Unix ms), and which attempt this is, from 1."""

    run_id: int
    chore: str
    slot_at: int
    attempt: int


HAS_SLOT = "SELECT 1 FROM chores WHERE chore = :chore AND slot_at BETWEEN :slot_at AND :latest LIMIT 1"

BEGIN_CHORE = """
INSERT INTO chores (chore, slot_at, started_at) VALUES (:chore, :slot_at, :now)
    ON CONFLICT (chore, slot_at) DO NOTHING
RETURNING run_id, chore, slot_at, attempt
"""

RESUME_CHORE = """
UPDATE chores
   SET attempt = attempt + 1, started_at = :now, ended_at = NULL, outcome = NULL, error = NULL, retry_at = NULL
 WHERE run_id = (SELECT run_id FROM chores WHERE chore = :chore AND slot_at <= :latest ORDER BY slot_at DESC LIMIT 1)
   AND (outcome IS NULL OR retry_at <= :now)
RETURNING run_id, chore, slot_at, attempt
"""


def begin_chore(conn: Connection, chore: str, slot_at: int) -> Chore | None:
    """
    Take a chore for its last slot (Unix ms), or again when it failed and its time has come; None if neither is due.

    The caller holds the lock by which no other process does chores: one that was begun and not ended has died.
    Commits, and writes nothing when nothing is due.
    """
    asked = {"chore": chore, "slot_at": slot_at, "now": now_ms(), "latest": latest_ms()}
    is_taken = conn.execute(HAS_SLOT, asked).fetchone() is not None
    if is_taken and not _is_resumable(conn, asked):
        return None
    with write(conn):
        row = conn.execute(RESUME_CHORE if is_taken else BEGIN_CHORE, asked).fetchone()
        taken = Chore(*row) if row else None
        if taken and taken.attempt > MOST_ATTEMPTS:
            # a process that dies in it, again and again, must not be what the house does all day
            _end(conn, taken, "failed", error="its process died each time that it was tried")
            return None
    return taken


IS_RESUMABLE = """
SELECT outcome IS NULL OR retry_at <= :now
  FROM chores
 WHERE chore = :chore AND slot_at <= :latest
 ORDER BY slot_at DESC
 LIMIT 1
"""


def _is_resumable(conn: Connection, asked: Mapping[str, Any]) -> bool:
    return bool(conn.execute(IS_RESUMABLE, asked).fetchone()[0])


END_CHORE = """
UPDATE chores
   SET ended_at = :now, outcome = :outcome, detail = :detail, error = :error, retry_at = :retry_at
 WHERE run_id = :run_id AND attempt = :attempt AND ended_at IS NULL
"""


def finish_chore(conn: Connection, taken: Chore, detail: Mapping[str, Any]) -> None:
    """Record that a chore is done, and what it did; one event. Commits."""
    with write(conn):
        _end(conn, taken, "done", detail=detail)
        append_event(conn, None, taken.chore, None, None, None, "maintenance", detail or None)


def fail_chore(conn: Connection, taken: Chore, error: str) -> None:
    """Record why a chore failed; it is tried again later, until it was tried four times. One event. Commits."""
    retry_at = None
    if taken.attempt < MOST_ATTEMPTS:
        retry_at = now_ms() + FIRST_WAIT_MS * 4 ** (taken.attempt - 1)
    with write(conn):
        _end(conn, taken, "failed", error=error, retry_at=retry_at)
        detail = {"error": error, "retry_at": retry_at}
        append_event(conn, None, f"{taken.chore}_failed", None, None, None, "maintenance", detail)


def _end(
    conn: Connection,
    taken: Chore,
    outcome: str,
    *,
    detail: Mapping[str, Any] | None = None,
    error: str | None = None,
    retry_at: int | None = None,
) -> None:
    conn.execute(
        END_CHORE,
        {
            "run_id": taken.run_id,
            "attempt": taken.attempt,
            "now": now_ms(),
            "outcome": outcome,
            "detail": None if detail is None else json.dumps(dict(detail)),
            "error": error,
            "retry_at": retry_at,
        },
    )


@dataclass(frozen=True, slots=True)
class ChoreReport:
    """The last slot of a chore; instants in Unix ms. `outcome` is done, failed, or None while it runs."""

    chore: str
    slot_at: int
    attempt: int
    started_at: int
    ended_at: int | None
    outcome: str | None
    error: str | None
    retry_at: int | None
    detail: dict[str, Any]


LAST_CHORE = """
SELECT chore, slot_at, attempt, started_at, ended_at, outcome, error, retry_at, detail
  FROM chores
 WHERE chore = :chore
 ORDER BY slot_at DESC
 LIMIT 1
"""


def find_last_chore(conn: Connection, chore: str) -> ChoreReport | None:
    """Find what came of a chore last, or None."""
    row = conn.execute(LAST_CHORE, {"chore": chore}).fetchone()
    if row is None:
        return None
    facts = dict(row)
    return ChoreReport(**{**facts, "detail": json.loads(facts["detail"] or "{}")})
