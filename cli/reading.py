"""The commands that read: they open the tracker read-only, and change nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.main import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.jobs_file import JobsFile
    from tracker.connection import Connection
    from tracker.reports import JobReport, ResultReport, WholeItemReport

STATUSES = ["pending", "in_progress", "done", "failed", "skipped"]


@contextmanager
def reading() -> Iterator[Connection]:
    """Open the tracker for reading."""
    from pipeline.settings import load_settings
    from tracker.connection import open_readonly

    with open_readonly(load_settings().db_path) as conn:
        yield conn


def require_job(conn: Connection, job: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a job that neither the tracker nor jobs.yaml knows."""
    from pipeline.catalog import find_nearest
    from pipeline.errors import NotFoundError
    from tracker.reports import list_job_names

    known = set(list_job_names(conn))
    if job in known:
        return
    jobs, _ = _read_jobs_file()
    if jobs is None or job not in jobs.jobs:
        known |= set(jobs.jobs if jobs else ())
        raise NotFoundError("job", job, find_nearest(job, sorted(known)))


def _read_jobs_file() -> tuple[JobsFile | None, str | None]:
    """Read jobs.yaml, or say why it is refused; reading goes on without it."""
    from pipeline.errors import JobsFileError
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings

    try:
        return load_jobs_file(load_settings().jobs), None
    except JobsFileError as error:
        return None, str(error)


@click.command("status")
@click.argument("job", required=False)
@json_option
def status_command(job: str | None, *, as_json: bool) -> None:
    r"""
    Show every job, or one JOB with its stages.

    \b
    Examples:
      celeriac status
      celeriac status demo
      celeriac status --json | jq '.jobs[] | select(.failed > 0)'
    """
    from cli.render import as_data, write_json
    from tracker.reports import get_job_report, list_job_reports, list_stage_reports

    _, refusal = _read_jobs_file()
    with reading() as conn:
        if job is not None:
            require_job(conn, job)
            report, stages = get_job_report(conn, job), list_stage_reports(conn, job)
            if as_json:
                write_json(
                    {
                        "job": as_data(report),
                        "stages": [as_data(one) for one in stages],
                        "jobs_file_refused": refusal,
                    }
                )
            else:
                show_jobs([report])
                show_stages(stages)
        elif as_json:
            jobs = [as_data(one) for one in list_job_reports(conn)]
            write_json({"jobs": jobs, "jobs_file_refused": refusal})
        else:
            show_jobs(list_job_reports(conn))
    if refusal and not as_json:
        click.echo(f"\njobs.yaml is refused; running processes keep the last good one:\n{refusal}", err=True)


def show_jobs(reports: Iterable[JobReport]) -> None:
    """Show jobs as a table."""
    from cli.render import write_table

    columns = [
        "job",
        "#items",
        "#pending",
        "#in progress",
        "#done",
        "#failed",
        "#skipped",
        "last look",
        "note",
    ]
    write_table(
        columns,
        [
            (
                one.job,
                one.total,
                one.pending,
                one.in_progress,
                one.done,
                one.failed,
                one.skipped,
                _say_discovery(one),
                _say_note(one),
            )
            for one in reports
        ],
    )


def _say_discovery(report: JobReport) -> str:
    from cli.render import say_when

    look = report.discovery
    if look is None:
        return "never"
    if look.ended_at is None:
        return f"running since {say_when(look.started_at)}"
    if look.error is not None:
        return f"failed {say_when(look.ended_at)}"
    return f"{look.found} found, {look.new} new, {say_when(look.ended_at)}"


def _say_note(report: JobReport) -> str:
    from cli.render import say_when

    if report.pause is not None:
        until = f" until {say_when(report.pause.until_at)}" if report.pause.until_at else ""
        return f"paused by {report.pause.by}: {report.pause.reason}{until}"
    if report.discovery is not None and report.discovery.error is not None:
        again = f"; retry {say_when(report.discovery.retry_at)}" if report.discovery.retry_at else ""
        return f"{report.discovery.error}{again}"
    return f"next retry {say_when(report.next_retry_at)}" if report.next_retry_at else ""


def show_stages(stages: Iterable[Any]) -> None:
    """Show a job's stages as a table."""
    from cli.render import write_table

    columns = [
        "stage",
        "#pending",
        "#in progress",
        "#done",
        "#failed",
        "#skipped",
        "#p50",
        "#p95",
        "#max",
        "#a minute",
    ]
    write_table(
        columns,
        [
            (
                one.stage,
                one.pending,
                one.in_progress,
                one.done,
                one.failed,
                one.skipped,
                _say_seconds(one.p50_seconds),
                _say_seconds(one.p95_seconds),
                _say_seconds(one.max_seconds),
                f"{one.rate_per_minute:.0f}",
            )
            for one in stages
        ],
    )


def _say_seconds(seconds: float | None) -> str:
    from pipeline.durations import format_duration

    return "" if seconds is None else format_duration(seconds)


