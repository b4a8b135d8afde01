"""Handlers that were edited after a worker has started: it goes on with what it has loaded of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.versions import list_handler_files
from pipeline import catalog
from pipeline.errors import CeleriacError
from runner.saying import say_distance
from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.jobspec import JobSpec
    from tracker.workers import WorkerReport


@dataclass(frozen=True, slots=True)
class Edited:
    """A file of a handler that was written at `at` (Unix ms), after the workers named had started."""

    path: Path
    at: int
    workers: tuple[str, ...]

    def say(self) -> str:
        """Say it in one line."""
        when, names = say_distance(self.at, now_ms()), ", ".join(self.workers)
        return f"{self.path.name} was changed {when}; {names} started before, and may run it as it was"


DO = "start workers anew after you change a handler: stop `celeriac up` and start it again"


def list_edited(jobs: Iterable[JobSpec], workers: Sequence[WorkerReport]) -> list[Edited]:
    """
    List the files of the jobs' handlers that were written after a worker beside this process has started.

    By the times of the files: one that was written and says the same is listed too. What does not import is left out.
    """
    beside = [one for one in workers if not one.is_silent and not one.is_remote]
    if not beside:
        return []
    files = sorted({path for job in jobs for path in _list_files(job)})
    found = [_compare(path, beside) for path in files if path.exists()]
    return [one for one in found if one.workers]


def _compare(path: Path, workers: Sequence[WorkerReport]) -> Edited:
    at = path.stat().st_mtime_ns // 1_000_000
    return Edited(path, at, tuple(one.name for one in workers if one.started_at < at))


def _list_files(job: JobSpec) -> Iterable[Path]:
    for spec in job.stages:
        with suppress(CeleriacError):  # `celeriac check` tells of it
            yield from list_handler_files(catalog.load(catalog.HANDLER, spec.handler), spec.params)
