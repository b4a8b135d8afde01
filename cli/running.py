"""`up`, `run` and `discover`: the commands that make things move."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli import exit_codes
from cli.main import F, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.settings import Settings
    from runner.context import RunContext
    from runner.discover import Discovered
    from runner.runtime import Runtime
    from runner.single_pass import Finished

LEVELS = ["debug", "info", "warning", "error"]


def count_processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def concurrency_option(command: F) -> F:
    """Give a command the option `--concurrency`."""
    help_text = "Worker processes; without it, one for each processor."
    return click.option("--concurrency", type=click.IntRange(1), help=help_text)(command)


def loglevel_option(command: F) -> F:
    """Give a command the option `--loglevel`."""
    levels = click.Choice(LEVELS)
    help_text = "How much is logged."
    return click.option("--loglevel", type=levels, default="info", show_default=True, help=help_text)(command)


@contextmanager
def broker_in_use(settings: Settings) -> Iterator[str]:
    """
    Give the URL of the broker: the configured one, a running embedded one, or one started for this command.

    It is set in the environment too, for the processes that the command starts.
    """
    from runner.broker import embedded_broker, find_embedded

    with ExitStack() as stack:
        if settings.broker_url is not None:
            url = settings.broker_url.get_secret_value()
        else:
            url = find_embedded(settings) or stack.enter_context(embedded_broker(settings))
        os.environ["CELERIAC_BROKER_URL"] = url
        yield url


def stop_on_sigterm() -> None:
    """Let SIGTERM end a command as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@click.command("up")
@concurrency_option
@loglevel_option
def up_command(concurrency: int | None, loglevel: str) -> None:
    """
    Run everything on this machine until Ctrl-C: broker, beat, worker.

    The broker is started here unless CELERIAC_BROKER_URL names one. Other shells find it by themselves:
    `celeriac status`, `celeriac enqueue …`, `celery -A tasks inspect active`.
    """
    from cli.processes import make_beat, make_worker, running
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from runner.broker import find_embedded
    from tracker.connection import open_db

    settings = load_settings()
    jobs = load_jobs_file(settings.jobs)  # refused here, with its lines, rather than by each process
    if settings.broker_url is None and find_embedded(settings):
        raise click.UsageError(f"celeriac is up already in {settings.data}; stop that one first")
    with open_db(settings.db_path):
        pass  # made and migrated once, and refused here if it cannot be used
    stop_on_sigterm()
    with broker_in_use(settings):
        count = concurrency or count_processors()
        click.echo(
            f"celeriac is up: {len(jobs.enabled_jobs)} jobs, {count} worker processes, tracker at "
            f"{settings.db_path}. Ctrl-C stops it; nothing is lost.",
            err=True,
        )
        with running([make_worker(count, loglevel, {}), make_beat(loglevel, {})]) as children:
            try:
                while True:
                    children.see_to()
                    time.sleep(0.5)
            except KeyboardInterrupt:
                click.echo("stopping: what runs is ended, the rest waits in the tracker", err=True)


@click.command("discover")
@click.argument("job")
@json_option
def discover_command(job: str, *, as_json: bool) -> None:
    r"""
    Look for JOB's items now, in this process, and store them. Workers take them up when they run.

    \b
    Example:
      celeriac discover hacker-news && celeriac items hacker-news
    """
    from cli.acting import get_acting_runtime
    from cli.render import write_json
    from runner.discover import discover

    found = discover(get_acting_runtime(), job)
    if found is not None:
        if as_json:
            write_json(found)
        say_discovered(found, quiet=as_json)


def say_discovered(found: Discovered, *, quiet: bool = False) -> None:
    """Tell what a discovery came to; ends the command if it failed."""
    from cli.render import say_when

    if found.error is None:
        if not quiet:
            refused = f", {found.refused} refused" if found.refused else ""
            click.echo(f"{found.job}: {found.found} found, {found.new} new{refused}", err=True)
        return
    again = f"; retry at {say_when(found.retry_at)}" if found.retry_at else ""
    click.echo(f"{found.job}: {found.error}{again}", err=True)
    raise click.exceptions.Exit(exit_codes.SOURCE if found.retry_at else exit_codes.FAILED)


