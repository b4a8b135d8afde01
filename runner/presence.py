"""A worker's word that it lives: what its parent process says of it, and what becomes of that."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from pipeline.errors import JobsFileError
from runner.code_version import read_code_version
from runner.runtime import HOST
from tracker import workers
from tracker.clock import now_ms
from tracker.connection import open_db

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.runtime import Runtime

log = structlog.get_logger(__name__)


class FarLine(Protocol):
    """How a worker that cannot open the tracker's file is heard by those beside it. Best effort."""

    def alive(self, word: dict[str, Any]) -> None:
        """Say that the worker lives."""

    def gone(self, host: str, pid: int) -> None:
        """Say that it stops."""


@dataclass(slots=True)
class Presence:
    """
    One worker, as its parent process knows it.

    Each word opens a connection of its own and closes it again, so that no child inherits one.
    """

    runtime: Runtime
    line: FarLine
    name: str
    started_at: int

    def say(self, processes: Sequence[int], queues: Sequence[str]) -> None:
        """Say that the worker lives, with the processes that run stages and the queues that it serves."""
        word = workers.WorkerWord(
            host=HOST,
            pid=os.getpid(),
            name=self.name,
            processes=list(processes),
            queues=sorted(queues),
            version=read_code_version(),
            remote=self.is_far,
            scoped=self.runtime.run.is_scoped,
            started_at=self.started_at,
            at=now_ms(),
        )
        if word.remote:
            self.line.alive(asdict(word))
            return
        with open_db(self.runtime.settings.db_path) as conn:
            workers.note_worker(conn, word)

    def leave(self) -> None:
        """Say that the worker stops."""
        if self.is_far:
            self.line.gone(HOST, os.getpid())
            return
        with open_db(self.runtime.settings.db_path) as conn:
            workers.forget_worker(conn, HOST, os.getpid())

    @property
    def is_far(self) -> bool:
        """Tell whether this worker cannot open the file: it says so, or its machine has no jobs.yaml."""
        try:
            return self.runtime.is_far or not self.runtime.jobs
        except JobsFileError:
            return True
