"""Compare the stages of a job as the tracker has them with those of jobs.yaml: what is more, less or otherwise."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tracker.plan import StagePlan, make_plan
from tracker.planning import JobWeight, list_expected_costs, weigh_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.jobspec import JobSpec, StageSpec
    from tracker.connection import Connection

Kind = Literal[
    "job_added",
    "job_removed",
    "job_switched_off",
    "job_switched_on",
    "stage_added",
    "stage_removed",
    "stage_switched_off",
    "stage_switched_on",
    "stage_renamed",
    "stage_needs",
    "stage_order",
]


@dataclass(frozen=True, slots=True)
class Change:
    """
    One thing that jobs.yaml has otherwise than the tracker.

    `items` says how many items it touches, at most; of these `finished` ones are reopened. `was` is the stage's
    earlier name, or what it needed; `now` what it needs, or the order. `usd` is what its items are expected to cost,
    by the stage's own history, None without one. `certain` tells of a rename that handler and parameters are the
    same.
    """

    kind: Kind
    stage: str | None = None
    items: int = 0
    finished: int = 0
    was: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    usd: float | None = None
    certain: bool = False


MORE_TO_DO = frozenset({"stage_added", "stage_switched_on"})
"""The changes that give items more to do."""


def describe_plan(job: JobSpec) -> StagePlan:
    """Give the order of a job's stages as jobs.yaml has it, and what each is made of."""
    return replace(make_plan(job.stages), made_of={stage.name: _hash_stage(stage) for stage in job.stages})


def _hash_stage(stage: StageSpec) -> str:
    spelled = json.dumps([stage.handler, dict(stage.params)], sort_keys=True, default=str)
    return hashlib.blake2b(spelled.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def compare_stages(
    conn: Connection, name: str, known: StagePlan, plan: StagePlan, *, with_renames: bool = True
) -> tuple[Change, ...]:
    """Compare the stages of a job as the tracker has them with those of jobs.yaml, in the order of jobs.yaml."""
    if known == plan:
        return ()
    weight, costs = weigh_job(conn, name), list_expected_costs(conn, name)
    renames = find_renames(weight, known, plan) if with_renames else {}
    renamed = [
        Change("stage_renamed", new, weight.of(old).rows, was=(old,), certain=certain)
        for old, (new, certain) in renames.items()
    ]
    names = {old: new for old, (new, _) in renames.items()}
    known, weight = rename_stages(known, names), weight.renamed(names)
    changes = [*_compare_lists(weight, known, plan), *_compare_needs(weight, known, plan)]
    return (*renamed, *(_with_cost(one, costs) for one in changes))


def _with_cost(change: Change, costs: Mapping[str, float]) -> Change:
    each = costs.get(change.stage or "") if change.kind in MORE_TO_DO else None
    return change if each is None else replace(change, usd=change.items * each)


def _compare_lists(weight: JobWeight, known: StagePlan, plan: StagePlan) -> Iterator[Change]:
    for stage in plan.names:
        was_on, is_on = stage in known.switched_on, stage in plan.switched_on
        of = weight.of(stage)
        more = weight.opened - of.rows + of.switched_off
        finished = min(weight.finished, more)
        if stage not in known.names:
            yield Change("stage_added", stage, more if is_on else 0, finished if is_on else 0)
        elif is_on and not was_on:
            yield Change("stage_switched_on", stage, more, finished)
        elif was_on and not is_on:
            yield Change("stage_switched_off", stage, of.pending)
    for stage in known.names:
        if stage not in plan.names:
            yield Change("stage_removed", stage, weight.of(stage).pending)


def _compare_needs(weight: JobWeight, known: StagePlan, plan: StagePlan) -> Iterator[Change]:
    both = [stage for stage in plan.names if stage in known.names]
    for stage in both:
        if set(known.needs[stage]) != set(plan.needs[stage]):
            pending = weight.of(stage).pending
            yield Change("stage_needs", stage, pending, was=known.needs[stage], now=plan.needs[stage])
    before = [stage for stage in known.names if stage in both]
    if before != both:
        yield Change("stage_order", was=tuple(before), now=tuple(both))


# -- renames ----------------------------------------------------------------------------------------------


def find_renames(weight: JobWeight, known: StagePlan, plan: StagePlan) -> dict[str, tuple[str, bool]]:
    """
    Find the stages that are likely to have been renamed: by old name the new one, and whether that is certain.

    One that is gone and one that is new are likely the same if they are made of the same handler and parameters, or
    stand at the same place. A stage that no item has is not asked about.
    """
    gone = [stage for stage in known.names if stage not in plan.names and weight.of(stage).rows]
    new = [stage for stage in plan.names if stage not in known.names and not weight.of(stage).rows]
    found: dict[str, tuple[str, bool]] = {}
    for old in gone:
        made_of = known.made_of.get(old)
        same = [stage for stage in new if made_of is not None and plan.made_of.get(stage) == made_of]
        if len(same) == 1:
            found[old] = same[0], True
            new.remove(same[0])
    for old in gone:
        place = known.names.index(old)
        if old not in found and place < len(plan.names) and plan.names[place] in new:
            found[old] = plan.names[place], False
            new.remove(plan.names[place])
    return found


def rename_stages(plan: StagePlan, names: Mapping[str, str]) -> StagePlan:
    """Give stages of a plan other names, by their present ones."""
    return StagePlan(
        names=tuple(names.get(stage, stage) for stage in plan.names),
        needs={
            names.get(stage, stage): tuple(names.get(need, need) for need in needs)
            for stage, needs in plan.needs.items()
        },
        switched_on=frozenset(names.get(stage, stage) for stage in plan.switched_on),
        made_of={names.get(stage, stage): made_of for stage, made_of in plan.made_of.items()},
    )
