"""What a pass over a job came to: the table, where the results are, the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import exit_codes
from cli.discover import code_of
from cli.lines import write_line

if TYPE_CHECKING:
    from runner.discover import Discovered
    from runner.runtime import Runtime
    from runner.single_pass import Finished
    from tracker.reports import StageReport


def conclude(
    runtime: Runtime, job: str, discovered: Discovered | None, *, discover_only: bool, as_json: bool
) -> int:
    """Show what a pass came to, and give its exit code."""
    from cli.render import write_json
    from runner.single_pass import finish_pass
    from tracker.reports import list_stage_reports

    found = exit_codes.OK if discovered is None else code_of(discovered)
    if discover_only:
        if as_json:
            write_json(discovered)
        return found
    finished, stages = finish_pass(runtime, job), list_stage_reports(runtime.tracker, job)
    if as_json:
        passed = {"items": finished.statuses, "next_due_at": finished.next_due_at}
        write_json({"job": job, "discovery": discovered, **passed, "stages": stages})
    elif any(finished.statuses.values()) or not found:
        _show(runtime, job, finished, stages)
    return _judge(finished, found)


def _judge(finished: Finished, found: int) -> int:
    if finished.statuses["failed"]:
        return exit_codes.FAILED
    return found or (exit_codes.OK if finished.all_done else exit_codes.WAITING)


def _show(runtime: Runtime, job: str, finished: Finished, stages: list[StageReport]) -> None:
    from cli.render import say_when
    from cli.status import show_stages
    from tracker.reports import get_job_report

    if stages:
        show_stages(stages)
        write_line()
    items = ", ".join(f"{count} {status}" for status, count in finished.statuses.items() if count)
    write_line(f"{job}: {items or 'no items'}")
    report = get_job_report(runtime.tracker, job)
    if report.pause and not finished.all_done:
        write_line(f"paused by {report.pause.by}: {report.pause.reason} (celeriac unpause {job})")
    if report.budget is not None and report.budget.holds_back:
        write_line(report.budget.words)
    if finished.next_due_at:
        write_line(f"the next is due {say_when(finished.next_due_at)}")
    for queue in finished.unserved:
        write_line(f"no worker serves the queue {queue}: celeriac worker --remote --queues {queue}")
    if finished.statuses["failed"]:
        write_line(f"What failed:  celeriac items {job} --status failed;  again:  celeriac retry {job}")
    if runtime.run.is_test:
        write_line("This was done on a copy of the tracker, which is gone now: celeriac test shows results.")
    elif stages and stages[-1].done:
        write_line(f"Results are in {runtime.settings.db_path} (sqlite3, Datasette), and here:")
        write_line(f"  celeriac results {job} {stages[-1].stage} --limit 5\n  celeriac show {job} KEY")
