"""`celeriac run`: one pass over a job, or a rehearsal of it."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.lines import write_line
from cli.options import WholeNumber, concurrency_option, count_processors, json_option, loglevel_option
from cli.piped import find_piped_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.brokers import UsedBroker
    from runner.context import RunContext
    from runner.discover import Discovered
    from runner.runtime import Runtime
    from runner.single_pass import Ready


@click.command("run")
@click.argument("job")
@click.option("--limit", type=WholeNumber(1), metavar="N", help="Take up at most so many items.")
@click.option("--item", "test_item", metavar="KEY", help="Keep to the item with this key.")
@click.option(
    "--stage", "test_stage", metavar="STAGE", help="Keep to the items that are due for this stage, and to it."
)
@click.option("--discover-only", is_flag=True, help="Stop after discovery.")
@click.option("--dry-run", is_flag=True, help="Write nothing; print what each stage would give.")
@click.option("--test", "is_test", is_flag=True, help="Work on a copy of the tracker, and throw it away.")
@click.option("--single-pass", is_flag=True, help="Wait for no retry: try each stage at most once.")
@click.option("--no-reset", is_flag=True, help="Leave the claims of dead workers until their leases run out.")
@concurrency_option
@loglevel_option("error")
@json_option
def run_command(
    job: str,
    concurrency: int | None,
    loglevel: str,
    *,
    dry_run: bool,
    is_test: bool,
    as_json: bool,
    **scope: Any,
) -> None:
    r"""
    Run JOB once, then stop.

    Discovers, then works through the same tasks as ever until nothing is due. Uses the workers of a running
    `celeriac up` or of CELERIAC_BROKER_URL if any answer; otherwise, and always with --limit, --item, --stage or
    --test, it starts workers of its own and stops them at the end. Waits for retries that are due within a minute,
    unless --single-pass says otherwise, and as long for a worker of a queue that none serves. Exit code 0 only if every
    item is done; 1 if any failed, 5 if the source is away, 6 if some wait.

    \b
    Examples:
      celeriac run demo
      celeriac run hacker-news --limit 5
      celeriac run demo --item argparse.py --dry-run
      celeriac run demo --test
    """
    from runner.context import RunContext

    if dry_run and is_test:
        raise click.UsageError("--dry-run writes nothing, and --test writes to a copy: choose one")
    run = RunContext(mode="dry_run" if dry_run else "test" if is_test else "production", **scope)
    if run.is_dry_run:
        from cli.rehearsal import show_rehearsal

        show_rehearsal(job, run, as_json=as_json)
    else:
        raise click.exceptions.Exit(
            run_job(job, run, concurrency or count_processors(), loglevel, as_json=as_json)
        )


def run_job(job: str, run: RunContext, concurrency: int, loglevel: str, *, as_json: bool) -> int:
    """Make one pass over a job; the exit code."""
    from cli.conclusion import conclude

    with passing_over(job, run, concurrency, loglevel) as (runtime, discovered):
        return conclude(runtime, job, discovered, discover_only=run.discover_only, as_json=as_json)


@contextmanager
def passing_over(
    job: str, run: RunContext, concurrency: int, loglevel: str
) -> Iterator[tuple[Runtime, Discovered | None]]:
    """Make one pass over a job; the block sees what came of it."""
    from cli.brokers import having_workers, stop_on_signals, use_broker
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from runner.copied import on_a_copy
    from runner.logs import configure_logs
    from runner.single_pass import prepare_pass

    settings = load_settings()
    load_jobs_file(settings.jobs).get_job(job)
    stop_on_signals()
    with ExitStack() as stack:
        if run.is_test:
            settings = stack.enter_context(on_a_copy(settings))
        alone = stack.enter_context(having_workers(settings.data))
        broker = use_broker(stack, settings, run, alone=alone)
        from tasks.app import get_runtime  # only now: the app reads the broker from the environment

        configure_logs(getattr(logging, loglevel.upper()))
        runtime = get_runtime()
        runtime.stdin = find_piped_input()
        ready = prepare_pass(runtime, job, run, cold=alone and not broker.shared)
        if ready.discovered is not None:
            from cli.discover import say_discovered

            say_discovered(ready.discovered)
        _say_held(runtime, job)
        if not run.discover_only:
            _work(runtime, job, ready, concurrency, loglevel, broker)
        yield runtime, ready.discovered


def _say_held(runtime: Runtime, job: str) -> None:
    from runner.plan_words import say_held
    from runner.planning import plan_job

    plan = plan_job(runtime.tracker, runtime.jobs, job, "on")
    if plan.held:
        write_line(f"{job}: {say_held(plan)}", err=True)


def _work(
    runtime: Runtime, job: str, ready: Ready, concurrency: int, loglevel: str, broker: UsedBroker
) -> None:
    from cli.processes import make_worker, running
    from cli.progress import show_progress
    from runner.single_pass import work_until_nothing_is_due
    from tasks.app import RUN_VARIABLE

    if broker.shared:
        show_progress(job, work_until_nothing_is_due(runtime, job, broker.see_to))
        return
    with running([make_worker(concurrency, loglevel, {RUN_VARIABLE: ready.run.to_json()})]) as workers:

        def see_to_all() -> None:
            broker.see_to()
            workers.see_to()

        show_progress(job, work_until_nothing_is_due(runtime, job, see_to_all))