@click.command("run")
@click.argument("job")
@click.option("--limit", type=click.IntRange(1), help="Take up at most so many items.")
@click.option("--item", "key", help="Keep to this item.")
@click.option("--stage", help="Keep to this stage.")
@click.option("--discover-only", is_flag=True, help="Stop after discovery.")
@click.option("--dry-run", is_flag=True, help="Write nothing; print what each stage would give.")
@click.option("--no-reset", is_flag=True, help="Leave the claims of dead workers until their leases run out.")
@concurrency_option
@click.option(
    "--loglevel", type=click.Choice(LEVELS), default="error", show_default=True, help="How much is logged."
)
@json_option
def run_command(
    job: str,
    limit: int | None,
    key: str | None,
    stage: str | None,
    concurrency: int | None,
    loglevel: str,
    *,
    discover_only: bool,
    dry_run: bool,
    no_reset: bool,
    as_json: bool,
) -> None:
    r"""
    Run JOB once: discover, then work through the same tasks as ever until nothing is due.

    Uses the workers of a running `celeriac up` or of CELERIAC_BROKER_URL if any answer; otherwise, and always
    with --limit, --item or --stage, it starts workers of its own and stops them at the end. Waits for retries
    that are due within a minute. Exit code 0 only if every item is done; 1 if any failed, 6 if some wait.

    \b
    Examples:
      celeriac run demo
      celeriac run hacker-news --limit 5
      celeriac run demo --item argparse.py --dry-run
    """
    from runner.context import RunContext

    run = RunContext(
        mode="dry_run" if dry_run else "production",
        limit=limit,
        test_item=key,
        test_stage=stage,
        no_reset=no_reset,
        discover_only=discover_only,
        single_pass=True,
    )
    if run.is_dry_run:
        rehearse_job(job, run, as_json=as_json)
        return
    finished = run_job(job, run, concurrency or count_processors(), loglevel, as_json=as_json)
    raise click.exceptions.Exit(finished)


def rehearse_job(job: str, run: RunContext, *, as_json: bool) -> None:
    """Show what each stage would give, and write nothing."""
    from cli.render import out, shorten, write_json_lines
    from pipeline.settings import load_settings
    from runner.dry_run import rehearse
    from runner.logs import configure_logs
    from runner.runtime import Runtime

    configure_logs(logging.ERROR)
    given = rehearse(Runtime(load_settings(), publisher=None), job, run)
    if as_json:
        write_json_lines(given)
        return
    shown = None
    for one in given:
        if one.key != shown:
            out.print(f"\n{one.key}", style="bold", markup=False)
            shown = one.key
        out.print(f"  {one.stage}: {one.ending}" + (f": {one.reason}" if one.reason else ""), markup=False)
        for name, value in (one.result or {}).items():
            out.print(f"    {name}: {shorten(value, 100)}", markup=False)
    if shown is None:
        click.echo("nothing found", err=True)


def run_job(job: str, run: RunContext, concurrency: int, loglevel: str, *, as_json: bool) -> int:
    """Make one pass over a job; the exit code."""
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings

    settings = load_settings()
    load_jobs_file(settings.jobs).get_job(job)
    stop_on_sigterm()
    with ExitStack() as stack:
        shared = _use_broker(stack, settings, run)
        from runner.logs import configure_logs
        from tasks.app import get_runtime

        configure_logs(getattr(logging, loglevel.upper()))
        runtime = get_runtime()
        return _pass_over(runtime, job, run, concurrency, loglevel, shared=shared, as_json=as_json)


def _use_broker(stack: ExitStack, settings: Settings, run: RunContext) -> bool:
    """Enter a broker; whether workers that are not ours answer on it. A scoped run has one to itself."""
    from runner.broker import embedded_broker

    if run.is_scoped:
        os.environ["CELERIAC_BROKER_URL"] = stack.enter_context(embedded_broker(settings, announce=False))
        return False
    stack.enter_context(broker_in_use(settings))
    from tasks.app import app

    return bool(app.control.ping(timeout=1.0))


def _pass_over(
    runtime: Runtime,
    job: str,
    run: RunContext,
    concurrency: int,
    loglevel: str,
    *,
    shared: bool,
    as_json: bool,
) -> int:
    from cli.processes import make_worker, running
    from cli.progress import show_progress
    from runner.single_pass import finish_pass, prepare_pass, work_until_nothing_is_due
    from tasks.app import RUN_VARIABLE

    ready = prepare_pass(runtime, job, run, cold=not shared)
    if ready.discovered is not None:
        say_discovered(ready.discovered)
    if run.discover_only:
        return exit_codes.OK
    workers = [] if shared else [make_worker(concurrency, loglevel, {RUN_VARIABLE: ready.run.to_json()})]
    with running(workers) as children:
        show_progress(job, work_until_nothing_is_due(runtime, job, children.see_to))
    finished = finish_pass(runtime, job)
    _show_finished(runtime, job, finished, as_json=as_json)
    return _exit_code(finished)


def _exit_code(finished: Finished) -> int:
    if finished.statuses["failed"]:
        return exit_codes.FAILED
    return exit_codes.OK if finished.all_done else exit_codes.WAITING


def _show_finished(runtime: Runtime, job: str, finished: Finished, *, as_json: bool) -> None:
    from cli.reading import show_stages
    from cli.render import say_when, write_json
    from tracker.reports import list_stage_reports

    stages = list_stage_reports(runtime.tracker, job)
    if as_json:
        write_json(
            {"job": job, "items": finished.statuses, "next_due_at": finished.next_due_at, "stages": stages}
        )
        return
    show_stages(stages)
    items = ", ".join(f"{count} {status}" for status, count in finished.statuses.items() if count)
    click.echo(f"\n{job}: {items or 'no items'}")
    if finished.next_due_at:
        click.echo(f"the next waits until {say_when(finished.next_due_at)}")
    last = stages[-1].stage if stages else ""
    click.echo(f"Results are in {runtime.settings.db_path} (sqlite3, Datasette), and here:")
    click.echo(f"  celeriac results {job} {last} --limit 5\n  celeriac show {job} KEY")
