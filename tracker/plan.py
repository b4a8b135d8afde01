"""The order of a job's stages, as the tracker keeps it: which there are and what each needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tracker.clock import now_ms
from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

KEEP_DEFAULT = 3
"""How many older results of a stage are kept unless jobs.yaml says otherwise."""

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

    @property
    def keep(self) -> int:
        """How many of its older results are kept."""


Stages = Sequence["str | StageLike"]
"""A job's stages in order: bare names, each of which needs the one before it, or specifications."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """
    A job's stages in order, what each needs, and which are switched on.

    `made_of` is a hash of each stage's handler and parameters, by which it is known again under another name; a stage
    of which that is not known is absent. `keep` says how many older results of a stage are kept; 3 unless it does.
    """

    names: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    switched_on: frozenset[str]
    made_of: Mapping[str, str] = field(default_factory=dict, compare=False)
    keep: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def root(self) -> str | None:
        """The first stage that waits for no other: where an unopened item begins. None if all are off."""
        return next(
            (name for name in self.names if name in self.switched_on and not self._waits_for(name)), None
        )

    def _waits_for(self, name: str) -> frozenset[str]:
        return self.switched_on & set(self.needs[name])

    def ancestors(self, name: str) -> list[str]:
        """List the stages that this one needs, at any distance, in their order."""
        wanted, found = [*self.needs[name]], set[str]()
        while wanted:
            need = wanted.pop()
            if need not in found:
                found.add(need)
                wanted.extend(self.needs[need])
        return [need for need in self.names if need in found]

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
    keep = {stage.name: stage.keep for stage in stages if not isinstance(stage, str)}
    return StagePlan(tuple(names), needs, on, keep=keep)


READ_STAGES = "SELECT stage, position, switched_on FROM job_stages WHERE job_id = :job_id ORDER BY position"

READ_NEEDS = "SELECT need, stage FROM stage_needs WHERE job_id = :job_id ORDER BY need, stage"


MADE_OF = "SELECT stage, made_of FROM job_stages WHERE job_id = :job_id AND made_of IS NOT NULL"


def find_plan(conn: Connection, job_id: str) -> StagePlan | None:
    """Find the plan of a job that the tracker knows: the one that its items follow. None if it knows none yet."""
    asked = {"job_id": job_id}
    rows = conn.execute(READ_STAGES, asked).fetchall()
    if not rows:
        return None
    needs: dict[str, list[str]] = {stage: [] for stage, _, _ in rows}
    for need, stage in conn.execute(READ_NEEDS, asked):
        needs.setdefault(stage, []).append(need)
    return StagePlan(
        names=tuple(stage for stage, _, _ in rows),
        needs={stage: tuple(needed) for stage, needed in needs.items()},
        switched_on=frozenset(stage for stage, _, is_on in rows if is_on),
        made_of={row[0]: row[1] for row in conn.execute(MADE_OF, asked)},
        keep={row[0]: row[1] for row in conn.execute(KEPT, asked)},
    )


def is_remembered(conn: Connection, job_id: str, plan: StagePlan) -> bool:
    """Tell whether the tracker knows just this plan of the job, whatever its stages are made of."""
    asked = {"job_id": job_id}
    return [tuple(row) for row in conn.execute(READ_STAGES, asked)] == plan.as_rows() and [
        tuple(row) for row in conn.execute(READ_NEEDS, asked)
    ] == plan.as_edges()


FORGET_STAGES = "DELETE FROM job_stages WHERE job_id = :job_id"

FORGET_NEEDS = "DELETE FROM stage_needs WHERE job_id = :job_id"

REMEMBER_STAGE = """
INSERT INTO job_stages (job_id, stage, position, switched_on, made_of, keep)
VALUES (:job_id, :stage, :position, :switched_on, :made_of, :keep)
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
            {
                "job_id": job_id,
                "stage": stage,
                "position": position,
                "switched_on": on,
                "made_of": plan.made_of.get(stage),
                "keep": plan.keep.get(stage, KEEP_DEFAULT),
            }
            for stage, position, on in plan.as_rows()
        ],
    )
    conn.executemany(
        REMEMBER_NEED, [{"job_id": job_id, "need": need, "stage": stage} for need, stage in plan.as_edges()]
    )
    return True


KEPT = "SELECT stage, keep FROM job_stages WHERE job_id = :job_id"

REMEMBER_KEEP = "UPDATE job_stages SET keep = :keep WHERE job_id = :job_id AND stage = :stage"


def remember_keep(conn: Connection, job_id: str, plan: StagePlan) -> None:
    """Store how many older results of the known stages are kept now, if it is another number. Commits, if it writes."""
    known = {row[0]: row[1] for row in conn.execute(KEPT, {"job_id": job_id})}
    changed = {stage: keep for stage, keep in plan.keep.items() if known.get(stage, keep) != keep}
    if changed:
        with write(conn):
            conn.executemany(
                REMEMBER_KEEP,
                [{"job_id": job_id, "stage": stage, "keep": keep} for stage, keep in changed.items()],
            )


REMEMBER_MADE_OF = """
UPDATE job_stages SET made_of = :made_of WHERE job_id = :job_id AND stage = :stage AND made_of IS NOT :made_of
"""


def remember_made_of(conn: Connection, job_id: str, plan: StagePlan) -> None:
    """Store what the known stages of a job are made of now, if it is something else. Commits, if it writes."""
    known = {row[0]: row[1] for row in conn.execute(MADE_OF, {"job_id": job_id})}
    if plan.made_of.items() <= known.items():
        return
    with write(conn):
        conn.executemany(
            REMEMBER_MADE_OF,
            [
                {"job_id": job_id, "stage": stage, "made_of": made_of}
                for stage, made_of in plan.made_of.items()
            ],
        )


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
    plan is for `tracker.applying`, which brings all the job's items to it.
    """
    if conn.execute(READ_STAGES, {"job_id": job_id}).fetchone() is None:
        remember_plan(conn, job_id, plan)
    open_known(conn, job_id, item_ids)


def open_known(conn: Connection, job_id: str, item_ids: Sequence[int]) -> None:
    """Give items the stages that the tracker knows of their job, like `open_items`, in the caller's transaction."""
    asked = {"job_id": job_id, "item_ids": json.dumps(list(item_ids)), "now": now_ms()}
    conn.execute(OPEN_STAGES, asked | {"switched_off": SWITCHED_OFF})
    conn.execute(MARK_OPENED, asked)
