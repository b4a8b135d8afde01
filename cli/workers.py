"""`celeriac workers`: who works, and what each is running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.workers import Running, WorkerReport


@click.command("workers")
@json_option
def workers_command(*, as_json: bool) -> None:
    r"""
    List the workers, and what each runs for how long.

    Each says every 15 seconds that it lives. One that has been silent for a minute is taken to be gone, and is on the
    list for an hour.

    \b
    Examples:
      celeriac workers
      celeriac workers --json | jq -r '.[] | select(.is_silent) | .name'
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.workers import list_workers

    with reading() as conn:
        workers = list_workers(conn)
    if as_json:
        write_json(workers)
    elif workers:
        show_workers(workers)
    else:
        write_line("no worker has said within the last hour that it lives: celeriac up", err=True)


def show_workers(workers: Sequence[WorkerReport]) -> None:
    """Show workers as a table, and below it what they run."""
    from cli.render import out, say_ago, write_table
    from runner.code_version import read_code_version
    from runner.worker_notes import list_notes

    ours = read_code_version()
    write_table(
        ["worker", "process", "#processes", "queues", "up since", "seen", "code", "note"],
        [
            (
                one.name,
                f"{one.host}:{one.pid}",
                len(one.processes) or 1,
                " ".join(one.queues),
                say_ago(one.started_at),
                say_ago(one.seen_at),
                one.version,
                "; ".join(list_notes(one, ours)),
            )
            for one in workers
        ],
    )
    running = [(worker.name, one) for worker in workers for one in worker.running]
    if running:
        out.print()
        _show_running(running)


def _show_running(running: Sequence[tuple[str, Running]]) -> None:
    from cli.render import say_ago, write_table

    write_table(
        ["running", "job", "stage", "#attempt", "by", "process", "began", "how far"],
        [
            (
                one.key,
                one.job,
                one.stage,
                one.attempt,
                worker,
                one.worker,
                say_ago(one.started_at),
                _say_how_far(one),
            )
            for worker, one in running
        ],
    )


def _say_how_far(one: Running) -> str:
    if one.done is None:
        return ""
    of = f" of {one.total:g}" if one.total else ""
    return f"{one.done:g}{of} {one.note or ''}".rstrip()
