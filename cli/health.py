"""`celeriac health`: is work being settled?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import WholeNumber, json_option

if TYPE_CHECKING:
    from tracker.backlog import Health


@click.command("health")
@click.option(
    "--within",
    type=WholeNumber(1),
    default=180,
    show_default=True,
    metavar="SECONDS",
    help="How long may pass without a sweep, or with stages sent and none settled.",
)
@click.option(
    "--remote", is_flag=True, help="Of a machine with remote workers alone: does the broker answer?"
)
@json_option
def health_command(within: int, *, remote: bool, as_json: bool) -> None:
    r"""
    Tell whether work is being settled.

    Exit code 0 if so, 1 if not; for the health checks of containers. Unhealthy is: no sweep for SECONDS, or
    stages sent to workers more than SECONDS ago and none settled since.

    \b
    Examples:
      celeriac health --within 600
      celeriac health --remote
    """
    from cli.render import write_json

    health = _ask_broker() if remote else _read(within)
    if as_json:
        write_json(health)
    else:
        write_line(health.reason)
    raise click.exceptions.Exit(exit_codes.OK if health.healthy else exit_codes.FAILED)


def _read(within: int) -> Health:
    from cli.reading import reading
    from tracker.backlog import read_health

    with reading() as conn:
        return read_health(conn, within)


def _ask_broker() -> Health:
    from pipeline.settings import load_settings
    from runner.broker import find_broker_url, is_reachable
    from tracker.backlog import Health

    answers = is_reachable(find_broker_url(load_settings()))
    return Health(answers, "the broker answers" if answers else "the broker does not answer")
