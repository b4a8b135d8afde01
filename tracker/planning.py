"""What a change of jobs.yaml would touch: the states of jobs, and numbers from counters and covering indexes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.stats import get_job_stats, stage_stats

if TYPE_CHECKING:
    from collections.abc import Mapping

JobState = Literal["on", "off", "gone"]

LIST_STATES = "SELECT job_id, state FROM job_states ORDER BY job_id"


def list_job_states(conn: Connection) -> dict[str, JobState]:
    """List the jobs that jobs.yaml ever had, by name, each with its state as it was last applied."""
    return dict(tuple(row) for row in conn.execute(LIST_STATES))


NOTE_STATE = """
INSERT INTO job_states (job_id, state, applied_at)
VALUES (:job_id, :state, :now)
    ON CONFLICT DO UPDATE
   SET state = excluded.state, applied_at = excluded.applied_at
 WHERE state <> excluded.state
"""


def note_job_states(conn: Connection, states: Mapping[str, JobState], by: str) -> None:
    """Note what became of jobs in jobs.yaml, each change with its event. Commits, and writes only what is new."""
    if states.items() <= list_job_states(conn).items():
        return
    with write(conn):
        known = list_job_states(conn)
        for job_id, state in states.items():
            if known.get(job_id) == state:
                continue
            conn.execute(NOTE_STATE, {"job_id": job_id, "state": state, "now": now_ms()})
            if job_id in known:  # that a job is new is no news: its first discovery is
                append_event(conn, job_id, "apply_job", None, None, None, by, {"state": state})


@dataclass(frozen=True, slots=True)
class StageWeight:
    """
    How much there is of one stage of a job.

    `rows` are items that have it, whatever its status; of these `pending` wait, `running` are under way, and
    `switched_off` were skipped because jobs.yaml had it switched off.
    """

    rows: int = 0
    pending: int = 0
    running: int = 0
    switched_off: int = 0


@dataclass(frozen=True, slots=True)
class JobWeight:
    """How many items a job has: `opened` have stages, `finished` are through them."""

    opened: int
    finished: int
    stages: Mapping[str, StageWeight]

    def of(self, stage: str) -> StageWeight:
        """Tell how much there is of a stage, which no item need have."""
        return self.stages.get(stage, StageWeight())

    def renamed(self, names: Mapping[str, str]) -> JobWeight:
        """Give the same with other names of stages, by their present ones."""
        return replace(self, stages={names.get(stage, stage): one for stage, one in self.stages.items()})


SWITCHED_OFF_COUNT = """
SELECT count(*)
  FROM item_stages INDEXED BY idx_item_stages_switched_off
 WHERE job_id = :job_id AND stage = :stage
   AND status = 'skipped' AND reason = 'switched off in jobs.yaml'
"""


def weigh_job(conn: Connection, job_id: str) -> JobWeight:
    """Tell how many items a job has, and how many of them have each of its stages."""
    items = get_job_stats(conn, job_id)
    weights = {}
    for stage, counts in stage_stats(conn, job_id).items():
        off = 0
        if counts["skipped"]:
            off = conn.execute(SWITCHED_OFF_COUNT, {"job_id": job_id, "stage": stage}).fetchone()[0]
        rows = sum(counts[name] for name in ("pending", "in_progress", "done", "failed", "skipped"))
        weights[stage] = StageWeight(rows, counts["pending"], counts["in_progress"], off)
    return JobWeight(
        opened=items["total"] - items["unopened"],
        finished=items["done"] + items["skipped"],
        stages=weights,
    )


EXPECTED_COSTS = """
SELECT stage, usd / attempts FROM stage_costs WHERE job_id = :job_id AND attempts > 0
"""


def list_expected_costs(conn: Connection, job_id: str) -> dict[str, float]:
    """Give what one attempt of each stage cost on average, in US dollars, where any cost is known."""
    return dict(tuple(row) for row in conn.execute(EXPECTED_COSTS, {"job_id": job_id}))
