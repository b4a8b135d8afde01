"""The long-running processes, one each: worker, beat, Flower; and what watches them."""

from __future__ import annotations

import os
from typing import Any

import click

from cli import exit_codes
from cli.main import json_option
from cli.running import concurrency_option, loglevel_option


def become_celery(*arguments: str) -> None:
    """Run a Celery command in this process's place."""
    import sys

    from celery.__main__ import main

    sys.argv = ["celery", "-A", "tasks", "--quiet", *arguments]
    main()


@click.command("worker")
@concurrency_option
@click.option("--queues", help="Serve only these queues, with commas; without it, all that jobs.yaml names.")
@click.option(
    "--pool",
    type=click.Choice(["prefork", "threads", "solo"]),
    default="prefork",
    show_default=True,
    help="Only prefork enforces the timeouts of stages.",
)
@click.option("--hostname", help="The worker's name, if one machine has several.")
@loglevel_option
def worker_command(
    concurrency: int | None, queues: str | None, pool: str, hostname: str | None, loglevel: str
) -> None:
    r"""
    Run a worker. Add as many as you like, on every machine that can open the tracker's file.

    \b
    Examples:
      celeriac worker --concurrency 8
      celeriac worker --queues slow --concurrency 2
    """
    require_ready()
    arguments = ["--pool", pool, "--loglevel", loglevel, "--without-mingle", "--without-gossip"]
    if concurrency:
        arguments += ["--concurrency", str(concurrency)]
    if queues:
        arguments += ["--queues", queues]
    if hostname:
        arguments += ["--hostname", hostname]
    become_celery("worker", *arguments)


@click.command("beat")
@loglevel_option
def beat_command(loglevel: str) -> None:
    """
    Run beat, which sends each job's discovery at its slots, and the sweep.

    One is enough; a second does no harm, because a slot is taken in the tracker.
    """
    require_ready()
    become_celery("beat", "--loglevel", loglevel)


def require_ready() -> None:
    """Refuse to start with a jobs.yaml or a tracker that cannot be used, in words."""
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from tracker.connection import open_db

    settings = load_settings()
    load_jobs_file(settings.jobs)
    with open_db(settings.db_path):
        pass


@click.command("flower")
@click.option("--port", type=click.IntRange(1, 65535), default=5555, show_default=True)
@click.option(
    "--address", default="127.0.0.1", show_default=True, help="Another one needs FLOWER_BASIC_AUTH."
)
def flower_command(port: int, address: str) -> None:
    """
    Run Flower, the view of the workers. Set FLOWER_BASIC_AUTH to user:password to ask for one.

    Events are switched on only while Flower runs; they cost the workers a part of their speed.
    """
    if address not in ("127.0.0.1", "localhost", "::1") and not os.environ.get("FLOWER_BASIC_AUTH"):
        raise click.UsageError(
            f"Flower on {address} can be reached by others: set FLOWER_BASIC_AUTH=user:password"
        )
    become_celery(
        "flower", f"--address={address}", f"--port={port}", "--max-tasks=10000", "--enable-events=True"
    )


@click.command("health")
@click.option("--within", type=click.IntRange(1), default=180, show_default=True, metavar="SECONDS")
@json_option
def health_command(within: int, *, as_json: bool) -> None:
    """
    Tell whether work is being settled: exit code 0 if so, 1 if not. For container health checks.

    Unhealthy is: no sweep for SECONDS, or stages sent to workers more than SECONDS ago and none settled since.
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.reports import read_health

    with reading() as conn:
        health = read_health(conn, within)
    if as_json:
        write_json(health)
    else:
        click.echo(health.reason)
    raise click.exceptions.Exit(exit_codes.OK if health.healthy else exit_codes.FAILED)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    r"""
    Print the completion script for SHELL.

    \b
    Example:
      celeriac completion bash > ~/.local/share/bash-completion/completions/celeriac
    """
    from click.shell_completion import get_completion_class

    from cli.main import cli

    kind: Any = get_completion_class(shell)
    click.echo(kind(cli, {}, "celeriac", "_CELERIAC_COMPLETE").source())
