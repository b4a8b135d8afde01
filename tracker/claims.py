"""Claim a stage for an attempt, under a lease that its worker renews."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import CLAIM, Status
from tracker.clock import now_ms
from tracker.connection import join, write
from tracker.events import Event, append_events
from tracker.probes import take_probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.connection import Connection
    from tracker.rows import Row

LEASE_SECONDS = 30.0
"""How long a claim holds unless it is renewed."""

Attempt = tuple[int, str, int]
"""Of which item, which stage, and the number of the attempt."""

EARLY_MS = 1000
"""How much too early a countdown may arrive, by rounding or by another host's clock."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stage taken for one attempt, with its item."""

    item_id: int
    job_id: str
    stage: str
    attempt: int
    key: str
    data: Mapping[str, Any]
    priority: int
    retries: int
    crashes: int
    started_at: int
    data_json: str = field(default="{}", compare=False)
    """The data once more, as the tracker holds it: what the handler has is the handler's to change."""


CLAIM_STAGE = """
UPDATE item_stages
   SET status = :target, attempt = :attempt, leased_until = :leased_until, worker = :worker, started_at = :now,
       queued_at = NULL, resend_at = NULL, sends = 0, retry_at = NULL, reason = NULL, cancelled_by = NULL
 WHERE item_id = :item_id AND stage = :stage
   AND status = :source AND attempt = :attempt - 1 AND needs_left = 0
   AND (retry_at IS NULL OR retry_at <= :latest)
   AND (crashes = 0 OR NOT :ahead)
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'all' AND p.job_id = '' AND p.stage = '' AND p.host = '')
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'job' AND p.job_id = item_stages.job_id AND p.stage = '' AND p.host = ''
                      AND p.probes_left = 0)
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'stage' AND p.job_id = item_stages.job_id
                      AND p.stage = item_stages.stage AND p.host = '')
RETURNING item_id, stage, attempt, job_id, retries, crashes, priority,
          EXISTS (SELECT 1 FROM pauses p
                   WHERE p.scope = 'job' AND p.job_id = item_stages.job_id AND p.stage = ''
                     AND p.host = '') AS is_probe,
          (SELECT key FROM work_items WHERE work_items.item_id = item_stages.item_id),
          (SELECT data FROM work_items WHERE work_items.item_id = item_stages.item_id)
"""


def claim(
    conn: Connection,
    item_id: int,
    stage: str,
    attempt: int,
    *,
    worker: str,
    lease_seconds: float = LEASE_SECONDS,
) -> Claim | None:
    """Take one stage like `claim_together`, or return None. Commits."""
    taken = claim_together(conn, [(item_id, stage, attempt)], worker=worker, lease_seconds=lease_seconds)
    return taken[0] if taken else None


def claim_together(
    conn: Connection,
    attempts: Sequence[Attempt],
    *,
    worker: str,
    lease_seconds: float = LEASE_SECONDS,
    ahead: bool = False,
    started_at: int | None = None,
) -> list[Claim]:
    """
    Take stages, each for one attempt, in their order; left out is what cannot be had.

    That is what was claimed already, is not due, is paused, or was reset meanwhile. The message that could not be
    claimed is spent; if the stage is only paused, dispatch sends it again when the pause is lifted. With `ahead` the
    messages have not had their turn: it still comes, then, and a stage under which a worker has died is left for it.
    `started_at` (Unix ms) is now, if it is not given: a load that runs is told from others by it, and by `worker`.
    Commits, or joins the caller's transaction.
    """
    now = now_ms() if started_at is None else started_at
    alike = {
        "worker": worker,
        "now": now,
        "leased_until": now + int(lease_seconds * 1000),
        "latest": now + EARLY_MS,
        "source": Status.PENDING,
        "target": CLAIM.target,
        "ahead": ahead,
    }
    asked = [
        alike | {"item_id": item_id, "stage": stage, "attempt": attempt}
        for item_id, stage, attempt in attempts
    ]
    with join(conn):
        rows = _claim_all(conn, asked)
        if len(rows) < len(asked) and not ahead:
            _give_up_messages(conn, asked, {(row["item_id"], row["stage"]) for row in rows})
        append_events(
            conn,
            [
                Event(row["job_id"], CLAIM.name, row["item_id"], row["stage"], row["attempt"], worker)
                for row in rows
            ],
        )
    return [
        Claim(item_id, job_id, stage, attempt, key, json.loads(data), priority, retries, crashes, now, data)
        for item_id, stage, attempt, job_id, retries, crashes, priority, _, key, data in rows
    ]


