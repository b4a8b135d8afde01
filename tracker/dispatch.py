"""What dispatch reads and stamps: runways, ready stages, unopened items. Its cost is that of what it sends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.clock import AHEAD_MS, now_ms
from tracker.moves import RESEND_AFTER_MS
from tracker.places import AtPlaces, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracker.claims import Attempt
    from tracker.connection import Connection

RESEND_AT_MOST_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Runway:
    """How much of one stage is on its way: stamped but not claimed, and running."""

    queued: int
    running: int

    @property
    def outstanding(self) -> int:
        """Count the messages and the attempts that are out."""
        return self.queued + self.running

    def in_loads_of(self, size: int) -> Runway:
        """Count the fewest loads of `size` stages that carry the same: more are out if some are short."""
        return Runway(-(-self.queued // size), -(-self.running // size))

    def at_least(self, other: Runway) -> Runway:
        """Take the larger count of either."""
        return Runway(max(self.queued, other.queued), max(self.running, other.running))


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A stage that could be sent now. Sorts as dispatch sends: priority, then far on, then oldest."""

    minus_priority: int
    minus_position: int
    item_id: int
    stage: str
    unopened: bool = False
    backfill: bool = False
    """Asked for again; see `tracker.lanes`."""
    crashes: int = 0
    """How many workers have died under it: one that had others beside it goes alone the next time."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a worker must be told to run one attempt of one stage, and what a person wants to see of it."""

    item_id: int
    job_id: str
    stage: str
    attempt: int
    key: str
    countdown_seconds: float | None = None
    cargo: Mapping[str, Any] | None = None
    """What the stage needs, if its worker cannot open the tracker."""
    crashes: int = 0

    @property
    def attempt_key(self) -> Attempt:
        """What a claim knows the attempt by: (item, stage, attempt)."""
        return self.item_id, self.stage, self.attempt


READ_RUNWAYS = "SELECT stage, queued, in_progress FROM stage_counts WHERE job_id = :job_id"


def read_runways(conn: Connection, job_id: str) -> dict[str, Runway]:
    """Read a job's runways by stage, from the counters; a stage that never ran is absent."""
    rows = conn.execute(READ_RUNWAYS, {"job_id": job_id})
    return {stage: Runway(queued, running) for stage, queued, running in rows}


COUNT_LOADS = """
SELECT (SELECT count(DISTINCT queued_at)
          FROM item_stages INDEXED BY idx_item_stages_sent
         WHERE status = 'pending' AND queued_at IS NOT NULL AND resend_at IS NOT NULL AND retry_at IS NULL
           AND job_id = :job_id AND stage = :stage),
       (SELECT count(DISTINCT worker || ' ' || started_at)
          FROM item_stages INDEXED BY idx_item_stages_leased
         WHERE status = 'in_progress' AND leased_until IS NOT NULL AND job_id = :job_id AND stage = :stage)
"""


def count_loads(conn: Connection, job_id: str, stage: str) -> Runway:
    """
    Count the loads of a stage with `batch` that are out, full or short.

    Those that wait are told apart by their stamps, of which each load has its own; those that run by who claimed them,
    and when. It costs what is out, so it is for who is about to send another.
    """
    return Runway(*conn.execute(COUNT_LOADS, {"job_id": job_id, "stage": stage}).fetchone())


LIST_READY = """
SELECT * FROM (
    SELECT priority, position, item_id, backfill, crashes
      FROM item_stages INDEXED BY idx_item_stages_ready
     WHERE job_id = :job_id AND stage = :stage AND over_budget = 0 AND backfill = 0
       AND status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL
     ORDER BY priority DESC, item_id
     LIMIT :limit)
UNION ALL
SELECT * FROM (
    SELECT priority, position, item_id, backfill, crashes
      FROM item_stages INDEXED BY idx_item_stages_ready
     WHERE job_id = :job_id AND stage = :stage AND over_budget = 0 AND backfill = 1
       AND status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL
     ORDER BY priority DESC, item_id
     LIMIT :limit)
"""


def list_ready(conn: Connection, job_id: str, stage: str, limit: int) -> list[Candidate]:
    """
    List the first ready stages of one name, at most `limit` of each lane: fresh ones, then backfill.

    Within a lane highest priority first, then oldest item. Those over budget are passed over.
    """
    rows = conn.execute(LIST_READY, {"job_id": job_id, "stage": stage, "limit": limit})
    return [_as_candidate(stage, *row) for row in rows]


def _as_candidate(
    stage: str, priority: int, position: int, item_id: int, backfill: int, crashes: int
) -> Candidate:
    return Candidate(-priority, -position, item_id, stage, backfill=bool(backfill), crashes=crashes)


LIST_UNOPENED = """
SELECT priority, item_id
  FROM work_items INDEXED BY idx_work_items_unopened
 WHERE job_id = :job_id AND opened_at IS NULL
 ORDER BY priority DESC, item_id
 LIMIT :limit
"""


def list_unopened(conn: Connection, job_id: str, root: str, limit: int) -> list[Candidate]:
    """List the first `limit` items that have no stage rows yet, as candidates for the root stage."""
    rows = conn.execute(LIST_UNOPENED, {"job_id": job_id, "limit": limit})
    return [Candidate(-priority, 0, item_id, root, unopened=True) for priority, item_id in rows]


