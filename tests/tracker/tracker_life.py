"""What must hold in a tracker at every moment, whatever has happened to it."""

from __future__ import annotations

from pipeline.lifecycle import MOVES, Status

MOVES_BY_NAME = {move.name: move for move in MOVES}
NO_MOVES = {"cutoff"}
"""The kinds of events of a stage that tell of no move."""

WRONG_CACHE = """
SELECT i.key, i.status, d.derived_status
  FROM work_items i
  JOIN item_derived_status d ON d.item_id = i.item_id
 WHERE i.status <> d.derived_status
"""

STAGE_COUNTS = """
SELECT job_id, stage, pending, in_progress, done, failed, skipped, queued, countdown, blocked, parked
  FROM stage_counts
 ORDER BY job_id, stage
"""

STAGES_COUNTED = """
SELECT job_id, stage, sum(status = 'pending'), sum(status = 'in_progress'), sum(status = 'done'),
       sum(status = 'failed'), sum(status = 'skipped'),
       sum(queued_at IS NOT NULL AND retry_at IS NULL), sum(queued_at IS NOT NULL AND retry_at IS NOT NULL),
       sum(status = 'pending' AND queued_at IS NULL AND needs_left > 0),
       sum(status = 'pending' AND queued_at IS NULL AND needs_left = 0 AND retry_at IS NOT NULL)
  FROM item_stages
 GROUP BY job_id, stage
 ORDER BY job_id, stage
"""

ITEM_COUNTS = "SELECT job_id, pending, in_progress, done, failed, skipped, unopened FROM item_counts"

ITEMS_COUNTED = """
SELECT job_id, sum(status = 'pending'), sum(status = 'in_progress'), sum(status = 'done'),
       sum(status = 'failed'), sum(status = 'skipped'), sum(opened_at IS NULL)
  FROM work_items
 GROUP BY job_id
"""

WRONG_NEEDS = """
SELECT s.item_id, s.stage, s.needs_left
  FROM item_stages s
 WHERE s.status = 'pending'
   AND s.needs_left <> (SELECT count(*)
                          FROM stage_needs n
                          JOIN item_stages needed ON needed.item_id = s.item_id AND needed.stage = n.need
                         WHERE n.job_id = s.job_id AND n.stage = s.stage
                           AND needed.status NOT IN ('done', 'skipped'))
"""

PENDING_THOUGH_SWITCHED_OFF = """
SELECT s.item_id, s.stage
  FROM item_stages s
 WHERE s.status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM job_stages p
                    WHERE p.job_id = s.job_id AND p.stage = s.stage AND p.switched_on)
"""

MISSING_STAGES = """
SELECT i.item_id, p.stage
  FROM work_items i
  JOIN job_stages p ON p.job_id = i.job_id AND p.switched_on
 WHERE i.opened_at IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM item_stages s WHERE s.item_id = i.item_id AND s.stage = p.stage)
"""

WRONG_MARKS = """
SELECT item_id, stage, status, again
  FROM item_stages
 WHERE (again = 'waits' AND status IN ('pending', 'in_progress'))
    OR (again = 'runs' AND status IN ('done', 'skipped'))
"""

WAITS_FOR_NOTHING = """
WITH RECURSIVE before (stage, need) AS (
    SELECT stage, need FROM stage_needs
    UNION
    SELECT before.stage, n.need FROM before JOIN stage_needs n ON n.stage = before.need
), switched_on (stage) AS (
    SELECT stage FROM job_stages WHERE switched_on
)
SELECT s.item_id, s.stage
  FROM item_stages s
 WHERE s.again = 'waits' AND s.stage IN switched_on
   AND NOT EXISTS (SELECT 1
                     FROM before
                     JOIN item_stages needed ON needed.item_id = s.item_id AND needed.stage = before.need
                    WHERE before.stage = s.stage
                      AND (needed.status NOT IN ('done', 'skipped')
                           OR (needed.again = 'waits' AND needed.stage IN switched_on)))
"""

