"""What is worth knowing of a worker besides that it works, as the command line and the dashboard say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.durations import format_duration
from tracker.workers import SKEW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.workers import WorkerReport


def list_notes(worker: WorkerReport, ours: str) -> Iterator[str]:
    """List them; `ours` is the version of the code that is here."""
    if worker.is_silent:
        yield "silent"
    if worker.version != ours:
        yield "other code than here"
    if worker.is_remote:
        yield "remote"
    if worker.is_scoped:
        yield "for one run"
    if abs(worker.skew_seconds) * 1000 >= SKEW_MS:
        off = format_duration(abs(worker.skew_seconds))
        yield f"its clock is {off} {'ahead' if worker.skew_seconds > 0 else 'behind'}"
