"""What the commands that take a filter have in common: it is read, and the names in it must exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipeline.filters import Filter
    from tracker.connection import Connection
    from tracker.selecting import Cursor

F = TypeVar("F", bound=Callable[..., Any])


def filter_option(command: F) -> F:
    """Give a command that reads the option `--filter`."""
    help_text = "Only what this filter selects: 'error:Timeout age:>2d'."
    return click.option("--filter", "filter_text", metavar="FILTER", help=help_text)(command)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line says of which items are meant."""

    job: str | None = None
    filter_text: str | None = None
    status: str | None = None
    stage: str | None = None


def read_filter(conn: Connection, asked: Asked) -> Filter:
    """
    Read a filter, narrowed to the job, stage and status that were given beside it.

    Raises `InvalidFilterError`, and `NotFoundError` with the nearest name for a job, a stage, or a key of one job
    that does not exist.
    """
    from pipeline.filters import Filter, parse_filter

    wanted = Filter() if asked.filter_text is None else parse_filter(asked.filter_text)
    for word, name in (("job", asked.job), ("stage", asked.stage), ("status", asked.status)):
        if name is not None:
            wanted = wanted.narrow(word, name)
    _require_names(conn, wanted)
    return wanted


def _require_names(conn: Connection, wanted: Filter) -> None:
    from cli.reading import require_job, require_key, require_stage, require_stage_of_any

    jobs = _list_names(wanted, "job")
    for job in jobs:
        require_job(conn, job)
    only = jobs[0] if len(set(jobs)) == 1 else None
    for stage in _list_names(wanted, "stage"):
        if only is None:
            require_stage_of_any(conn, stage)
        else:
            require_stage(conn, only, stage)
    for key in _list_names(wanted, "key") if only else ():
        require_key(conn, only or "", key)


def _list_names(wanted: Filter, word: str) -> list[str]:
    return [
        value.text
        for term in wanted.terms
        if term.word == word
        for value in term.values
        if not value.is_prefix
    ]


def parse_cursor(text: str | None) -> Cursor | None:
    """Read what `--after` was given: where an earlier page said that the next begins."""
    from tracker.selecting import Cursor

    if text is None:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise click.UsageError(f"--after {text!r}: give what the page before named") from None
