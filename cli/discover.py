"""`celeriac discover`: look for a job's items, now and here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.options import json_option

if TYPE_CHECKING:
    from runner.discover import Discovered


@click.command("discover")
@click.argument("job")
@json_option
def discover_command(job: str, *, as_json: bool) -> None:
    r"""
    Look for JOB's items now and store them.

    In this process; workers take the items up when they run. Exit code 5 if the source is away.

    \b
    Example:
      celeriac discover hacker-news && celeriac items hacker-news
    """
    from cli.acting import get_acting_runtime
    from cli.render import write_json
    from runner.discover import discover

    found = discover(get_acting_runtime(), job)
    if found is None:
        click.echo(f"{job}: somebody else is looking", err=True)
        return
    if as_json:
        write_json(found)
    else:
        say_discovered(found)
    raise click.exceptions.Exit(code_of(found))


def say_discovered(found: Discovered) -> None:
    """Tell, on standard error, what a discovery came to."""
    from cli.render import say_when

    if found.error is None:
        refused = f", {found.refused} refused" if found.refused else ""
        click.echo(f"{found.job}: {found.found} found, {found.new} new{refused}", err=True)
    else:
        again = f"; retry at {say_when(found.retry_at)}" if found.retry_at else ""
        click.echo(f"{found.job}: {found.error}{again}", err=True)


def code_of(found: Discovered) -> int:
    """Give the exit code for what a discovery came to."""
    if found.error is None:
        return exit_codes.OK
    return exit_codes.SOURCE if found.retry_at else exit_codes.FAILED