def _claim_all(conn: Connection, asked: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows = []
    for row in conn.executemany(CLAIM_STAGE, asked):  # each is claimed when it is asked for
        rows.append(row)
        if row["is_probe"]:  # its job is paused, and lets out probes, of which this is one
            take_probe(conn, row["job_id"], row["item_id"], row["stage"], row["attempt"])
    return rows


READ_CLAIM = """
SELECT s.job_id, i.key, i.data, s.priority, s.retries, s.crashes, s.started_at
  FROM item_stages s
  JOIN work_items i ON i.item_id = s.item_id
 WHERE s.item_id = :item_id AND s.stage = :stage AND s.status = 'in_progress' AND s.attempt = :attempt
"""


def read_claim(conn: Connection, item_id: int, stage: str, attempt: int) -> Claim | None:
    """Read a claim that is in force, or None when this attempt does not own the stage."""
    asked = {"item_id": item_id, "stage": stage, "attempt": attempt}
    row = conn.execute(READ_CLAIM, asked).fetchone()
    if row is None:
        return None
    job_id, key, data, priority, retries, crashes, started_at = row
    return Claim(
        item_id, job_id, stage, attempt, key, json.loads(data), priority, retries, crashes, started_at, data
    )


TAKE_BACK_MESSAGE = """
UPDATE item_stages
   SET queued_at = NULL, resend_at = NULL, retry_at = NULL, sends = 0
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND attempt = :attempt - 1
   AND queued_at IS NOT NULL AND (retry_at IS NULL OR retry_at <= :latest)
"""


def _give_up_messages(
    conn: Connection, asked: Sequence[Mapping[str, Any]], taken: set[tuple[int, str]]
) -> None:
    # If the message was the stage's own, the stage is ready again, for dispatch to send when it may. A
    # duplicate of an earlier attempt changes nothing here.
    missed = [one for one in asked if (one["item_id"], one["stage"]) not in taken]
    conn.executemany(TAKE_BACK_MESSAGE, missed)


RENEW_LEASE = """
UPDATE item_stages
   SET leased_until = :leased_until
 WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt
"""


def renew_lease(
    conn: Connection, item_id: int, stage: str, attempt: int, lease_seconds: float = LEASE_SECONDS
) -> bool:
    """Hold the claim for `lease_seconds` more; False when this attempt no longer owns the stage. Commits."""
    with write(conn):
        conn.execute(
            RENEW_LEASE,
            {
                "item_id": item_id,
                "stage": stage,
                "attempt": attempt,
                "leased_until": now_ms() + int(lease_seconds * 1000),
            },
        )
        return conn.changes() == 1


IS_HELD = """
SELECT EXISTS (SELECT 1
                 FROM item_stages
                WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt)
"""


def is_held(conn: Connection, item_id: int, stage: str, attempt: int) -> bool:
    """Tell whether an attempt owns its stage."""
    asked = {"item_id": item_id, "stage": stage, "attempt": attempt}
    return bool(conn.execute(IS_HELD, asked).fetchone()[0])


IS_CANCELLED = """
SELECT cancelled_by IS NOT NULL
  FROM item_stages
 WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt
"""


def is_cancelled(conn: Connection, item_id: int, stage: str, attempt: int) -> bool:
    """Tell whether somebody asked a running attempt to stop: however it ends, its stage is skipped then."""
    row = conn.execute(IS_CANCELLED, {"item_id": item_id, "stage": stage, "attempt": attempt}).fetchone()
    return row is not None and bool(row[0])
