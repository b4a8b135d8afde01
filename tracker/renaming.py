"""
Give a stage another name, wherever the tracker has it.

What the next stage depends on is renamed in one transaction: the items' stages, results, failures and counters. The
history, events and costs, follows batch by batch; a row of `stage_renames` says how far, so that it may be killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError, OperatorError
from tracker.actions import list_unfinished
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.late_costs import TAKE_LATE_COSTS
from tracker.stats import stage_stats

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTORY_AT_ONCE = 2000
"""How many events, and how many costs, one transaction looks through."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A stage of a job that has another name now, and how many items have it."""

    job: str
    was: str
    stage: str
    items: int


def rename_stage(conn: Connection, job_id: str, old: str, new: str, by: str | None = None) -> Renamed:
    """
    Give a stage another name. Its messages on the way find nothing to claim, and are sent again under the new one.

    Raises `NotFoundError` for a stage that the job has not, and `OperatorError` when the new name is taken, attempts
    of it run, or an earlier rename or an action is not through. `carry_history` does the rest. Commits.
    """
    with write(conn):
        counts = stage_stats(conn, job_id)
        _refuse(conn, job_id, old, new, counts)
        asked = {"job_id": job_id, "old": old, "new": new, "now": now_ms()}
        for statement in (
            TAKE_BACK,
            FORGET_EMPTY_COUNTS,
            DROP_SHORTER_PAUSE,
            *TAKE_LATE_COSTS,
            *RENAMES.values(),
        ):
            conn.execute(statement, asked)
        conn.execute(NOTE_RENAME, asked)
        of = counts.get(old, {})
        items = sum(of.get(name, 0) for name in ("pending", "in_progress", "done", "failed", "skipped"))
        append_event(conn, job_id, "rename_stage", None, new, None, by, {"was": old, "items": items})
    return Renamed(job_id, old, new, items)


KNOWN_STAGES = "SELECT stage FROM job_stages WHERE job_id = :job_id ORDER BY position"


def _refuse(
    conn: Connection, job_id: str, old: str, new: str, counts: Mapping[str, Mapping[str, int]]
) -> None:
    known = [row[0] for row in conn.execute(KNOWN_STAGES, {"job_id": job_id})]
    there = [*known, *(stage for stage, of in counts.items() if any(of.values()) and stage not in known)]
    if old not in there:
        raise NotFoundError(f"stage of job {job_id!r} named", old, find_nearest(old, there))
    if new in there:
        raise OperatorError(f"job {job_id!r} has a stage {new!r} already")
    if running := counts.get(old, {}).get("in_progress", 0):
        raise OperatorError(
            f"attempts of {job_id}.{old} run ({running}): celeriac pause {job_id}, wait for them, then try again"
        )
    if any(renamed.job == job_id for renamed in list_renames(conn)):
        raise OperatorError(f"an earlier rename of a stage of {job_id!r} is not through yet: try again soon")
    if any(action.job_id in {job_id, None} for action in list_unfinished(conn)):
        raise OperatorError(
            f"somebody's action on {job_id!r} is not through yet, and may name the stage: try again soon"
        )


TAKE_BACK = """
UPDATE item_stages
   SET queued_at = NULL, resend_at = NULL
 WHERE job_id = :job_id AND stage = :old AND status = 'pending' AND queued_at IS NOT NULL
"""

# What waits for the rename may be paused under both names: the pause that ends first goes.
DROP_SHORTER_PAUSE = """
DELETE FROM pauses
 WHERE scope = 'stage' AND job_id = :job_id AND host = ''
   AND stage = (SELECT iif(o.until_at < coalesce(n.until_at, o.until_at + 1), :old, :new)
                  FROM pauses o
                  JOIN pauses n ON n.scope = 'stage' AND n.job_id = :job_id AND n.stage = :new AND n.host = ''
                 WHERE o.scope = 'stage' AND o.job_id = :job_id AND o.stage = :old AND o.host = '')
"""

FORGET_EMPTY_COUNTS = "DELETE FROM stage_counts WHERE job_id = :job_id AND stage = :new"

