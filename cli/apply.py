"""`celeriac apply` and `celeriac rename-stage`: bring the items on record to what jobs.yaml has now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from cli import exit_codes
from cli.acting import get_acting_runtime, who
from cli.lines import confirm, write_line
from cli.options import json_option
from runner.saying import say_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.planning import JobPlan
    from runner.runtime import Runtime
    from runner.stage_changes import Change


@click.command("apply")
@click.argument("job", required=False)
@click.option("--yes", is_flag=True, help="Do not ask before it is applied.")
@click.option(
    "--no-renames", is_flag=True, help="Take no stage for renamed: the old one is removed, the new one added."
)
@json_option
def apply_command(job: str | None, *, yes: bool, no_renames: bool, as_json: bool) -> None:
    r"""
    Apply what `celeriac plan` shows.

    To all jobs, or to one JOB. Items are brought to the new stages batch by batch, while everything runs. It may be
    stopped or killed at any moment: the next `apply`, or any running worker, goes on. A stage that was likely renamed
    is asked about.

    \b
    Examples:
      celeriac apply hacker-news
      celeriac apply --yes
    """
    from cli.plan import show_plans
    from cli.render import write_json
    from runner.planning import plan_jobs

    runtime = get_acting_runtime()
    _require_job(runtime, job)
    plans = plan_jobs(runtime.tracker, runtime.jobs, job, with_renames=not no_renames)
    show_plans(plans, [], runtime.jobs.apply_above, err=True)
    renames = [(plan.job, one) for plan in plans for one in _ask_about_renames(plan, yes=yes)]
    if plans and not yes and not _is_wanted():
        write_line("nothing was applied (--yes applies without asking)", err=True)
        raise click.exceptions.Exit(exit_codes.FAILED)
    done = _apply(runtime, plans, renames)
    if as_json:
        write_json(done)


def _require_job(runtime: Runtime, job: str | None) -> None:
    from cli.reading import require_job

    if job is not None and job not in runtime.jobs.jobs:
        require_job(runtime.tracker, job)


def _ask_about_renames(plan: JobPlan, *, yes: bool) -> list[Change]:
    renamed = [one for one in plan.changes if one.kind == "stage_renamed"]
    if renamed and (yes or not sys.stdin.isatty()):
        old, new = renamed[0].was[0], renamed[0].stage
        raise click.UsageError(
            f"is {new!r} of {plan.job} the new name of {old!r}? "
            f"If it is: celeriac rename-stage {plan.job} {old} {new}; if not: --no-renames"
        )
    return [one for one in renamed if confirm(f"Is {one.stage} the new name of {one.was[0]}?")]


def _is_wanted() -> bool:
    try:
        return confirm("Apply this?")
    except click.Abort:  # Ctrl-C, or nobody there to answer
        write_line(err=True)
        return False


def _apply(
    runtime: Runtime, plans: Sequence[JobPlan], renames: Sequence[tuple[str, Change]]
) -> list[dict[str, Any]]:
    from cli.long_work import telling_how_far
    from runner.applying import apply_job, rename
    from runner.dispatch import dispatch_job

    for job, one in renames:
        rename(runtime, job, one.was[0], one.stage or "", who())
    done: list[dict[str, Any]] = []
    with telling_how_far() as tell:
        for plan in plans:
            last = None
            for last in apply_job(runtime, plan.job, who()):
                tell(f"applying {plan.job}", last.looked, last.items)
            spec = runtime.jobs.jobs.get(plan.job)
            sent = dispatch_job(runtime, spec) if spec is not None and spec.enabled else 0
            done.append(
                {
                    "act": "apply",
                    "job": plan.job,
                    "renamed": {one.was[0]: one.stage for job, one in renames if job == plan.job},
                    "items": last.items if last else 0,
                    "sent": sent,
                }
            )
    for each in done:
        write_line(f"{each['job']}: applied, {say_count(each['items'], 'item')} looked at", err=True)
    return done


@click.command("rename-stage")
@click.argument("job")
@click.argument("old")
@click.argument("new")
@json_option
def rename_stage_command(job: str, old: str, new: str, *, as_json: bool) -> None:
    r"""
    Give the stage OLD of JOB its NEW name.

    In jobs.yaml first, then by this command everywhere in the tracker: its items, results, failures, costs, times and
    events. Refused while attempts of the stage run: pause the job, and wait for them.

    \b
    Example:
      celeriac rename-stage hacker-news fetch download
    """
    from dataclasses import asdict

    from cli.render import write_json
    from runner.applying import rename
    from runner.dispatch import dispatch_job

    runtime = get_acting_runtime()
    renamed = rename(runtime, job, old, new, who())
    sent = dispatch_job(runtime, runtime.jobs.get_job(job))
    if as_json:
        write_json({"act": "rename-stage", **asdict(renamed), "sent": sent})
    else:
        write_line(f"{old} of {job} is called {new}, for {say_count(renamed.items, 'item')}", err=True)
