"""`celeriac sources`: how the sources of each job are doing, and every look that a job took at them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.runs import LookReport
    from tracker.sources import SourceHealth


@click.command("sources")
@click.argument("job", required=False)
@click.option("--history", is_flag=True, help="List the looks that JOB took, the newest first.")
@limit_option
@json_option
def sources_command(job: str | None, limit: int, *, history: bool, as_json: bool) -> None:
    r"""
    Show how the sources of every job, or of JOB, are doing.

    Those in trouble come first. What a source brought last stands beside the median of its last 20 looks; new
    is the part of what it showed in these that was new.

    \b
    Examples:
      celeriac sources
      celeriac sources hacker-news --history
    """
    if history:
        if job is None:
            raise click.UsageError("--history is of one JOB")
        _show_history(job, limit, as_json=as_json)
    else:
        _show_sources(job, limit, as_json=as_json)


def _show_sources(job: str | None, limit: int, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.reports import list_job_names
    from tracker.sources import list_sources

    with reading() as conn:
        if job is not None:
            require_job(conn, job)
        names = [job] if job is not None else list_job_names(conn)
        sources = {name: list_sources(conn, name, limit) for name in names}
    if as_json:
        write_json([{"job": name, **asdict(one)} for name, listed in sources.items() for one in listed])
    elif any(sources.values()):
        _write_sources(sources)
    else:
        write_line("no look at any source yet", err=True)


def _write_sources(sources: Mapping[str, Sequence[SourceHealth]]) -> None:
    from cli.render import say_ago, write_noted_table

    write_noted_table(
        ["job", "source", "last look", "success", "change", "#found", "#median", "#new", "trouble"],
        [
            (
                name,
                one.source or "-",
                say_ago(one.looked_at),
                say_ago(one.success_at),
                say_ago(one.changed_at),
                one.last_found,
                _say_median(one.median_found),
                _say_share(one.share_new),
                _say_trouble(one),
            )
            for name, listed in sources.items()
            for one in listed
        ],
        named_by=2,
    )


def _say_median(count: float | None) -> str:
    return "" if count is None else f"{count:g}"


def _say_share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _say_trouble(source: SourceHealth) -> str:
    if source.error is not None:
        if source.failures < 2:
            return source.error
        return f"failed {source.failures} times in a row: {source.error}"
    return f"empty {source.empty_looks} times in a row" if source.empty_looks > 1 else ""


def _show_history(job: str, limit: int, *, as_json: bool) -> None:
    from cli.reading import reading, require_job
    from cli.render import write_json
    from tracker.runs import list_looks

    with reading() as conn:
        require_job(conn, job)
        runs = list_looks(conn, job, limit)
    if as_json:
        write_json(runs)
    elif runs:
        _write_runs(runs)
    else:
        write_line(f"{job} has not looked for items yet", err=True)


def _write_runs(runs: Sequence[LookReport]) -> None:
    from cli.render import write_noted_table
    from tracker.clock import format_ms

    write_noted_table(
        [
            "began (UTC)",
            "#took",
            "outcome",
            "#requests",
            "#found",
            "#new",
            "#changed",
            "#refused",
            "#held",
            "why",
        ],
        [
            (
                format_ms(one.started_at),
                _say_taken(one),
                "waiting" if one.is_waiting else one.outcome or "running",
                one.requests,
                one.found,
                one.new,
                one.changed,
                one.refused,
                one.held,
                _say_why(one),
            )
            for one in runs
        ],
    )


def _say_taken(run: LookReport) -> str:
    from pipeline.durations import format_duration

    return "" if run.ended_at is None else format_duration((run.ended_at - run.started_at) / 1000)


def _say_why(run: LookReport) -> str:
    from cli.render import say_ago
    from runner.saying import say_reasons

    refused = f"refused: {say_reasons(run.refused_for)}" if run.refused_for else ""
    again = f"tried again {say_ago(run.retry_at)}" if run.retry_at else ""
    attempt = f"attempt {run.attempt}" if run.attempt > 1 else ""
    return "; ".join(part for part in (run.error, refused, attempt, again) if part)
