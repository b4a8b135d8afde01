"""`celeriac health`: is work being settled?"""

from __future__ import annotations

import click

from cli import exit_codes
from cli.options import json_option


@click.command("health")
@click.option(
    "--within",
    type=click.IntRange(1),
    default=180,
    show_default=True,
    metavar="SECONDS",
    help="How long may pass without a sweep, or with stages sent and none settled.",
)
@json_option
def health_command(within: int, *, as_json: bool) -> None:
    r"""
    Tell whether work is being settled.

    Exit code 0 if so, 1 if not; for the health checks of containers. Unhealthy is: no sweep for SECONDS, or
    stages sent to workers more than SECONDS ago and none settled since.

    \b
    Example:
      celeriac health --within 600
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.backlog import read_health

    with reading() as conn:
        health = read_health(conn, within)
    if as_json:
        write_json(health)
    else:
        click.echo(health.reason)
    raise click.exceptions.Exit(exit_codes.OK if health.healthy else exit_codes.FAILED)
