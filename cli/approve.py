"""`celeriac approve`: let held items in, or make them known without running them."""

from __future__ import annotations

import click

from cli.options import WholeNumber, json_option

LISTED = 50
"""How many are shown unless told."""


@click.command("approve")
@click.argument("job")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Only so many; without it, all.")
@click.option("--skip", is_flag=True, help="Make them known without running them.")
@click.option("--list", "only_list", is_flag=True, help="Only show them: 50, or as many as --limit says.")
@json_option
def approve_command(job: str, limit: int | None, *, skip: bool, only_list: bool, as_json: bool) -> None:
    r"""
    Let the held items of JOB in.

    They are new ones above its max_items or first_run_max, or of a source that suddenly gave far more than it
    used to. The earliest found go first. With --skip every stage of theirs counts as skipped.

    \b
    Examples:
      celeriac approve hacker-news --list
      celeriac approve hacker-news --limit 100
      celeriac approve hacker-news --skip
    """
    from cli.acting import get_acting_runtime, report, who
    from runner import operate

    if only_list and skip:
        raise click.UsageError("--list only shows; --skip is another wish")
    if only_list:
        _list(job, limit or LISTED, as_json=as_json)
        return
    act = operate.dismiss if skip else operate.approve
    acted = act(get_acting_runtime(), job, who(), limit)
    done = "made known, and not run" if skip else "let in"
    report(acted, f"held items of {job} that were {done}: {acted.items}", as_json=as_json)


def _list(job: str, limit: int, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import err, say_ago, shorten, write_json, write_table
    from tracker.held import count_held, list_held

    with reading() as conn:
        require_job(conn, job)
        found, total = list_held(conn, job, limit), count_held(conn, job)
    if as_json:
        write_json(found)
        return
    rows = [(one.key, one.source, say_ago(one.held_at), shorten(one.data)) for one in found]
    write_table(["key", "source", "found", "data"], rows, f"nothing of {job} waits for approval")
    if total > len(found):
        err.print(f"and {total - len(found):,} more: --limit {total}")
