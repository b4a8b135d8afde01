"""`celeriac status`: every job, or one with its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.jobs_file import JobsFile
    from runner.causes import Told as Cause
    from runner.planning import JobPlan
    from tracker.chores import ChoreReport
    from tracker.notice_messages import UnsentReport
    from tracker.notices import Notice
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
        write_line(f"\njobs.yaml is refused; running processes keep the last good one:\n{refusal}", err=True)


def _show_all(jobs: JobsFile | None, refusal: str | None, *, as_json: bool) -> None:
    from cli.reading import reading
    from cli.render import write_json
    from runner.house_status import read_house_status

    with reading() as conn:
        found = read_house_status(conn, jobs, refusal)
    if as_json:
        write_json(found)
    else:
        show_jobs(found.jobs, jobs, found.plans, found.stuck)
        _say_troubles(found.notices, found.unsent, found.chores)


def _show_one(job: str, jobs: JobsFile | None, refusal: str | None, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import out, write_json
    from runner.house_status import read_job_status
    from runner.saying import say_counted

    with reading() as conn:
        require_job(conn, job)
        found = read_job_status(conn, jobs, refusal, job)
    if as_json:
        write_json(found)
        return
    show_jobs([found.job], jobs, found.plans, found.stuck)
    if found.stages:
        out.print()
        show_stages(found.stages)
    if found.stages and found.job.unopened:
        more = "[more item has|more items have] no stages yet: [it begins|they begin] when there is room"
        out.print(say_counted(found.job.unopened, more))
    if found.progress:
        out.print()
        show_running(found.progress)


def _say_troubles(
    notices: Sequence[Notice], unsent: Sequence[UnsentReport], chores: Sequence[ChoreReport]
) -> None:
    from cli.notices import show_unsent
    from cli.render import say_ago

    if notices:
        write_line(f"\nopen notices: {len(notices)}; celeriac notices", err=True)
    show_unsent(unsent)
    for chore in chores:
        if chore.error is not None:
            again = f"; again {say_ago(chore.retry_at)}" if chore.retry_at else ""
            write_line(f"the chore {chore.chore} failed: {chore.error}{again}", err=True)


def show_running(told: Iterable[Told]) -> None:
    """Show how far running attempts said that they are."""
    from cli.progress import say_progress
    from cli.render import say_ago, write_table

    write_table(
        ["running", "stage", "#attempt", "how far", "told"],
        [(one.key, one.stage, one.attempt, say_progress(one), say_ago(one.told_at)) for one in told],
    )


def show_jobs(
    reports: Iterable[JobReport],
    jobs: JobsFile | None,
    waiting: Sequence[JobPlan] = (),
    stuck: Mapping[str, Cause] | None = None,
) -> None:
    """Show jobs as a table; the note says what jobs.yaml, the tracker and what waits to be applied say of each."""
    from cli.render import write_noted_table
    from runner.plan_words import say_held

    held = {plan.job: say_held(plan) for plan in waiting}

    write_noted_table(
        ["job", "#oldest fresh", "#items", *COUNTS, "last look", "note"],
        [
            (
                one.job,
                _say_age(one.oldest_fresh_at),
                one.total,
                one.pending,
                one.in_progress,
                one.done,
                one.failed,
                one.skipped,
                _say_discovery(one),
                "; ".join(filter(None, [_say_stuck(one, stuck), *_list_notes(one, jobs), held.get(one.job)])),
            )
            for one in reports
        ],
    )


SAID_OTHERWISE = {"paused", "breaker_open", "breaker_probing", "over_budget", "item_over_budget", "retry_at", "held",
                  "not_in_jobs_file", "switched_off", "cannot_run_here", "look_waits", "look_failed",
                  "failed"}  # fmt: skip
"""The causes that other notes, or the columns, say already."""


def _say_stuck(report: JobReport, stuck: Mapping[str, Cause] | None) -> str | None:
    cause = (stuck or {}).get(report.job)
    return None if cause is None or cause.cause in SAID_OTHERWISE else cause.words


def _say_age(at_ms: int | None) -> str:
    from tracker.clock import now_ms

    return "" if at_ms is None else _say_seconds(max(0, now_ms() - at_ms) // 1000)


def _say_discovery(report: JobReport) -> str:
    from cli.render import say_ago

    look = report.discovery
    if look is None:
        return "never"
    if look.ended_at is None:
        return f"began {say_ago(look.started_at)}"
    if look.outcome == "skipped":
        return f"skipped {say_ago(look.ended_at)}"
    if look.is_waiting:
        return f"waits for {look.waits_for} since {say_ago(look.ended_at)}"
    if look.error is not None:
        return f"failed {say_ago(look.ended_at)}"
    return f"{look.found} found, {look.new} new, {say_ago(look.ended_at)}"


def _list_notes(report: JobReport, jobs: JobsFile | None) -> Iterable[str]:
    from cli.costs import say_spent
    from cli.render import say_when

    for pause in (report.pause, *report.paused_stages):
        if pause is not None:
            until = f" until {say_when(pause.until_at)}" if pause.until_at else ""
            what = {"all": "everything ", "stage": f"{pause.stage} "}.get(pause.scope, "")
            yield f"{what}paused by {pause.by}: {pause.reason}{until}"
    if report.discovery is not None and report.discovery.error is not None:
        again = f"; retry at {say_when(report.discovery.retry_at)}" if report.discovery.retry_at else ""
        yield f"{report.discovery.error}{again}"
    if report.budget is not None and report.budget.holds_back:
        yield report.budget.words
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
