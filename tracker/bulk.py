"""
Change many stages at once: what each act does to a batch of items, in the caller's transaction.

A stage is first remembered as it was, which also decides whether the act concerns it; then its move is recorded as
an event, and made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import Status
from tracker.acts import Act, Change, Reach
from tracker.cancels import lift_cancels
from tracker.clock import now_ms
from tracker.cutoff import release_waiting
from tracker.followers import recount_needs
from tracker.plan import open_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.lifecycle import Move
    from tracker.connection import Connection

ANY_TIME = 2**62
"""A bound of time that bounds nothing."""


SWITCHED_ON = "SELECT stage FROM job_stages WHERE job_id = :job_id AND switched_on ORDER BY position"

LIST_REST = """
WITH RECURSIVE rest (stage) AS (
    VALUES (:stage)
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
SELECT stage FROM rest
"""


def find_stages(conn: Connection, act: Act, job_id: str, stage: str | None) -> list[str] | None:
    """Find the stages of a job that an act on `stage` is about; None for any that an item has."""
    asked = {"job_id": job_id, "stage": stage}
    on = [row[0] for row in conn.execute(SWITCHED_ON, asked)]
    if stage is None:
        return on if act.only_switched_on else None
    reached = [stage] if act.reach is Reach.STAGE else [row[0] for row in conn.execute(LIST_REST, asked)]
    return [name for name in reached if name in on or not act.only_switched_on]


LIST_ENDED_ITEMS = """
SELECT i.item_id
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.status IN ('done', 'failed', 'skipped')
"""

_CONCERNED = """
 WHERE (:stages IS NULL OR s.stage IN (SELECT value FROM json_each(:stages)))
   AND s.status IN (SELECT value FROM json_each(:sources))
   AND coalesce(s.ended_at, 0) <= :until
   AND (s.retry_at IS NOT NULL OR NOT :only_waiting)
   AND (s.again = 'waits' OR NOT :only_marked)
   AND (s.again IS NULL OR NOT :only_unmarked)
   AND (s.cancelled_by IS NULL OR s.status <> 'in_progress' OR NOT :only_uncancelled)
   AND (:places IS NULL OR json_array(s.item_id, s.stage) IN (SELECT value FROM json_each(:places)))"""
"""Of the stages `s`, those that a change is for."""

COUNT_CONCERNED = f"""
SELECT count(*), count(DISTINCT s.item_id)
  FROM json_each(:item_ids) chosen
 CROSS JOIN item_stages s ON s.item_id = chosen.value{_CONCERNED}
"""  # noqa: S608 - constants of ours

# `fresh` is 1 of a fresh item, and 2 more where nothing of it that was pending was in the lane of backfill.
_REMEMBERED = """(
    action_id, item_id, stage, made, attempts, status, ended_at, reason, retries, crashes, retry_at, backfill, again,
    cancelled_by, fresh
)
SELECT :action_id, s.item_id, s.stage, coalesce(:made, s.status),
       (SELECT sum(every.attempt) FROM item_stages every WHERE every.item_id = s.item_id),
       s.status, s.ended_at, s.reason, s.retries, s.crashes, s.retry_at, s.backfill, s.again, s.cancelled_by,
       (SELECT fresh FROM work_items WHERE work_items.item_id = s.item_id)
       + 2 * NOT EXISTS (SELECT 1 FROM item_stages other
                          WHERE other.item_id = s.item_id AND other.status = 'pending' AND other.backfill = 1)
  FROM json_each(:item_ids) chosen"""

REMEMBER_STAGES = f"""
INSERT INTO action_stages {_REMEMBERED}
 CROSS JOIN item_stages s ON s.item_id = chosen.value{_CONCERNED}
    ON CONFLICT DO UPDATE SET made = excluded.made WHERE made = 'lifted'
RETURNING item_id, json_array(item_id, stage)
"""

LIST_REMEMBERED = """
SELECT DISTINCT a.item_id
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value
"""

# What an act lets go on is not what it was asked for, but an undo has to put it back too.
REMEMBER_WAITING = f"""
INSERT INTO action_stages {_REMEMBERED}
 CROSS JOIN item_stages s INDEXED BY idx_item_stages_again ON s.item_id = chosen.value
 WHERE s.again = 'waits'
    ON CONFLICT DO NOTHING
RETURNING item_id, stage
"""

FORGET_STAGE = """
DELETE FROM action_stages WHERE action_id = :action_id AND item_id = :item_id AND stage = :stage
"""

# By the act itself, or by the end of what was cancelled and still ran.
NOTE_RELEASED = """
UPDATE action_stages
   SET made = 'pending'
 WHERE action_id = :action_id AND item_id IN (SELECT value FROM json_each(:item_ids))
   AND made IN ('done', 'failed', 'skipped')
   AND EXISTS (SELECT 1
                 FROM item_stages s
                WHERE s.item_id = action_stages.item_id AND s.stage = action_stages.stage
                  AND s.status = 'pending' AND s.again = 'runs')
"""

LOG_MOVES = """
INSERT INTO events (at, job_id, item_id, stage, attempt, kind, by, detail)
SELECT :now, s.job_id, s.item_id, s.stage, s.attempt, :kind, :by, :detail
  FROM json_each(:places) place
 CROSS JOIN item_stages s ON s.item_id = place.value ->> 0 AND s.stage = place.value ->> 1
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What an action asks of one batch: items of one job, a stage or all, by whom and why.

    `places` and `statuses` narrow it to some (item, stage), and to stages in these; None is any.
    """

    action_id: int
    act: Act
    job_id: str
    item_ids: Sequence[int]
    stage: str | None
    places: Sequence[tuple[int, str]] | None
    statuses: Sequence[str] | None
    by: str
    reason: str | None
    asked_at: int

    def sources(self, change: Change) -> list[str]:
        """List the statuses that a change starts from here."""
        return sorted(s for s in change.sources if self.statuses is None or s in self.statuses)


@dataclass(frozen=True, slots=True)
class Touched:
    """How much a batch changed."""

    stages: int = 0
    items: int = 0

    def count(self, act: Act) -> int:
        """Count what an act counts."""
        return self.items if act.counts == "items" else self.stages


COUNT_UNOPENED = """
SELECT count(*)
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.opened_at IS NULL
"""


def count_concerned(conn: Connection, asked: Asked, unopened: Sequence[str]) -> Touched:
    """
    Count what an act would change of a batch, and change nothing.

    `unopened` are the stages that an item gets when it is opened.
    """
    stages = items = 0
    for change in asked.act.changes:
        row = conn.execute(COUNT_CONCERNED, _bind(conn, asked, change)).fetchone()
        stages, items = stages + row[0], max(items, row[1])
    if _opens(asked):
        unborn = conn.execute(COUNT_UNOPENED, {"item_ids": json.dumps(list(asked.item_ids))}).fetchone()[0]
        wanted = find_stages(conn, asked.act, asked.job_id, asked.stage)
        each = len(unopened) if wanted is None else len(set(wanted) & set(unopened))
        stages, items = stages + unborn * each, items + unborn
    return Touched(stages, items)


def _opens(asked: Asked) -> bool:
    """Tell whether an act gives items their stages first: it is about ones that wait."""
    pending = any(Status.PENDING in asked.sources(change) for change in asked.act.changes)
    return asked.act.opens and pending and asked.places is None


def change_stages(conn: Connection, asked: Asked) -> Touched:
    """Do an act to a batch, in the caller's transaction; how many stages it touched, and items anew."""
    if _opens(asked):
        open_known(conn, asked.job_id, asked.item_ids)
    before = _list_remembered(conn, asked)
    places, touched = 0, set[int]()
    for change in asked.act.changes:
        rows = conn.execute(REMEMBER_STAGES, _bind(conn, asked, change)).fetchall()
        if rows:
            _make(conn, asked, change, f"[{','.join(row[1] for row in rows)}]")
        places += len(rows)
        touched.update(row[0] for row in rows)
    _release(conn, asked, touched)
    if asked.act.lifts_cancels:
        lift_cancels(conn, touched, asked.by, asked.action_id)
    recount_needs(conn, touched)
    conn.execute(NOTE_RELEASED, {"action_id": asked.action_id, "item_ids": json.dumps(list(touched))})
    return Touched(places, len(touched - before))


def _list_remembered(conn: Connection, asked: Asked) -> set[int]:
    """List the items that an earlier batch of an action has touched, where it counts items: each is counted once."""
    if asked.act.counts != "items":
        return set()
    chosen = {"action_id": asked.action_id, "item_ids": json.dumps(list(asked.item_ids))}
    return {row[0] for row in conn.execute(LIST_REMEMBERED, chosen)}


def _release(conn: Connection, asked: Asked, item_ids: Iterable[int]) -> None:
    """Let run what waited for what an act changed, and remember it as it was; what still waits is not remembered."""
    chosen = {"action_id": asked.action_id, "item_ids": json.dumps(list(item_ids)), "made": None}
    waiting = {(row[0], row[1]) for row in conn.execute(REMEMBER_WAITING, chosen).fetchall()}
    released = release_waiting(conn, item_ids, asked.by, {"action": asked.action_id})
    waiting -= {(one.item_id, one.stage) for one in released}
    conn.executemany(
        FORGET_STAGE,
        [{"action_id": asked.action_id, "item_id": item, "stage": stage} for item, stage in waiting],
    )


def _make(conn: Connection, asked: Asked, change: Change, places: str) -> None:
    if change.move is not None:
        log_moves(conn, places, change.move, asked.by, {"action": asked.action_id})
    conn.execute(
        change.statement, {"places": places, "now": now_ms(), "reason": asked.reason, "by": asked.by}
    )


def log_moves(conn: Connection, places: str, move: Move, by: str, detail: Mapping[str, Any]) -> None:
    """Record a move of each place, a JSON list of [item, stage], in the caller's transaction."""
    conn.execute(
        LOG_MOVES,
        {"places": places, "now": now_ms(), "kind": move.name, "by": by, "detail": json.dumps(dict(detail))},
    )


def _bind(conn: Connection, asked: Asked, change: Change) -> dict[str, Any]:
    stages = find_stages(conn, asked.act, asked.job_id, asked.stage)
    item_ids = json.dumps(list(asked.item_ids))
    if asked.act.only_ended_items:
        rows = conn.execute(LIST_ENDED_ITEMS, {"item_ids": item_ids})
        item_ids = json.dumps([row[0] for row in rows])
    return {
        "action_id": asked.action_id,
        "item_ids": item_ids,
        "stages": None if stages is None else json.dumps(stages),
        "sources": json.dumps(asked.sources(change)),
        "made": change.made,
        "until": asked.asked_at if asked.act.only_earlier else ANY_TIME,
        "only_waiting": change.only_waiting,
        "only_marked": change.only_marked,
        "only_unmarked": change.only_unmarked,
        "only_uncancelled": change.only_uncancelled,
        "places": _write_places(asked),
    }


def _write_places(asked: Asked) -> str | None:
    if asked.places is None or asked.act.only_ended_items or (asked.act.reach is Reach.REST and asked.stage):
        return None  # items were chosen by a stage of theirs; what is meant is the stage that was named
    return json.dumps([list(place) for place in asked.places], ensure_ascii=False, separators=(",", ":"))
