"""What people read of a change of jobs.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.money import format_usd
from runner.saying import agree, say_count, say_counted

if TYPE_CHECKING:
    from runner.planning import JobPlan
    from runner.stage_changes import Change


def say_held(plan: JobPlan) -> str:
    """Say in one line what of jobs.yaml is not in force for a job yet, and what to do."""
    if plan.under_way is not None:
        return f"new stages are being applied: {plan.under_way.looked:,} of {plan.under_way.items:,} items"
    if plan.renames:
        old, new = plan.renames[0]
        what = f"{old} may be called {new} now in jobs.yaml"
    elif plan.reopens:
        what = f"jobs.yaml would reopen {say_count(plan.reopens, 'item')}"
    else:
        what = f"jobs.yaml would change the stages of {say_count(plan.items, 'item')}"
    return f"{what}: celeriac plan, celeriac apply"


def describe_change(job: str, change: Change) -> str:
    """Describe one change: `+` is more, `-` is less, `~` is otherwise."""
    return agree(_WORDS[change.kind], with_one=change.items == 1).format(
        stage=change.stage,
        items=say_count(change.items, "item"),
        pending=f"{change.items:,}",
        finished=f", {say_counted(change.finished, _FINISHED)}" if change.finished else "",
        cost="" if change.usd is None else f", about {format_usd(change.usd)}",
        was=", ".join(change.was) or "nothing",
        now=", ".join(change.now) or "nothing",
        why="same handler and parameters"
        if change.certain
        else "same place, another handler or other parameters",
        rename=f"celeriac rename-stage {job} {change.was[0]} {change.stage}" if change.was else "",
    )


_FINISHED = "finished [one is|ones are] reopened"

_WORDS = {
    "job_added": "+ job is new, with the stages {now}",
    "job_removed": "- job is gone from jobs.yaml: nothing of it is run, {items} stay[s|] unfinished; "
    "all stays on record",
    "job_switched_off": "- job is switched off: nothing of it is run, {items} stay[s|] unfinished",
    "job_switched_on": "+ job is switched on again: {items} [is|are] unfinished",
    "stage_added": "+ {stage} is new: {items} get[s|] it{finished}{cost}",
    "stage_switched_on": "+ {stage} is switched on again: {items} get[s|] it{finished}{cost}",
    "stage_removed": "- {stage} is gone: {pending} that [waits is|wait are] skipped; results stay",
    "stage_switched_off": "- {stage} is switched off: {pending} that [waits is|wait are] skipped",
    "stage_renamed": "~ {was} is called {stage} now? ({why}) {items} [has|have] it: {rename}",
    "stage_needs": "~ {stage} needs {now}, and needed {was}: {pending} that [waits is|wait are] looked at again",
    "stage_order": "~ the order is {now}; it was {was}",
}
