"""The order of a job's stages, as the tracker keeps it: which there are and what each needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tracker.clock import now_ms

if TYPE_CHECKING:
    from tracker.connection import Connection

SWITCHED_OFF = "switched off in jobs.yaml"
"""The reason of a stage that was skipped because jobs.yaml no longer has it, or has it disabled."""


class StageLike(Protocol):
    """What the tracker asks of a stage; `pipeline.jobspec.StageSpec` has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def needs(self) -> Sequence[str]:
        """The stages that it needs, directly."""

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""


Stages = Sequence["str | StageLike"]
"""A job's stages in order: bare names, each of which needs the one before it, or specifications."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A job's stages in order, what each needs, and which are switched on."""

    names: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    switched_on: frozenset[str]

    @property
    def root(self) -> str | None:
        """The first stage that waits for no other: where an unopened item begins. None if all are off."""
        return next(
            (name for name in self.names if name in self.switched_on and not self._waits_for(name)), None
        )

    def _waits_for(self, name: str) -> frozenset[str]:
        return self.switched_on & set(self.needs[name])

    def as_rows(self) -> list[tuple[str, int, int]]:
        """Give (stage, position, switched on) for each stage."""
        return [(name, position, int(name in self.switched_on)) for position, name in enumerate(self.names)]

    def as_edges(self) -> list[tuple[str, str]]:
        """Give (need, stage) for each need, sorted."""
        return sorted((need, stage) for stage, needs in self.needs.items() for need in needs)


def make_plan(stages: Stages | StagePlan) -> StagePlan:
    """Make a plan of names or specifications; an empty list raises ValueError."""
    if isinstance(stages, StagePlan):
        return stages
    if not stages:
        raise ValueError("a job has at least one stage")
    names = [stage if isinstance(stage, str) else stage.name for stage in stages]
    needs = {
        name: tuple(names[position - 1 : position] if isinstance(stage, str) else stage.needs)
        for position, (name, stage) in enumerate(zip(names, stages, strict=True))
    }
    on = frozenset(
        name for name, stage in zip(names, stages, strict=True) if isinstance(stage, str) or stage.enabled
    )
    return StagePlan(tuple(names), needs, on)


READ_STAGES = "SELECT stage, position, switched_on FROM job_stages WHERE job_id = :job_id ORDER BY position"

READ_NEEDS = "SELECT need, stage FROM stage_needs WHERE job_id = :job_id ORDER BY need, stage"


def is_remembered(conn: Connection, job_id: str, plan: StagePlan) -> bool:
    """Tell whether the tracker knows just this plan of the job."""
    asked = {"job_id": job_id}
    return [tuple(row) for row in conn.execute(READ_STAGES, asked)] == plan.as_rows() and [
        tuple(row) for row in conn.execute(READ_NEEDS, asked)
    ] == plan.as_edges()


FORGET_STAGES = "DELETE FROM job_stages WHERE job_id = :job_id"

FORGET_NEEDS = "DELETE FROM stage_needs WHERE job_id = :job_id"

REMEMBER_STAGE = """
INSERT INTO job_stages (job_id, stage, position, switched_on)
VALUES (:job_id, :stage, :position, :switched_on)
"""

REMEMBER_NEED = "INSERT INTO stage_needs (job_id, need, stage) VALUES (:job_id, :need, :stage)"


def remember_plan(conn: Connection, job_id: str, plan: StagePlan) -> bool:
    """Store the plan in the caller's transaction; True when it differed from the one stored."""
    if is_remembered(conn, job_id, plan):
        return False
    conn.execute(FORGET_STAGES, {"job_id": job_id})
    conn.execute(FORGET_NEEDS, {"job_id": job_id})
    conn.executemany(
        REMEMBER_STAGE,
        [
            {"job_id": job_id, "stage": stage, "position": position, "switched_on": on}
            for stage, position, on in plan.as_rows()
        ],
    )
    conn.executemany(
        REMEMBER_NEED, [{"job_id": job_id, "need": need, "stage": stage} for need, stage in plan.as_edges()]
    )
    return True


# CROSS JOIN keeps SQLite to this order: the few chosen items first, not all that were never opened.
OPEN_STAGES = """
INSERT INTO item_stages (item_id, stage, job_id, position, priority, needs_left, status, ended_at, reason)
SELECT i.item_id, p.stage, i.job_id, p.position, i.priority,
       (SELECT count(*)
          FROM stage_needs n
          JOIN job_stages needed ON needed.job_id = n.job_id AND needed.stage = n.need AND needed.switched_on
         WHERE n.job_id = p.job_id AND n.stage = p.stage),
       iif(p.switched_on, 'pending', 'skipped'),
       iif(p.switched_on, NULL, :now),
       iif(p.switched_on, NULL, :switched_off)
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 CROSS JOIN job_stages p ON p.job_id = i.job_id
 WHERE i.job_id = :job_id AND i.opened_at IS NULL
"""

MARK_OPENED = """
UPDATE work_items
   SET opened_at = :now
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND +job_id = :job_id AND opened_at IS NULL
"""


def open_items(conn: Connection, job_id: str, item_ids: Sequence[int], plan: StagePlan) -> None:
    """
    Give the items of one job their stage rows, in the caller's transaction; the open ones stay as they are.

    They get the stages that the tracker knows of the job, and `plan` only if it knows none yet: a changed
    plan is for `tracker.recovery.apply_plan`, which brings all the job's items to it.
    """
    if conn.execute(READ_STAGES, {"job_id": job_id}).fetchone() is None:
        remember_plan(conn, job_id, plan)
    asked = {"job_id": job_id, "item_ids": json.dumps(list(item_ids)), "now": now_ms()}
    conn.execute(OPEN_STAGES, asked | {"switched_off": SWITCHED_OFF})
    conn.execute(MARK_OPENED, asked)
