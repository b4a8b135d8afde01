"""`celeriac items` and `celeriac show`: items, and everything about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.filtering import Asked, filter_option
from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tracker.item_attempts import AttemptFailure, AttemptOfItem
    from tracker.item_reports import FailureReport, StageOfItem, WholeItemReport

STATUSES = ["pending", "in_progress", "done", "failed", "skipped"]


@click.command("items")
@click.argument("job", required=False)
@filter_option
@click.option(
    "--status", type=click.Choice(STATUSES), help="Only items of this status; with --stage, stages."
)
@click.option("--stage", metavar="STAGE", help="Only this stage of each item, and its status.")
@click.option(
    "--count", "only_count", is_flag=True, help="Only say how many; above 100,000 it may be 'at least'."
)
@click.option("--exact", is_flag=True, help="With --count: count to the end, however long it takes.")
@click.option("--after", metavar="PLACE", help="Go on where the page before ended, as it said.")
@limit_option
@json_option
def items_command(
    job: str | None,
    filter_text: str | None,
    status: str | None,
    stage: str | None,
    after: str | None,
    limit: int,
    *,
    only_count: bool,
    exact: bool,
    as_json: bool,
) -> None:
    r"""
    List items, of JOB or of all jobs, or stages of items.

    Of a JOB alone the newest come first, or with --status those of the highest priority. With --filter, --stage
    or --after they come page by page, the oldest first; a filter with a word about stages lists stages.

    \b
    Examples:
      celeriac items hacker-news --status failed
      celeriac items --filter 'job:hacker-news stage:article error:Timeout age:>2d'
      celeriac items demo --filter 'text:"rate limit"' --count
      celeriac items demo --limit 1000 --json | jq -r '.[].key'
    """
    if exact and not only_count:
        raise click.UsageError("--exact belongs to --count")
    if only_count and after is not None:
        raise click.UsageError("--count counts all of them; --after is for a page")
    if job is not None and not only_count and filter_text is stage is after is None:
        _list_newest(job, status, limit, as_json=as_json)
    else:
        from cli.selected import count_selected, list_selected

        asked = Asked(job, filter_text, status, stage)
        if only_count:
            count_selected(asked, exact=exact, as_json=as_json)
        else:
            list_selected(asked, after, limit, as_json=as_json)


def _list_newest(job: str, status: str | None, limit: int, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import say_ago, write_json, write_table
    from pipeline.lifecycle import Status
    from tracker.item_reports import list_item_reports

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
    write_table(["key", "status", "#priority", "discovered", "stages"], rows, "no such item")


@click.command("show")
@click.argument("job")
@click.argument("key")
@json_option
def show_command(job: str, key: str, *, as_json: bool) -> None:
    r"""
    Show everything about one item.

    Its data, its stages, their results, its last attempts with what they logged and how they failed, and the newest
    50 events.

    \b
    Example:
      celeriac show demo argparse.py
    """
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.item_reports import get_whole_item_report

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
    _show_history(report)
    shown = {(one.stage, one.attempt) for one in report.attempts}
    for failure in report.failures:
        if (failure.stage, failure.attempt) not in shown:
            _show_failure(failure.stage, failure.attempt, failure)
    for attempt in reversed(report.attempts):
        _show_attempt(attempt)
    if report.events:
        out.print("\nevents:", style="bold")
        show_events(report.events, of_one_item=True)


def _show_attempt(attempt: AttemptOfItem) -> None:
    from cli.render import out
    from runner.saying import say_no_log

    if attempt.failure is not None:
        _show_failure(attempt.stage, attempt.attempt, attempt.failure)
    if attempt.log is not None:
        out.print(f"\nattempt {attempt.attempt} of {attempt.stage} logged:", style="bold", markup=False)
        out.print(attempt.log.text, markup=False, highlight=False)
    elif attempt.log_is_lost:
        said = f"\nattempt {attempt.attempt} of {attempt.stage}: {say_no_log(attempt)}"
        out.print(said, style="dim", markup=False)


def _show_failure(stage: str, attempt: int, failure: AttemptFailure | FailureReport) -> None:
    from cli.render import out

    out.print(f"\nattempt {attempt} of {stage} failed:", style="bold red", markup=False)
    out.print((failure.traceback or failure.message).rstrip(), markup=False)


def _show_results(results: Mapping[str, Any]) -> None:
    from cli.render import out, shorten

    for stage, result in results.items():
        out.print(f"\nresult of {stage}:", style="bold", markup=False)
        for name, value in result.items():
            out.print(f"  {name}: {shorten(value, 160)}", markup=False)


def _show_history(report: WholeItemReport) -> None:
    from cli.render import out, say_when, shorten

    for one in report.history:
        made = f"attempt {one.attempt}, version {one.handler_version or '-'}"
        said = f"older result of {one.stage} ({made}), replaced {say_when(one.replaced_at)}"
        out.print(f"\n{said}:", style="dim", markup=False)
        out.print(f"  {shorten(one.result, 160)}", style="dim", markup=False)


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
