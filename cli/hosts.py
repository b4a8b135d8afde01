"""`celeriac hosts`: how often each host is asked, and which of them asked us to slow down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from tracker.hosts import HostReport


@click.command("hosts")
@limit_option
@json_option
def hosts_command(limit: int, *, as_json: bool) -> None:
    r"""
    List the hosts that were asked, their limits and pauses.

    All jobs and workers ask a host in turn. First come those that are paused, then those that asked us to slow down,
    then those asked last.

    \b
    Examples:
      celeriac hosts --limit 10
      celeriac hosts --json | jq -r '.[] | select(.throttled > 0) | .host'
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.hosts import list_hosts

    with reading() as conn:
        reports = list_hosts(conn, limit)
    if as_json:
        write_json(reports)
    elif reports:
        _show(reports)
    else:
        write_line("no host was asked yet", err=True)


def _show(reports: list[HostReport]) -> None:
    from cli.render import write_noted_table

    columns = ["host", "rate", "#requests", "#throttled", "next turn", "not asked until (UTC)", "why"]
    write_noted_table(columns, [_make_row(report) for report in reports])


def _make_row(report: HostReport) -> tuple[object, ...]:
    from cli.render import say_ago
    from tracker.clock import format_ms, now_ms

    now = now_ms()
    is_slowed = report.slowed_until is not None and report.slowed_until > now
    until, why = (format_ms(report.slowed_until), report.reason) if is_slowed else ("", "")
    if (pause := report.pause) is not None:
        until = format_ms(pause.until_at) or ("a probe succeeds" if pause.is_probing else "lifted")
        why = f"paused by {pause.by}: {pause.reason}"
    return (
        report.host,
        say_rate(report.interval_seconds),
        report.requests,
        report.throttled,
        say_ago(max(report.free_at, now)),
        until,
        why,
    )


def say_rate(interval_seconds: float) -> str:
    """
    Write the interval between two requests as a rate.

    >>> say_rate(0.1), say_rate(3), say_rate(0)
    ('10/s', '1/3s', '')
    """
    if interval_seconds <= 0:
        return ""
    return f"{1 / interval_seconds:.3g}/s" if interval_seconds < 1 else f"1/{interval_seconds:.3g}s"
