"""
Celery's prefork pool, with no process waiting for its next task.

Celery's own writes to a process when its event loop comes round: it looks which processes are free, asks the
kernel whether they can be written to, and then writes, two rounds after the result was read. With stages of a
millisecond the processes wait longer than they work.
"""

from __future__ import annotations

from collections import defaultdict, deque
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHORT_SECONDS = 0.02
"""A task that takes no longer may have another behind it in its process's pipe."""

REMEMBERED = 50
"""How many of the last tasks of a kind must all have been short."""


class Durations:
    """How long the last tasks of each kind took, such as `job.stage`."""

    def __init__(self) -> None:
        self._short_in_a_row: defaultdict[str, int] = defaultdict(int)

    def note(self, kind: str, seconds: float) -> None:
        """Note that a task took so long."""
        if seconds > SHORT_SECONDS:
            self._short_in_a_row.pop(kind, None)
        else:
            self._short_in_a_row[kind] += 1

    def are_short(self, kind: str) -> bool:
        """Tell whether all of the last `REMEMBERED` tasks were short."""
        return self._short_in_a_row.get(kind, 0) >= REMEMBERED


class PromptAsynPool(AsynPool):
    """
    Writes the next waiting task to a process as soon as its result was read, and one more ahead of time.

    One ahead only behind a task of a kind that has been short lately, so that none waits behind another's long
    work. Should the short one take long after all, the tracker sends what waits behind it once more.
    """

    def register_with_event_loop(self, hub: Any) -> None:
        """Register, and take over the function by which Celery writes to processes that can take a task."""
        super().register_with_event_loop(hub)
        self._write_one: Callable[[Sequence[int]], None] = hub.consolidate_callback
        hub.consolidate_callback = self._fill
        self._durations = Durations()
        self._in_pipe: WeakKeyDictionary[Any, deque[Any]] = WeakKeyDictionary()

    def on_job_ready(self: Any, job: int, i: int, obj: Any, inqW_fd: int) -> None:  # noqa: N803  Celery's names
        """Take note that a process has ended a task, and give it what waits."""
        super().on_job_ready(job, i, obj, inqW_fd)
        in_pipe = self._in_pipe.get(self._fileno_to_inq.get(inqW_fd))
        ended = self._cache.get(job)
        if in_pipe and ended in in_pipe:
            in_pipe.remove(ended)
            self._durations.note(_kind_of(ended), monotonic() - ended._time_accepted)  # noqa: SLF001
        if in_pipe:
            self._busy_workers.add(inqW_fd)
        self._fill([inqW_fd])

    def _fill(self: Any, descriptors: Sequence[int]) -> None:
        """Write what waits to the processes that do nothing, and then one ahead to these."""
        idle = self._all_inqueues - self._busy_workers
        for descriptor in (*idle, *descriptors):
            if self.outbound_buffer and self._has_room(descriptor):
                self._write(descriptor)
        if not self.outbound_buffer:
            self._write_one(descriptors)  # Celery's own stops watching them then

    def _has_room(self: Any, descriptor: int) -> bool:
        process = self._fileno_to_inq.get(descriptor)
        if process is None or descriptor in self._active_writes or descriptor not in self._all_inqueues:
            return False
        in_pipe = self._in_pipe.get(process, ())
        return not in_pipe or (len(in_pipe) == 1 and self._durations.are_short(_kind_of(in_pipe[0])))

    def _write(self: Any, descriptor: int) -> None:
        job, waiting = self.outbound_buffer[0], len(self.outbound_buffer)
        self._busy_workers.discard(descriptor)
        self._write_one([descriptor])
        if len(self.outbound_buffer) < waiting and not job._accepted:  # noqa: SLF001
            self._in_pipe.setdefault(self._fileno_to_inq[descriptor], deque()).append(job)


def _kind_of(job: Any) -> str:
    """Name the kind of a task as Flower shows it: the stage, for one of ours."""
    request = job._callback.__self__  # noqa: SLF001
    return str(request.request_dict.get("shadow") or request.name)


class PromptPool(TaskPool):
    """Celery's prefork pool with prompt writing."""

    Pool = PromptAsynPool
    uses_semaphore = False  # what is fetched waits in the pool, which writes it, and not a loop before it
