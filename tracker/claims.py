"""Claim a stage for an attempt, under a lease that its worker renews."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import CLAIM, Status
from tracker.clock import now_ms
from tracker.connection import join, write
from tracker.events import Event, append_events
from tracker.places import AtPlaces
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


LIST_CLAIMABLE = """
SELECT s.item_id, s.stage, asked.value ->> 2 AS attempt, s.job_id, i.key, i.data, s.priority, s.retries, s.crashes,
       EXISTS (SELECT 1 FROM pauses p
                WHERE p.scope = 'job' AND p.job_id = s.job_id AND p.stage = '' AND p.host = '') AS is_probe
  FROM json_each(:asked) asked
 CROSS JOIN item_stages s ON s.item_id = asked.value ->> 0 AND s.stage = asked.value ->> 1
 CROSS JOIN work_items i ON i.item_id = s.item_id
 WHERE s.status = :source AND s.attempt = (asked.value ->> 2) - 1 AND s.needs_left = 0
   AND (s.retry_at IS NULL OR s.retry_at <= :latest)
   AND (s.crashes = 0 OR NOT :ahead)
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'all' AND p.job_id = '' AND p.stage = '' AND p.host = '')
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'job' AND p.job_id = s.job_id AND p.stage = '' AND p.host = ''
                      AND p.probes_left = 0)
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'stage' AND p.job_id = s.job_id AND p.stage = s.stage AND p.host = '')
"""

CLAIM_STAGES = AtPlaces("""
UPDATE item_stages
   SET status = :target, attempt = attempt + 1, leased_until = :leased_until, worker = :worker, started_at = :now,
       queued_at = NULL, resend_at = NULL, sends = 0, retry_at = NULL, reason = NULL, cancelled_by = NULL,
       over_budget = 0
""")


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
    with join(conn):
        rows = _list_claimable(conn, attempts, latest=now + EARLY_MS, ahead=ahead)
        claimed = {
            "target": CLAIM.target,
            "worker": worker,
            "now": now,
            "leased_until": now + int(lease_seconds * 1000),
        }
        CLAIM_STAGES.run(conn, [(item_id, stage) for item_id, stage, *_ in rows], claimed)
        if len(rows) < len(attempts) and not ahead:
            _give_up_messages(conn, attempts, {(row[0], row[1]) for row in rows}, latest=now + EARLY_MS)
        append_events(
            conn,
            [
                Event(job_id, CLAIM.name, item_id, stage, attempt, worker)
                for item_id, stage, attempt, job_id, *_ in rows
            ],
        )
    return [
        Claim(item_id, job_id, stage, attempt, key, json.loads(data), priority, retries, crashes, now, data)
        for item_id, stage, attempt, job_id, key, data, priority, retries, crashes, _ in rows
    ]


def _list_claimable(conn: Connection, attempts: Sequence[Attempt], *, latest: int, ahead: bool) -> list[Row]:
    """List what can be claimed, in the turn in which it then is; those that are probes use one up."""
    if not attempts:
        return []
    asked = {
        "asked": json.dumps(list(dict.fromkeys(attempts))),
        "source": Status.PENDING,
        "latest": latest,
        "ahead": ahead,
    }
    return [
        row
        for row in conn.execute(LIST_CLAIMABLE, asked).fetchall()
        if not row["is_probe"]
        or take_probe(conn, row["job_id"], row["item_id"], row["stage"], row["attempt"])
    ]


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
    conn: Connection, attempts: Sequence[Attempt], taken: set[tuple[int, str]], *, latest: int
) -> None:
    # If the message was the stage's own, the stage is ready again, for dispatch to send when it may. A
    # duplicate of an earlier attempt changes nothing here.
    conn.executemany(
        TAKE_BACK_MESSAGE,
        [
            {"item_id": item_id, "stage": stage, "attempt": attempt, "latest": latest}
            for item_id, stage, attempt in attempts
            if (item_id, stage) not in taken
        ],
    )


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
