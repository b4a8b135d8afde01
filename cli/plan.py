"""`celeriac plan`: what jobs.yaml would change of the items on record."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option
from pipeline.money import format_usd
from runner.plan_words import describe_change
from runner.saying import say_count, say_counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.filespec import JobsFile
    from runner.planning import JobPlan, StaleStage
    from tracker.connection import Connection


@click.command("plan")
@click.argument("job", required=False)
@click.option("--exit-code", is_flag=True, help="Exit with 7 if there is anything to apply.")
@json_option
def plan_command(job: str | None, *, exit_code: bool, as_json: bool) -> None:
    r"""
    Show what jobs.yaml would change.

    Of all jobs, or of one JOB: stages added, gone, switched on or off, renamed, with other needs or in another
    order; how many items that touches and what it is expected to cost. Nothing is changed. Running processes take
    up what touches few items by themselves, and leave the rest for `celeriac apply`.

    \b
    Examples:
      celeriac plan
      celeriac plan hacker-news --exit-code
    """
    from cli.render import write_json
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from runner.planning import list_stale_stages, plan_jobs

    jobs = load_jobs_file(load_settings().jobs)
    with _reading_if_there() as conn:
        _require_job(conn, jobs, job)
        plans = plan_jobs(conn, jobs, job)
        stale = list_stale_stages(conn, jobs, job)
    if as_json:
        write_json({"jobs": plans, "stale": stale, "to_apply": bool(plans)})
    else:
        show_plans(plans, stale, jobs.apply_above)
    if exit_code and plans:
        raise click.exceptions.Exit(exit_codes.CHANGES)


@contextmanager
def _reading_if_there() -> Iterator[Connection]:
    """Open the tracker for reading, or an empty one if there is none yet: then all is new."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from cli.reading import reading
    from pipeline.settings import load_settings
    from tracker.connection import open_db

    if load_settings().db_path.exists():
        with reading() as conn:
            yield conn
        return
    with TemporaryDirectory(prefix="celeriac-") as folder, open_db(Path(folder) / "tracker.db") as conn:
        yield conn


def _require_job(conn: Connection, jobs: JobsFile, job: str | None) -> None:
    from cli.reading import require_job

    if job is not None and job not in jobs.jobs:
        require_job(conn, job)


# -- in words ---------------------------------------------------------------------------------------------


def show_plans(
    plans: Sequence[JobPlan], stale: Sequence[StaleStage], apply_above: int, *, err: bool = False
) -> None:
    """Show what would change, job by job, and the sum of it."""
    for plan in plans:
        write_line(f"{plan.job}:", err=err)
        for line in _describe(plan, apply_above):
            write_line(f"  {line}", err=err)
    for one in stale:
        cost = f", about {format_usd(one.usd)} to do again" if one.usd else ""
        stale_ones = f"{say_counted(one.results, '[result is|results are]')} stale"
        write_line(f"~ {one.job}.{one.stage}: {stale_ones}{cost}: celeriac stale {one.job}", err=err)
    write_line(_sum_up(plans), err=err)


def _sum_up(plans: Sequence[JobPlan]) -> str:
    if not plans:
        return "nothing to apply: the tracker follows jobs.yaml"
    usd = sum(plan.usd for plan in plans)
    cost = f", about {format_usd(usd)}" if usd else ""
    items = sum(plan.items for plan in plans)
    touched = f", at most {say_count(items, 'item')}" if items else ""
    return f"plan: {say_count(len(plans), 'job')} to change{touched}{cost}"


def _describe(plan: JobPlan, apply_above: int) -> Iterable[str]:
    for change in plan.changes:
        yield describe_change(plan.job, change)
    if plan.under_way is not None:
        on = plan.under_way
        yield f"  being applied: {on.looked:,} of {on.items:,} items looked at"
    if plan.renames:
        yield f"  held: say what became of the stage: celeriac apply {plan.job}"
    elif plan.held:
        yield f"  held, as it touches more than apply_above ({apply_above:,}) items: celeriac apply {plan.job}"