# -- by table, counters first: triggers that count find them under the new name -----------------------------

RENAME_COUNTS = "UPDATE stage_counts SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_TIMINGS = "UPDATE stage_timings SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_MINUTES = "UPDATE stage_minutes SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_STAGE_COSTS = "UPDATE stage_costs SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_SPENT_DAYS = "UPDATE spent_days SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_SPENT_UNITS = "UPDATE spent_units SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_RATE = "UPDATE rates SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_IN_PLAN = "UPDATE job_stages SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_NEEDS = """
UPDATE stage_needs
   SET need = iif(need = :old, :new, need), stage = iif(stage = :old, :new, stage)
 WHERE job_id = :job_id AND :old IN (need, stage)
"""
RENAME_ITEM_STAGES = """
UPDATE item_stages
   SET stage = :new
 WHERE job_id = :job_id AND stage = :old
   AND status <> 'in_progress'                  -- the index's own words; none runs, or it is refused
"""
RENAME_RESULTS = "UPDATE results SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_VERSIONS = "UPDATE result_versions SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_OLD_RESULTS = """
UPDATE results_history
   SET stage = :new
 WHERE stage = :old AND item_id IN (SELECT item_id FROM results WHERE job_id = :job_id AND stage = :new)
"""
RENAME_USES = """
UPDATE artifact_uses
   SET stage = :new
 WHERE kind = 'result' AND stage = :old
   AND id IN (SELECT item_id FROM results WHERE job_id = :job_id AND stage = :new)
"""
RENAME_FAILURES = "UPDATE failures SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_LOGS = """
UPDATE attempt_logs
   SET stage = :new
 WHERE stage = :old AND job_id = :job_id
   AND item_id IN (SELECT item_id FROM item_stages WHERE job_id = :job_id AND stage = :new AND status <> 'in_progress')
"""
RENAME_FAILURE_GROUPS = "UPDATE failure_groups SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_FAILURE_ROWS = "UPDATE failure_rows SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_PAUSES = "UPDATE pauses SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_PROBES = "UPDATE probes SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_HOLDS = "UPDATE budget_holds SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_RESERVATIONS = "UPDATE reservations SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_FINGERPRINTS = "UPDATE fingerprints SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_BANDS = "UPDATE fingerprint_bands SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_PROGRESS = "UPDATE progress SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_HOST_WAITS = """
UPDATE host_waits
   SET stage = :new
 WHERE stage = :old AND (SELECT job_id FROM work_items i WHERE i.item_id = host_waits.item_id) = :job_id
"""
RENAME_ACTIONS = "UPDATE actions SET stage = :new WHERE job_id = :job_id AND stage = :old"
RENAME_IN_ACTIONS = """
UPDATE action_stages
   SET stage = :new
 WHERE action_id IN (SELECT action_id FROM actions WHERE job_id = :job_id OR job_id IS NULL)
   AND stage = :old AND (SELECT job_id FROM work_items i WHERE i.item_id = action_stages.item_id) = :job_id
"""

RENAMES = {
    "stage_counts": RENAME_COUNTS,
    "stage_timings": RENAME_TIMINGS,
    "stage_minutes": RENAME_MINUTES,
    "stage_costs": RENAME_STAGE_COSTS,
    "spent_days": RENAME_SPENT_DAYS,
    "spent_units": RENAME_SPENT_UNITS,
    "rates": RENAME_RATE,
    "job_stages": RENAME_IN_PLAN,
    "stage_needs": RENAME_NEEDS,
    "item_stages": RENAME_ITEM_STAGES,
    "results": RENAME_RESULTS,
    "result_versions": RENAME_VERSIONS,
    "results_history": RENAME_OLD_RESULTS,
    "artifact_uses": RENAME_USES,
    "failures": RENAME_FAILURES,
    "attempt_logs": RENAME_LOGS,
    "failure_groups": RENAME_FAILURE_GROUPS,
    "failure_rows": RENAME_FAILURE_ROWS,
    "pauses": RENAME_PAUSES,
    "probes": RENAME_PROBES,
    "budget_holds": RENAME_HOLDS,
    "reservations": RENAME_RESERVATIONS,
    "fingerprints": RENAME_FINGERPRINTS,
    "fingerprint_bands": RENAME_BANDS,
    "progress": RENAME_PROGRESS,
    "host_waits": RENAME_HOST_WAITS,
    "actions": RENAME_ACTIONS,
    "action_stages": RENAME_IN_ACTIONS,
}
"""Every table that names stages, but the history, and how one is renamed there. A test finds those left out."""

# -- the history ------------------------------------------------------------------------------------------

NOTE_RENAME = """
INSERT INTO stage_renames (job_id, stage, was, renamed_at, until_event_id, until_cost_id)
VALUES (:job_id, :new, :old, :now,
        coalesce((SELECT max(event_id) FROM events), 0), coalesce((SELECT max(cost_id) FROM costs), 0))
