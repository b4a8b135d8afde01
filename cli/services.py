"""The long-running processes, one each: worker, beat, Flower; and the shell's completion."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cli.lines import write_line
from cli.options import concurrency_option, loglevel_option

if TYPE_CHECKING:
    from pipeline.filespec import JobsFile


def become_celery(*arguments: str) -> None:
    """Run a Celery command in this process's place."""
    import sys
    import warnings

    from celery.__main__ import main

    import tasks  # noqa: F401 - what is wrong with its settings is said in our words, not in Celery's
    from cli.collecting import collect_as_usual
    from cli.processes import ROOT_WARNING

    collect_as_usual()
    warnings.filterwarnings("ignore", ROOT_WARNING)
    sys.argv = ["celery", "-A", "tasks", "--quiet", *arguments]
    main()


@click.command("worker")
@concurrency_option
@click.option(
    "--queues",
    metavar="A,B",
    help="Serve only these queues, with commas; without it, all that jobs.yaml names.",
)
@click.option(
    "--pool",
    type=click.Choice(["prefork", "threads", "solo"]),
    default="prefork",
    show_default=True,
    help="Only prefork enforces the timeouts of stages.",
)
@click.option("--remote", is_flag=True, help="Run remote stages, without the tracker's file; needs --queues.")
@click.option("--hostname", metavar="NAME", help="The worker's name, if one machine has several.")
@loglevel_option("info")
def worker_command(
    concurrency: int | None,
    queues: str | None,
    pool: str,
    hostname: str | None,
    loglevel: str,
    *,
    remote: bool,
) -> None:
    r"""
    Run a worker.

    Add as many as you like, on every machine that can open the tracker's file.

    \b
    Examples:
      celeriac worker --concurrency 8
      celeriac worker --queues slow --concurrency 2
      CELERIAC_BROKER_URL=redis://… celeriac worker --remote --queues gpu
    """
    if queues is not None and not queues.strip(" ,"):
        raise click.UsageError("--queues names none: leave it away to serve all that jobs.yaml names")
    if remote and not queues:
        raise click.UsageError(
            "--remote needs --queues: the queues of remote stages, as jobs.yaml names them"
        )
    if remote:
        os.environ["CELERIAC_FAR"] = "1"
    else:
        _warn_of_unknown(queues or "", require_ready())
    arguments = ["--pool", pool, "--loglevel", loglevel, "--without-mingle", "--without-gossip"]
    if concurrency:
        arguments += ["--concurrency", str(concurrency)]
    if queues:
        arguments += ["--queues", queues]
    if hostname:
        arguments += ["--hostname", hostname]
    become_celery("worker", *arguments)


def _warn_of_unknown(queues: str, jobs: JobsFile) -> None:
    from pipeline.jobspec import OWN_QUEUES

    known = sorted({*OWN_QUEUES, *jobs.queues})
    for name in dict.fromkeys(queue.strip() for queue in queues.split(",")):
        if name and name not in known:
            write_line(f"jobs.yaml names no queue {name!r}; it names {', '.join(known)}", err=True)


@click.command("beat")
@loglevel_option("info")
def beat_command(loglevel: str) -> None:
    r"""
    Run beat, which sends what is due.

    That is each job's discovery at its slots, and the sweep. One is enough; a second does no harm, because a
    slot is taken in the tracker.

    \b
    Example:
      celeriac beat --loglevel warning
    """
    require_ready()
    become_celery("beat", "--loglevel", loglevel)


def require_ready() -> JobsFile:
    """Refuse to start with a jobs.yaml or a tracker that cannot be used, in words; what jobs.yaml says."""
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from tracker.connection import open_db

    settings = load_settings()
    jobs = load_jobs_file(settings.jobs)
    with open_db(settings.db_path):
        return jobs


@click.command("flower")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5555, show_default=True, help="The port to listen on."
)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; another address needs FLOWER_BASIC_AUTH.",
)
def flower_command(port: int, address: str) -> None:
    r"""
    Run Flower, the view of the workers.

    Set FLOWER_BASIC_AUTH to user:password to ask for one. Events are switched on only while Flower runs; they
    cost the workers a part of their speed.

    \b
    Example:
      FLOWER_BASIC_AUTH=me:secret celeriac flower --address 0.0.0.0
    """
    if address not in ("127.0.0.1", "localhost", "::1") and not os.environ.get("FLOWER_BASIC_AUTH"):
        raise click.UsageError(
            f"Flower on {address} can be reached by others: set FLOWER_BASIC_AUTH=user:password"
        )
    become_celery(
        "flower", f"--address={address}", f"--port={port}", "--max-tasks=10000", "--enable-events=True"
    )


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
    write_line(kind(cli, {}, "celeriac", "_CELERIAC_COMPLETE").source())
