"""`celeriac approve`: let held items in, or make them known without running them."""

from __future__ import annotations

import click

from cli.options import json_option


@click.command("approve")
@click.argument("job")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only so many; without it, all.")
@click.option("--skip", is_flag=True, help="Make them known without running them.")
@json_option
def approve_command(job: str, limit: int | None, *, skip: bool, as_json: bool) -> None:
    r"""
    Let the held items of JOB in.

    They are new ones above its max_items or first_run_max, or of a source that suddenly gave far more than it
    used to. The earliest found go first. With --skip every stage of theirs counts as skipped.

    \b
    Examples:
      celeriac approve hacker-news --limit 100
      celeriac approve hacker-news --skip
    """
    from cli.acting import get_acting_runtime, report, who
    from runner import operate

    act = operate.dismiss if skip else operate.approve
    acted = act(get_acting_runtime(), job, who(), limit)
    done = "made known, and not run" if skip else "let in"
    report(acted, f"held items of {job} that were {done}: {acted.items}", as_json=as_json)
