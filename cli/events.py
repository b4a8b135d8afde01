"""`celeriac events`: what happened, and who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.reports import EventReport


@click.command("events")
@click.argument("job", required=False)
@limit_option
@json_option
def events_command(job: str | None, limit: int, *, as_json: bool) -> None:
    r"""
    List the newest events, the newest last.

    Of every job, or of one JOB: each move of a stage, each discovery, and what people did.

    \b
    Examples:
      celeriac events --limit 20
      celeriac events demo --json | jq -r '.[] | select(.kind == "fail") | .key'
    """
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.reports import list_event_reports

    with reading() as conn:
        if job is not None:
            require_job(conn, job)
        reports = list_event_reports(conn, job, limit=limit)[::-1]
    if as_json:
        write_json(reports)
    else:
        show_events(reports)


def show_events(events: Iterable[EventReport], *, of_one_item: bool = False) -> None:
    """Show events as a table; of one item without its job and key."""
    from cli.render import shorten, write_table
    from tracker.clock import format_ms

    whose = [] if of_one_item else ["job", "key"]
    write_table(
        ["at (UTC)", *whose, "stage", "#attempt", "what", "by", "detail"],
        [
            (
                format_ms(e.at),
                *(() if of_one_item else (e.job, e.key)),
                e.stage,
                e.attempt,
                e.kind,
                e.by,
                shorten(e.detail, 100) if e.detail else "",
            )
            for e in events
        ],
        "no event yet",
    )
