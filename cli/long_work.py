"""How far long work is, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from cli.lines import write_line
from cli.render import err

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_EVERY_SECONDS = 5.0


@contextmanager
def telling_how_far() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that is told what is being done, how much of it is done, and of how much (0: nobody knows)."""
    if err.is_terminal:
        with _show_bar() as tell:
            yield tell
    else:
        yield _Lines().tell


@contextmanager
def _show_bar() -> Iterator[Callable[[str, int, int], None]]:
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total or None)

        yield tell


class _Lines:
    def __init__(self) -> None:
        self.said_at = time.monotonic()

    def tell(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self.said_at >= LINE_EVERY_SECONDS:
            write_line(f"{what}: {done:,} of {total:,}" if total else what, err=True)
            self.said_at = time.monotonic()
