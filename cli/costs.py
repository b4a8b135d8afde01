"""`celeriac costs`: what was spent, by job, stage, model or day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option
from pipeline.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.costs import By, CostReport


@click.command("costs")
@click.argument("job", required=False)
@click.option(
    "--by",
    type=click.Choice(["job", "stage", "model", "day"]),
    help="What to add up by; without it, by job, or by stage of one JOB.",
)
@click.option(
    "--since", metavar="WHEN", help="Only what was spent since then: a span such as 7d, or a date in UTC."
)
@json_option
def costs_command(job: str | None, by: By | None, since: str | None, *, as_json: bool) -> None:
    r"""
    Show what was spent, by all jobs or by one JOB.

    Failed attempts count too. What is of unknown price is counted beside the sum.

    \b
    Examples:
      celeriac costs --since 7d
      celeriac costs papers --by model
      celeriac costs --by day --since 2026-11-01 --json
    """
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.costs import read_costs

    since_ms = read_since(since)
    with reading() as conn:
        if job is not None:
            require_job(conn, job)
        found = read_costs(conn, job, by, since_ms)
    if as_json:
        write_json(found)
    else:
        _show(found.by, found.costs, found.total)


def read_since(since: str | None) -> int:
    """Read what `--since` was given, as Unix ms; 0 for nothing."""
    from pipeline.problems import InvalidValueError
    from pipeline.since import Since
    from tracker.clock import to_ms

    if since is None:
        return 0
    try:
        return to_ms(Since.parse(since).instant())
    except InvalidValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


def _show(by: By, reports: list[CostReport], total: CostReport) -> None:
    from cli.render import out, write_table
    from tracker.costs import HEADINGS

    if not reports:
        out.print("nothing was spent")
        return
    write_table(
        [*HEADINGS[by], "#spent", "#costs", "units"],
        [
            (
                *(getattr(report, name) or "-" for name in HEADINGS[by]),
                say_spent(report.usd, report.unknown),
                report.costs,
                say_units(report.units),
            )
            for report in reports
        ],
    )
    out.print(f"\ntotal: {say_spent(total.usd, total.unknown)}", markup=False)


def say_spent(usd: float, unknown: int) -> str:
    """
    Write a sum, and beside it how many costs are of unknown price.

    >>> say_spent(1.234, 4), say_spent(0.0, 2), say_spent(0.00042, 0)
    ('$1.23 and 4 of unknown price', '2 of unknown price', '$0.0004')
    """
    if unknown and not usd:
        return f"{unknown} of unknown price"
    return format_usd(usd) + (f" and {unknown} of unknown price" if unknown else "")


def say_units(units: Mapping[str, Any]) -> str:
    """
    Write counts by their names.

    >>> say_units({"input_tokens": 1200, "output_tokens": 40, "audio_seconds": 1.5})
    '1,200 input tokens, 40 output tokens, 1.5 audio seconds'
    """
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in units.items())
