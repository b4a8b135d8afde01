"""`celeriac up`: everything on this machine."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import concurrency_option, count_processors, loglevel_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.filespec import JobsFile
    from pipeline.settings import Settings


@click.command("up")
@concurrency_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The dashboard's port; 0 runs without it.",
)
@loglevel_option("info")
def up_command(concurrency: int | None, port: int, loglevel: str) -> None:
    r"""
    Run everything on this machine until Ctrl-C.

    Everything is: broker, beat, worker, dashboard. The broker is started here unless CELERIAC_BROKER_URL names one.
    Other shells find it by themselves: `celeriac enqueue …`, `celery -A tasks inspect active`.

    \b
    Examples:
      celeriac up
      celeriac up --concurrency 8 --loglevel warning
      celeriac up --port 0
    """
    from cli.brokers import having_workers, only_up, stop_on_signals
    from cli.ports import require_port
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from runner.saying import say_count
    from tracker.connection import open_db

    settings = load_settings()
    jobs = load_jobs_file(settings.jobs)  # refused here, with its lines, rather than by each process
    with ExitStack() as stack:
        stack.enter_context(only_up(settings.data))
        if port and _can_show():
            require_port(port)
        alone = stack.enter_context(having_workers(settings.data))
        with open_db(settings.db_path):
            pass  # made and migrated once, and refused here if it cannot be used
        stop_on_signals()
        see_to_broker = _enter_broker(stack, settings, alone=alone)
        count = concurrency or count_processors()
        write_line(
            f"{_say_state(settings)}: {say_count(len(jobs.enabled_jobs), 'job')}, "
            f"{say_count(count, 'worker process', 'es')}, tracker at "
            f"{settings.db_path}{_say_dashboard(port)}. Ctrl-C stops it; nothing is lost.",
            err=True,
        )
        _say_left_out(jobs)
        _run_until_interrupted(count, loglevel, port, see_to_broker)


def _enter_broker(stack: ExitStack, settings: Settings, *, alone: bool) -> Callable[[], None]:
    """Have a broker; how to see to it."""
    from cli.brokers import start_broker

    if settings.broker_url is not None:
        return lambda: None
    broker = start_broker(stack, settings, alone=alone, announce=True)
    os.environ["CELERIAC_BROKER_URL"] = broker.url  # for the processes that are started
    return broker.see_to


def _say_left_out(jobs: JobsFile) -> None:
    """Name the jobs that are switched on and lack something on this machine."""
    names = [job.name for job in jobs.jobs.values() if job.enabled and job.name in jobs.unavailable]
    if names:
        write_line(f"not run here: {', '.join(names)}; `celeriac check` tells what is missing", err=True)


def _say_state(settings: Settings) -> str:
    from runner.broker import find_silence

    url = settings.broker_url  # one of our own answers, or we would not be here
    if url is None or (silence := find_silence(url.get_secret_value())) is None:
        return "celeriac is up"
    return f"celeriac has started, but {silence} yet; it goes on trying"


def _say_dashboard(port: int) -> str:
    if not port:
        return ""
    if not _can_show():
        return ", no dashboard (pip install 'celeriac[web]')"
    return f", dashboard at http://127.0.0.1:{port}/"


def _can_show() -> bool:
    from importlib.util import find_spec

    return find_spec("fastapi") is not None


def _run_until_interrupted(count: int, loglevel: str, port: int, see_to_broker: Callable[[], None]) -> None:
    from cli.processes import make_beat, make_dashboard, make_worker, running

    processes = [make_worker(count, loglevel, {}), make_beat(loglevel, {})]
    if port and _can_show():
        processes.append(make_dashboard(port))
    with running(processes) as children:
        try:
            while True:
                see_to_broker()
                children.see_to()
                time.sleep(0.5)
        except KeyboardInterrupt:
            children.say_stopping()
