"""
Celery's prefork pool, which gives a process its next task the moment it has ended one.

Celery's own writes to a process when its event loop comes round: it looks which processes are free, asks the
kernel whether they can be written to, and then writes, two rounds after the result was read. With stages of a
millisecond the processes wait as long as they work.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool


class PromptAsynPool(AsynPool):
    """
    Writes the next waiting task to a process as soon as its result was read.

    Only to that process, which is free: a task never waits behind another one's long work.
    """

    def register_with_event_loop(self, hub: Any) -> None:
        """Register, and keep the function by which Celery writes to those processes that can take a task."""
        super().register_with_event_loop(hub)
        self._write_to_ready = hub.consolidate_callback

    def on_job_ready(self: Any, job: Any, i: int, obj: Any, inqW_fd: int) -> None:  # noqa: N803  Celery's names
        """Take note that a process is free, and give it what waits."""
        super().on_job_ready(job, i, obj, inqW_fd)
        can_be_written_to = inqW_fd in self._all_inqueues and inqW_fd not in self._active_writes
        if self.outbound_buffer and can_be_written_to:
            self._write_to_ready([inqW_fd])


class PromptPool(TaskPool):
    """Celery's prefork pool with prompt writing."""

    Pool = PromptAsynPool
