"""The options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

LEVELS = ["debug", "info", "warning", "error"]

LARGEST = 2**62
"""SQLite takes twice as much, so that one more than asked for can be looked for."""

F = TypeVar("F", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """A whole number of at least `least`, which SQLite takes. No help speaks of its other end."""

    def __init__(self, least: int) -> None:
        super().__init__(least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number", param, ctx)
        number: int = super().convert(value, param, ctx)
        if number > LARGEST:
            self.fail(f"{number} is too large a number", param, ctx)
        return number


class PathName(click.Path):
    """A path as a `Path`. An empty one, of a shell's variable that is not set, is no way to say "here"."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not os.fspath(value):
            self.fail("its name is empty; the folder that one is in is .", param, ctx)
        return super().convert(value, param, ctx)


def json_option(command: F) -> F:
    """Give a command the option `--json`."""
    help_text = "Print JSON instead of a table or words."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def limit_option(command: F) -> F:
    """Give a command that lists the option `--limit`."""
    return click.option(
        "--limit", type=WholeNumber(1), metavar="N", default=50, show_default=True, help="At most so many."
    )(command)


def trial_limit_option(command: F) -> F:
    """Give a command that tries a strategy out the option `--limit`."""
    help_text = "Stop when so many are found."
    return click.option(
        "--limit", type=WholeNumber(1), metavar="N", default=20, show_default=True, help=help_text
    )(command)


def concurrency_option(command: F) -> F:
    """Give a command the option `--concurrency`."""
    help_text = "Worker processes; without it, one for each processor."
    return click.option("--concurrency", type=WholeNumber(1), metavar="N", help=help_text)(command)


def loglevel_option(default: str) -> Callable[[F], F]:
    """Make the option `--loglevel` for a command that logs at `default` unless told."""
    help_text = "How much is logged."
    return click.option(
        "--loglevel", type=click.Choice(LEVELS), default=default, show_default=True, help=help_text
    )


def count_processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
