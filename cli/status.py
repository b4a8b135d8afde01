"""`celeriac status`: every job, or one with its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.jobs_file import JobsFile
    from tracker.progress import Told
    from tracker.reports import JobReport, StageReport

COUNTS = ("#pending", "#in progress", "#done", "#failed", "#skipped")


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
    from cli.reading import read_jobs_file

    jobs, refusal = read_jobs_file()
    if job is None:
        _show_all(jobs, refusal, as_json=as_json)
    else:
        _show_one(job, jobs, refusal, as_json=as_json)
    if refusal and not as_json:
        click.echo(f"\njobs.yaml is refused; running processes keep the last good one:\n{refusal}", err=True)


def _show_all(jobs: JobsFile | None, refusal: str | None, *, as_json: bool) -> None:
    from cli.reading import reading
    from cli.render import write_json
    from tracker.reports import get_job_report, list_job_names

    with reading() as conn:
        known = sorted({*list_job_names(conn), *(jobs.jobs if jobs else ())})
        reports = [get_job_report(conn, name) for name in known]
    if as_json:
        write_json({"jobs": reports, "jobs_file_refused": refusal})
    else:
        show_jobs(reports, jobs)


def _show_one(job: str, jobs: JobsFile | None, refusal: str | None, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import out, write_json
    from tracker.progress import list_progress
    from tracker.reports import get_job_report, list_stage_reports

    with reading() as conn:
        require_job(conn, job)
        report, stages, told = (
            get_job_report(conn, job),
            list_stage_reports(conn, job),
            list_progress(conn, job),
        )
    if as_json:
        write_json({"job": report, "stages": stages, "progress": told, "jobs_file_refused": refusal})
        return
    show_jobs([report], jobs)
    if stages:
        out.print()
        show_stages(stages)
    if told:
        out.print()
        show_running(told)


def show_running(told: Iterable[Told]) -> None:
    """Show how far running attempts said that they are."""
    from cli.progress import say_progress
    from cli.render import say_ago, write_table

    write_table(
        ["running", "stage", "#attempt", "how far", "told"],
        [(one.key, one.stage, one.attempt, say_progress(one), say_ago(one.told_at)) for one in told],
    )


def show_jobs(reports: Iterable[JobReport], jobs: JobsFile | None) -> None:
    """Show jobs as a table; the note says what jobs.yaml and the tracker have to say about each."""
    from cli.render import write_table

    write_table(
        ["job", "#items", *COUNTS, "last look", "note"],
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
                "; ".join(_list_notes(one, jobs)),
            )
            for one in reports
        ],
    )


def _say_discovery(report: JobReport) -> str:
    from cli.render import say_ago

    look = report.discovery
    if look is None:
        return "never"
    if look.ended_at is None:
        return f"began {say_ago(look.started_at)}"
    if look.outcome == "skipped":
        return f"skipped {say_ago(look.ended_at)}"
    if look.error is not None:
        return f"failed {say_ago(look.ended_at)}"
    return f"{look.found} found, {look.new} new, {say_ago(look.ended_at)}"


def _list_notes(report: JobReport, jobs: JobsFile | None) -> Iterable[str]:
    from cli.costs import say_spent
    from cli.render import say_when

    if report.pause is not None:
        until = f" until {say_when(report.pause.until_at)}" if report.pause.until_at else ""
        yield f"paused by {report.pause.by}: {report.pause.reason}{until}"
    if report.discovery is not None and report.discovery.error is not None:
        again = f"; retry at {say_when(report.discovery.retry_at)}" if report.discovery.retry_at else ""
        yield f"{report.discovery.error}{again}"
    if report.held:
        yield f"{report.held} held: celeriac approve {report.job}"
    if report.next_retry_at:
        yield f"next stage due {say_when(report.next_retry_at)}"
    if report.spent_today_usd or report.unknown_costs_today:
        yield f"spent today: {say_spent(report.spent_today_usd, report.unknown_costs_today)}"
    if jobs is not None:
        yield from _list_file_notes(report.job, jobs)


def _list_file_notes(job: str, jobs: JobsFile) -> Iterable[str]:
    if job not in jobs.jobs:
        yield "not in jobs.yaml"
    elif not jobs.jobs[job].enabled:
        yield "switched off in jobs.yaml"
    elif job in jobs.unavailable:
        yield "cannot run here: see `celeriac check`"


def show_stages(stages: Iterable[StageReport]) -> None:
    """Show a job's stages as a table."""
    from cli.render import write_table

    write_table(
        ["stage", *COUNTS, "#p50", "#p95", "#max", "#/min"],
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