@click.command("items")
@click.argument("job")
@click.option("--status", type=click.Choice(STATUSES), help="Only items of this status.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
def items_command(job: str, status: str | None, limit: int, *, as_json: bool) -> None:
    r"""
    List items of JOB: the newest first, or those of one status, highest priority first.

    \b
    Examples:
      celeriac items hacker-news --status failed
      celeriac items demo --limit 1000 --json | jq -r '.[].key'
    """
    from cli.render import say_when, write_json, write_table
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
            say_when(one.discovered_at),
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
    Show everything about one item: its stages, results, failures and events.

    \b
    Example:
      celeriac show demo argparse.py
    """
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
    from cli.render import out, say_when, shorten, write_table

    out.print(f"[bold]{report.job}[/bold]  {report.key}  {report.status}", markup=True)
    out.print(f"discovered {say_when(report.discovered_at)}, priority {report.priority}")
    out.print(f"data: {shorten(report.data, 200)}\n", markup=False)
    columns = ["stage", "status", "#attempt", "started", "ended", "reason"]
    write_table(
        columns,
        [
            (
                s.stage,
                s.status,
                s.attempt,
                say_when(s.started_at),
                say_when(s.ended_at),
                s.reason or (f"retry {say_when(s.retry_at)}" if s.retry_at else ""),
            )
            for s in report.stages
        ],
    )
    for stage, result in report.results.items():
        out.print(f"\nresult of {stage}:", style="bold")
        for name, value in result.items():
            out.print(f"  {name}: {shorten(value, 160)}", markup=False)
    for failure in report.failures:
        out.print(f"\nattempt {failure.attempt} of {failure.stage} failed:", style="bold red")
        out.print(failure.traceback or failure.message, markup=False)
    out.print("\nevents:", style="bold")
    show_events(report.events)


def show_events(events: Iterable[Any]) -> None:
    """Show events as a table."""
    from cli.render import shorten, write_table
    from tracker.clock import format_ms

    write_table(
        ["at (UTC)", "job", "key", "stage", "#attempt", "what", "by", "detail"],
        [
            (
                format_ms(e.at),
                e.job,
                e.key,
                e.stage,
                e.attempt,
                e.kind,
                e.by,
                shorten(e.detail, 100) if e.detail else "",
            )
            for e in events
        ],
    )


@click.command("events")
@click.argument("job", required=False)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
def events_command(job: str | None, limit: int, *, as_json: bool) -> None:
    """List the newest events of every job, or of one JOB, oldest of them first."""
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


@click.command("results")
@click.argument("job")
@click.argument("stage", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How to print them; csv has a column for each field of the results of one STAGE.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many; a table shows 50 unless told.")
@json_option
def results_command(job: str, stage: str | None, form: str, limit: int | None, *, as_json: bool) -> None:
    r"""
    Print the results of JOB, of one STAGE or of all.

    \b
    Examples:
      celeriac results demo summarise
      celeriac results demo summarise --format jsonl | jq -r '.result.summary'
      celeriac results demo outline --format csv > outlines.csv
    """
    from cli.render import write_json, write_json_lines
    from tracker.reports import stream_result_reports

    if as_json and form != "table":
        raise click.UsageError("--json prints one JSON array; choose it or --format, not both")
    if form == "csv" and stage is None:
        raise click.UsageError("csv needs a STAGE: each stage has fields of its own")
    with reading() as conn:
        require_job(conn, job)
        if stage is not None:
            _require_stage(conn, job, stage)
        count = limit or (50 if form == "table" and not as_json else -1)
        reports = stream_result_reports(conn, job, stage, count)
        if as_json:
            write_json(list(reports))
        elif form == "jsonl":
            write_json_lines(reports)
        elif form == "csv":
            _write_results_csv(conn, job, str(stage), count)
        else:
            _show_results(reports)


def _require_stage(conn: Connection, job: str, stage: str) -> None:
    from pipeline.catalog import find_nearest
    from pipeline.errors import NotFoundError
    from tracker.stats import stage_stats

    known = list(stage_stats(conn, job))
    if stage not in known:
        raise NotFoundError(f"stage of job {job!r} named", stage, find_nearest(stage, known))


def _show_results(reports: Iterable[ResultReport]) -> None:
    from cli.render import shorten, write_table

    write_table(
        ["key", "stage", "version", "result"],
        [(one.key, one.stage, one.handler_version, shorten(one.result, 120)) for one in reports],
    )


def _write_results_csv(conn: Connection, job: str, stage: str, limit: int) -> None:
    from cli.render import write_csv
    from tracker.reports import stream_result_reports

    # two passes, so that the header has every field and no result is held in memory
    fields = dict.fromkeys(
        name for one in stream_result_reports(conn, job, stage, limit) for name in one.result
    )
    rows = (
        {"key": one.key, **{name: _csv_value(value) for name, value in one.result.items()}}
        for one in stream_result_reports(conn, job, stage, limit)
    )
    write_csv(rows, ["key", *(name for name in fields if name != "key")])


def _csv_value(value: Any) -> Any:
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