RESERVED_FOR_NOTHING = """
SELECT r.item_id, r.stage
  FROM reservations r
  LEFT JOIN item_stages s ON s.item_id = r.item_id AND s.stage = r.stage
 WHERE coalesce(s.queued_at IS NULL AND s.status <> 'in_progress', 1)
"""

FRESH_THOUGH_ENDED = """
SELECT item_id FROM work_items WHERE fresh = 1 AND status IN ('done', 'failed', 'skipped')
"""

WRONG_GROUPS = """
SELECT g.group_id, g.failed
  FROM failure_groups g
 WHERE g.failed <> (SELECT count(*) FROM item_stages s WHERE s.status = 'failed' AND s.failure_group = g.group_id)
"""

FAILED_WITHOUT_GROUP = """
SELECT item_id, stage FROM item_stages WHERE status = 'failed' AND failure_group IS NULL
"""

OVER_BUDGET_THOUGH_NOT_WAITING = """
SELECT item_id, stage FROM item_stages WHERE over_budget = 1 AND status <> 'pending'
"""

NEVER_ANY = (
    OVER_BUDGET_THOUGH_NOT_WAITING,
    RESERVED_FOR_NOTHING,
    FRESH_THOUGH_ENDED,
    WRONG_CACHE,
    WRONG_NEEDS,
    PENDING_THOUGH_SWITCHED_OFF,
    MISSING_STAGES,
    WRONG_GROUPS,
    FAILED_WITHOUT_GROUP,
    WRONG_MARKS,
    WAITS_FOR_NOTHING,
)


def check_now(conn):
    """Check what must hold of the file as it is."""
    for sql in NEVER_ANY:
        assert conn.execute(sql).fetchall() == [], sql
    counted = [row for row in conn.execute(STAGE_COUNTS).fetchall() if any(row[2:])]
    assert counted == conn.execute(STAGES_COUNTED).fetchall()
    assert conn.execute(ITEM_COUNTS).fetchall() == conn.execute(ITEMS_COUNTED).fetchall()


def read_places(conn):
    """Read where every stage is: status and attempt by (item, stage)."""
    rows = conn.execute("SELECT item_id, stage, status, attempt FROM item_stages")
    return {(item_id, stage): (Status(status), attempt) for item_id, stage, status, attempt in rows}


def read_switched_on(conn):
    """Read the stages that the tracker takes to be switched on."""
    return {row[0] for row in conn.execute("SELECT stage FROM job_stages WHERE switched_on")}


def read_everything(conn):
    """Read every row that an attempt could change."""
    return [conn.execute(f"SELECT * FROM {table}").fetchall() for table in (  # noqa: S608 - our own names
        "item_stages", "work_items", "results", "failures", "events", "stage_counts", "stage_timings"
    )]  # fmt: skip


def check_step(before, after, events, switched_on):
    """
    Check that the events of a step lead from the places before it to those after it, by legal moves only.

    A stage that an item did not have is born pending, or skipped when it is switched off; one that jobs.yaml
    gained is reopened.
    """
    for place, (status, attempt) in after.items():
        kinds = [
            event["kind"]
            for event in events
            if (event["item_id"], event["stage"]) == place and event["kind"] not in NO_MOVES
        ]
        if place in before:
            now, attempt_before = before[place]
            assert attempt >= attempt_before, f"{place}: attempt {attempt} after {attempt_before}"
        else:
            is_on = place[1] in switched_on and kinds[:1] != ["reopen"]
            now = Status.PENDING if is_on else Status.SKIPPED
        for kind in kinds:
            move = MOVES_BY_NAME[kind]
            assert now in move.sources, f"{place}: {kind} from {now}"
            now = move.target
        assert now is status, f"{place} is {status}, its events {kinds} lead to {now}"
    assert before.keys() <= after.keys()