"""

LIST_RENAMES = """
SELECT r.job_id, r.was, r.stage, coalesce(c.pending + c.in_progress + c.done + c.failed + c.skipped, 0)
  FROM stage_renames r
  LEFT JOIN stage_counts c ON c.job_id = r.job_id AND c.stage = r.stage
 ORDER BY r.renamed_at
"""


def list_renames(conn: Connection) -> list[Renamed]:
    """List the renames whose history is not through, the earliest first."""
    return [Renamed(*row) for row in conn.execute(LIST_RENAMES)]


NEXT_EVENTS = """
SELECT max(event_id)
  FROM (SELECT e.event_id
          FROM events e INDEXED BY idx_events_job
         WHERE e.job_id = :job_id
           AND e.event_id > (SELECT after_event_id FROM stage_renames WHERE job_id = :job_id AND was = :old)
           AND e.event_id <= (SELECT until_event_id FROM stage_renames WHERE job_id = :job_id AND was = :old)
         ORDER BY e.event_id
         LIMIT :limit)
"""

RENAME_EVENTS = """
UPDATE events INDEXED BY idx_events_job
   SET stage = :new
 WHERE job_id = :job_id AND stage = :old AND event_id <= :upto
   AND event_id > (SELECT after_event_id FROM stage_renames WHERE job_id = :job_id AND was = :old)
"""

RENAME_COSTS = """
UPDATE costs
   SET stage = :new
 WHERE +job_id = :job_id AND stage = :old
   AND cost_id > (SELECT after_cost_id FROM stage_renames WHERE job_id = :job_id AND was = :old)
   AND cost_id <= (SELECT min(until_cost_id, after_cost_id + :limit)
                     FROM stage_renames
                    WHERE job_id = :job_id AND was = :old)
"""

NOTE_HISTORY = """
UPDATE stage_renames
   SET after_event_id = coalesce(:upto, until_event_id), after_cost_id = min(until_cost_id, after_cost_id + :limit)
 WHERE job_id = :job_id AND was = :old
"""

END_RENAME = """
DELETE FROM stage_renames
 WHERE job_id = :job_id AND was = :old AND after_event_id >= until_event_id AND after_cost_id >= until_cost_id
"""


def carry_history(conn: Connection, renamed: Renamed, limit: int = HISTORY_AT_ONCE) -> bool:
    """Give the next `limit` events and costs the new name. False when all have it. Commits."""
    asked = {"job_id": renamed.job, "old": renamed.was, "new": renamed.stage, "limit": limit}
    with write(conn):
        asked["upto"] = conn.execute(NEXT_EVENTS, asked).fetchone()[0]
        conn.execute(RENAME_EVENTS, asked)
        conn.execute(RENAME_COSTS, asked)
        conn.execute(NOTE_HISTORY, asked)
        conn.execute(END_RENAME, asked)
        return not conn.changes() and _is_under_way(conn, renamed)


IS_UNDER_WAY = "SELECT 1 FROM stage_renames WHERE job_id = :job_id AND was = :old"


def _is_under_way(conn: Connection, renamed: Renamed) -> bool:
    asked = {"job_id": renamed.job, "old": renamed.was}
    return conn.execute(IS_UNDER_WAY, asked).fetchone() is not None
