"""The progress of a pass, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.lines import write_line
from cli.render import err, shorten
from pipeline.visible import make_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.backlog import Backlog
    from tracker.progress import Told

LINE_EVERY_SECONDS = 5.0


def show_progress(job: str, looks: Iterable[Backlog]) -> None:
    """Show how many stages have ended, for as long as there are looks."""
    if err.is_terminal:
        _show_bar(job, looks)
    else:
        _show_lines(job, looks)


def _show_bar(job: str, looks: Iterable[Backlog]) -> None:
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("stages"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task(job, note="")
        for look in looks:
            progress.update(bar, completed=look.ended, total=_total(look), note=_note(look))


def _show_lines(job: str, looks: Iterable[Backlog]) -> None:
    said_at, look = time.monotonic(), None
    for look in looks:
        if time.monotonic() - said_at >= LINE_EVERY_SECONDS:
            write_line(f"{job}: {look.ended} of {_total(look)} stages {_note(look)}".rstrip(), err=True)
            said_at = time.monotonic()
    if look is not None and look.total:
        write_line(f"{job}: {look.ended} of {_total(look)} stages", err=True)


def _total(look: Backlog) -> int:
    """Estimate all stages: those there are, and for each item not opened yet as many as the others have."""
    if not look.unopened or not look.items_opened:
        return look.total + look.unopened
    return look.total + round(look.unopened * look.total / look.items_opened)


def _note(look: Backlog) -> str:
    if look.latest is not None:
        return make_visible(
            f"{look.latest.stage} {shorten(look.latest.key, 40)}: {say_progress(look.latest)}"
        )
    return "" if look.is_moving or look.next_retry_at is None else "waiting for a retry"


def say_progress(told: Told) -> str:
    """
    Write how far an attempt is.

    >>> from tracker.progress import Told
    >>> say_progress(Told("a", "fetch", 1, 9, 20, "pages", 0)), say_progress(Told("a", "fetch", 1, 9.5, None, "", 0))
    ('45%, 9 of 20, pages', '9.5')
    """
    done = f"{told.done:g}"
    if told.total:
        done = f"{told.done / told.total:.0%}, {done} of {told.total:g}"
    return f"{done}, {told.note}" if told.note else done
