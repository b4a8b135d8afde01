"""`celeriac items` and `celeriac show`: the items of a job, and everything about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tracker.reports import StageOfItem, WholeItemReport

STATUSES = ["pending", "in_progress", "done", "failed", "skipped"]


@click.command("items")
@click.argument("job")
@click.option("--status", type=click.Choice(STATUSES), help="Only items of this status.")
@limit_option
@json_option
def items_command(job: str, status: str | None, limit: int, *, as_json: bool) -> None:
    r"""
    List items of JOB.

    The newest come first, or with --status those of the highest priority.

    \b
    Examples:
      celeriac items hacker-news --status failed
      celeriac items demo --limit 1000 --json | jq -r '.[].key'
    """
    from cli.reading import reading, require_job
    from cli.render import say_ago, write_json, write_table
    from pipeline.lifecycle import Status
    from tracker.reports import list_item_reports

    with reading() as conn:
        require_job(conn, job)
        reports = list_item_reports(conn, job, Status(status) if status else None, limit)
    if as_json:
        write_json(reports)
        return
    rows = [
        (
            one.key,
            one.status,
            one.priority,
            say_ago(one.discovered_at),
            " ".join(f"{stage}:{state}" for stage, state in one.stages.items()),
        )
        for one in reports
    ]
    write_table(["key", "status", "#priority", "discovered", "stages"], rows)


@click.command("show")
@click.argument("job")
@click.argument("key")
@json_option
def show_command(job: str, key: str, *, as_json: bool) -> None:
    r"""
    Show everything about one item.

    Its data, its stages, their results, each failed attempt with its traceback, and the newest 50 events.

    \b
    Example:
      celeriac show demo argparse.py
    """
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.reports import get_whole_item_report

    with reading() as conn:
        require_job(conn, job)
        report = get_whole_item_report(conn, job, key)
    if as_json:
        write_json(report)
    else:
        show_item(report)


def show_item(report: WholeItemReport) -> None:
    """Show one item in full."""
    from cli.events import show_events
    from cli.progress import say_progress
    from cli.render import out, say_when, shorten

    out.print(f"{report.job}  {report.key}  {report.status}", style="bold", markup=False)
    out.print(f"discovered {say_when(report.discovered_at)}; priority {report.priority}", markup=False)
    out.print(f"data: {shorten(report.data, 200)}\n", markup=False)
    if report.stages:
        _show_stages_of_item(report.stages)
    else:
        out.print("no stage has been sent yet")
    for told in report.progress:
        out.print(f"\n{told.stage} is at {say_progress(told)}", style="cyan", markup=False)
    _show_results(report.results)
    for failure in report.failures:
        out.print(f"\nattempt {failure.attempt} of {failure.stage} failed:", style="bold red", markup=False)
        out.print((failure.traceback or failure.message).rstrip(), markup=False)
    if report.events:
        out.print("\nevents:", style="bold")
        show_events(report.events, of_one_item=True)


def _show_results(results: Mapping[str, Any]) -> None:
    from cli.render import out, shorten

    for stage, result in results.items():
        out.print(f"\nresult of {stage}:", style="bold", markup=False)
        for name, value in result.items():
            out.print(f"  {name}: {shorten(value, 160)}", markup=False)


def _show_stages_of_item(stages: list[StageOfItem]) -> None:
    from cli.render import say_ago, write_table

    columns = ["stage", "status", "#attempt", "started", "#took", "reason"]
    write_table(
        columns,
        [
            (s.stage, s.status, s.attempt, say_ago(s.started_at), _say_taken(s), _say_reason(s))
            for s in stages
        ],
    )


def _say_taken(stage: StageOfItem) -> str:
    from pipeline.durations import format_duration

    if stage.started_at is None or stage.ended_at is None:
        return ""
    return format_duration((stage.ended_at - stage.started_at) / 1000)


def _say_reason(stage: StageOfItem) -> str:
    from cli.render import say_when

    again = f"retry at {say_when(stage.retry_at)}" if stage.retry_at else ""
    return "; ".join(part for part in (stage.reason, again) if part)
