"""`celeriac discover`: look for a job's items, now and here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import WholeNumber, json_option
from cli.piped import find_piped_input

if TYPE_CHECKING:
    from runner.discover import Discovered


@click.command("discover")
@click.argument("job")
@click.option(
    "--dry-run", is_flag=True, help="Store nothing; print what would be found, and what of it is new."
)
@click.option(
    "--limit",
    type=WholeNumber(1),
    metavar="N",
    help="With --dry-run: stop when so many are found.  [default: 20]",
)
@json_option
def discover_command(job: str, limit: int | None, *, dry_run: bool, as_json: bool) -> None:
    r"""
    Look for JOB's items now and store them.

    In this process; workers take the items up when they run. Exit code 5 if the source is away. With --dry-run
    nothing is stored: it prints what would be found, which of it the job knows already, and what each field of
    the data holds. A job whose strategy is stdin_lines finds what is piped in.

    \b
    Examples:
      celeriac discover hacker-news && celeriac items hacker-news
      celeriac discover hacker-news --dry-run --limit 5
      tail -f urls.txt | celeriac discover articles
    """
    if dry_run:
        _try_out(job, limit or 20, as_json=as_json)
    elif limit is not None:
        raise click.UsageError("--limit is for --dry-run; max_items in jobs.yaml bounds what is stored")
    else:
        _discover(job, as_json=as_json)


def _try_out(job: str, limit: int, *, as_json: bool) -> None:
    from cli.trying import show_trial, trying
    from runner.trial import try_job

    with trying() as runtime:
        runtime.stdin = find_piped_input()
        trial = try_job(runtime, job, limit)
    show_trial(trial, as_json=as_json)


def _discover(job: str, *, as_json: bool) -> None:
    from cli.acting import get_acting_runtime
    from cli.render import write_json
    from runner.discover import Discovered, discover

    runtime = get_acting_runtime()
    runtime.stdin = find_piped_input()
    found = discover(runtime, job) or Discovered(job, skipped="somebody else took up this look")
    if as_json:
        write_json(found)
    else:
        say_discovered(found)
    raise click.exceptions.Exit(code_of(found))


def say_discovered(found: Discovered) -> None:
    """Tell, on standard error, what a discovery came to."""
    from cli.render import say_when

    if found.skipped is not None:
        write_line(f"{found.job}: not looked: {found.skipped}", err=True)
    elif found.error is None:
        write_line(f"{found.job}: {found.found} found, {found.new} new{_say_more(found)}", err=True)
    else:
        again = f"; retry at {say_when(found.retry_at)}" if found.retry_at else ""
        write_line(f"{found.job}: {found.error}{again}", err=True)
    if found.held:
        write_line(f"{found.held} wait for: celeriac approve {found.job}", err=True)


def _say_more(found: Discovered) -> str:
    from runner.saying import say_reasons

    counts = {"changed": found.changed, "held": found.held, "refused": found.refused}
    said = "".join(f", {count} {word}" for word, count in counts.items() if count)
    return said + (f" ({say_reasons(found.refused_for)})" if found.refused_for else "")


def code_of(found: Discovered) -> int:
    """Give the exit code for what a discovery came to."""
    if found.error is None:
        return exit_codes.OK
    return exit_codes.SOURCE if found.retry_at else exit_codes.FAILED