LIST_READY_AMONG = """
SELECT s.priority, s.position, s.item_id, s.backfill, s.crashes
  FROM json_each(:item_ids) chosen
 CROSS JOIN item_stages s ON s.item_id = chosen.value AND s.stage = :stage
 WHERE s.status = 'pending' AND s.needs_left = 0 AND s.queued_at IS NULL AND s.retry_at IS NULL
   AND s.over_budget = 0
 ORDER BY s.priority DESC, s.item_id
 LIMIT :limit
"""

LIST_UNOPENED_AMONG = """
SELECT i.priority, i.item_id
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.opened_at IS NULL AND i.job_id = :job_id
 ORDER BY i.priority DESC, i.item_id
 LIMIT :limit
"""


def list_ready_among(conn: Connection, item_ids: str, stage: str, limit: int) -> list[Candidate]:
    """List ready stages like `list_ready`, of the items in a JSON list only; for a run over a few items."""
    rows = conn.execute(LIST_READY_AMONG, {"item_ids": item_ids, "stage": stage, "limit": limit})
    return [_as_candidate(stage, *row) for row in rows]


def list_unopened_among(
    conn: Connection, job_id: str, item_ids: str, root: str, limit: int
) -> list[Candidate]:
    """List unopened items like `list_unopened`, of those in a JSON list only."""
    rows = conn.execute(LIST_UNOPENED_AMONG, {"job_id": job_id, "item_ids": item_ids, "limit": limit})
    return [Candidate(-priority, 0, item_id, root, unopened=True) for priority, item_id in rows]


READY_SINCE = """
SELECT min(coalesce((SELECT max(needed.ended_at)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = i.item_id AND needed.stage = n.need
                      WHERE n.job_id = i.job_id AND n.stage = :stage), i.discovered_at))
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
"""


def ready_since(conn: Connection, chosen: Sequence[Candidate]) -> int:
    """Tell since when (Unix ms) the first of some candidates of one stage could have been sent."""
    item_ids = json.dumps([one.item_id for one in chosen])
    return int(conn.execute(READY_SINCE, {"item_ids": item_ids, "stage": chosen[0].stage}).fetchone()[0])


NEWEST_STAMP = """
SELECT max(queued_at)
  FROM item_stages INDEXED BY idx_item_stages_sent
 WHERE status = 'pending' AND queued_at <= :latest AND resend_at IS NOT NULL
   AND job_id = :job_id AND stage = :stage
"""


def next_instant(conn: Connection, job_id: str, stage: str) -> int:
    """
    Tell the first instant (Unix ms), from now on, after the stamps of all loads of a stage that wait.

    Those that were stamped before the clock was set back do not count.
    """
    now = now_ms()
    asked = {"job_id": job_id, "stage": stage, "latest": now + AHEAD_MS}
    newest = conn.execute(NEWEST_STAMP, asked).fetchone()[0]
    return now if newest is None else max(now, newest + 1)


LIST_SENDABLE = """
SELECT s.item_id, s.job_id, s.stage, s.attempt + 1, i.key, s.crashes
  FROM json_each(:places) place
 CROSS JOIN item_stages s ON s.item_id = place.value ->> 0 AND s.stage = place.value ->> 1
 CROSS JOIN work_items i ON i.item_id = s.item_id
 WHERE s.status = 'pending' AND s.needs_left = 0 AND s.queued_at IS NULL AND s.retry_at IS NULL
"""

STAMP_STAGES = AtPlaces("""
UPDATE item_stages
   SET queued_at = :queued_at, resend_at = :now + min(:resend_after << min(sends, 6), :resend_at_most),
       sends = sends + 1
""")


def stamp(
    conn: Connection, chosen: Sequence[Candidate], instants: Mapping[Candidate, int] | None = None
) -> list[Message]:
    """
    Stamp the chosen stages in the caller's transaction, and give the messages to publish after it commits.

    Each at its own instant (Unix ms) if it has one of its load, else now. One that somebody else stamped or claimed
    meanwhile is left out.
    """
    now = now_ms()
    own = {(one.item_id, one.stage): at for one, at in (instants or {}).items()}
    places = json.dumps(list(dict.fromkeys((one.item_id, one.stage) for one in chosen)))
    messages = [
        Message(item_id, job_id, stage, attempt, key, crashes=crashes)
        for item_id, job_id, stage, attempt, key, crashes in conn.execute(LIST_SENDABLE, {"places": places})
    ]
    alike: dict[int, list[Place]] = {}
    for one in messages:
        place = one.item_id, one.stage
        alike.setdefault(own.get(place, now), []).append(place)
    stamped = {"now": now, "resend_after": RESEND_AFTER_MS, "resend_at_most": RESEND_AT_MOST_MS}
    for queued_at, some in alike.items():
        STAMP_STAGES.run(conn, some, stamped | {"queued_at": queued_at})
    return messages


TAKE_BACK_STAMP = """
UPDATE item_stages
   SET queued_at = NULL, resend_at = NULL, sends = max(0, sends - 1)
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND attempt = :attempt - 1
   AND queued_at IS NOT NULL
"""


def take_back_stamps(conn: Connection, attempts: Iterable[Attempt]) -> None:
    """
    Undo the stamps of messages that could not be published, or are handed back, in the caller's transaction.

    They do not count as sent: only what was lost makes the next message be waited for longer.
    """
    conn.executemany(
        TAKE_BACK_STAMP,
        [{"item_id": item_id, "stage": stage, "attempt": attempt} for item_id, stage, attempt in attempts],
    )
