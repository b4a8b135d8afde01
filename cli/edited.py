"""A word of warning where handlers were edited and workers were not started anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.lines import write_line
from runner.edited_code import DO, list_edited
from tracker.workers import list_workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.jobspec import JobSpec
    from tracker.connection import Connection


def tell_edited(conn: Connection, jobs: Iterable[JobSpec]) -> None:
    """Tell, beside the output, which workers may run a handler of these jobs as it was before it was edited."""
    for one in list_edited(jobs, list_workers(conn)):
        write_line(f"note: {one.say()}; {DO}", err=True)
