"""`celeriac failures` and `celeriac failures show`: what failed alike is one thing to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.filtering import Asked, filter_option
from cli.lines import write_line
from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from tracker.failures import FailureGroups, GroupReport


@click.command("failures")
@click.argument("job", required=False)
@filter_option
@click.option(
    "--all", "with_all", is_flag=True, help="Muted groups too, and those of which nothing is failed now."
)
@limit_option
@json_option
def failures_command(
    job: str | None, filter_text: str | None, limit: int, *, with_all: bool, as_json: bool
) -> None:
    r"""
    List what failed, grouped by what is alike.

    One row for each error at one stage and host, of JOB or of all jobs: how many stages are failed with it now,
    when it was first and last seen, under which versions of the handler, and one item as an example.

    \b
    Examples:
      celeriac failures
      celeriac failures hacker-news --filter 'stage:article error:Timeout'
      celeriac failures --all --json | jq -r '.groups[].signature'
    """
    from cli.filtering import read_filter
    from cli.reading import reading
    from cli.render import write_json
    from tracker.failures import list_groups

    with reading() as conn:
        wanted = read_filter(conn, Asked(job, filter_text))
        found = list_groups(conn, wanted, with_all=with_all, limit=limit)
    if as_json:
        write_json(found)
    else:
        _show(found)


def _show(found: FailureGroups) -> None:
    from cli.render import say_ago, write_noted_table

    write_noted_table(
        ["id", "#failed", "job", "stage", "host", "first", "last", "versions", "example", "signature"],
        [
            (
                group.id,
                f"{group.failed:,}",
                group.job,
                group.stage,
                group.host or "",
                say_ago(group.first_seen_at),
                say_ago(group.last_seen_at),
                _say_versions(group.versions),
                group.example_key or "",
                f"{group.signature}{' (muted)' if group.muted_at else ''}",
            )
            for group in found.groups
        ],
        none="nothing is failed of what is asked for",
    )
    if not found.is_complete:
        write_line("there are more: only 100,000 failed stages were looked at; name a job or stage", err=True)
    if found.muted:
        write_line(f"muted groups: {found.muted:,} (--all shows them)", err=True)


def _say_versions(versions: list[str]) -> str:
    shown = [version[:12] for version in versions[:3]]
    return " ".join(shown) + (f" and {len(versions) - 3} more" if len(versions) > 3 else "")


@click.command("failures show")
@click.argument("group", metavar="ID")
@limit_option
@json_option
def failures_show_command(group: str, limit: int, *, as_json: bool) -> None:
    r"""
    Show one group of failures.

    Its last failure with the traceback, and the items that are failed with it now. ID is what `celeriac
    failures` shows, or the beginning of it.

    \b
    Examples:
      celeriac failures show 3f2a9c01
      celeriac failures show 3f2a9c01 --limit 1000 --json | jq -r '.stages[].key'
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.failures import get_group_report

    with reading() as conn:
        report = get_group_report(conn, group, limit)
    if as_json:
        write_json(report)
    else:
        _show_group(report)


def _show_group(report: GroupReport) -> None:
    from cli.render import out, say_when, write_table

    group, example = report.group, report.example
    at = f" at {group.host}" if group.host else ""
    out.print(f"{group.id}  {group.job}.{group.stage}{at}", style="bold", markup=False)
    out.print(group.signature, markup=False)
    out.print(f"stages that are failed with it now: {group.failed:,}", markup=False)
    seen = f"the first {say_when(group.first_seen_at)}, the last {say_when(group.last_seen_at)}"
    out.print(f"attempts that ever failed so: {group.attempts:,}; {seen}", markup=False)
    if group.versions:
        out.print(f"versions: {_say_versions(group.versions)}", markup=False)
    if group.muted_at:
        out.print(f"muted by {group.muted_by} {say_when(group.muted_at)}", style="yellow", markup=False)
    if example:
        out.print(f"\nattempt {example.attempt} of {example.key}:", style="bold red", markup=False)
        out.print((example.traceback or example.message).rstrip(), markup=False)
    out.print()
    write_table(
        ["key", "#attempt", "reason"], [(one.key, one.attempt, one.reason or "") for one in report.stages]
    )
    if len(report.stages) < group.failed:
        write_line(f"shown: {len(report.stages):,} of {group.failed:,} (--limit)", err=True)
