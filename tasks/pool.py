"""
Celery's prefork pool, with no process waiting for its next task.

Celery's own writes to a process when its event loop comes round: it looks which processes are free, asks the
kernel whether they can be written to, and then writes, two rounds after the result was read. With stages of a
millisecond the processes wait longer than they work.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from itertools import islice
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from billiard.pool import RUN
from celery.concurrency.asynpool import AsynPool, Worker, _get_job_writer  # type: ignore[attr-defined]  # private
from celery.concurrency.prefork import TaskPool
from celery.utils.dispatch import Signal

from pipeline.settings import load_settings
from tasks.durations import DURATIONS, SHORT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Inbox:
    """In a process of the pool: what its parent has written to it, which may be looked at before its turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._receive: Callable[[float], Any]
        self._has_more: Callable[[float], bool] = lambda _: False  # of a process that is in no pool

    def open(self, receive: Callable[[float], Any], has_more: Callable[[float], bool]) -> None:
        """Begin to read from a pipe."""
        self._receive, self._has_more = receive, has_more

    def take(self, timeout: float) -> Any:
        """Take what is next, once it is there."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else self._receive(timeout)

    def look(self, most: int) -> list[tuple[Any, ...]]:
        """List the arguments of at most so many of the tasks that wait, the next one first."""
        with self._lock:
            with suppress(EOFError, OSError):  # the parent is gone, which `take` will find
                while len(self._waiting) < most and self._has_more(0):
                    self._waiting.append(self._receive(0))
            waiting = list(islice(self._waiting, most))
        return [request[1][3] for _, request in waiting if request is not None]


INBOX = Inbox()
"""This process's."""


class PromptWorker(Worker):
    """A process of the pool, which reads through its inbox."""

    def _make_recv_method(self: Any, conn: Any) -> Callable[[float], Any]:
        receive: Callable[[float], Any] = super()._make_recv_method(conn)  # type: ignore[misc]  # the stubs leave out what is private
        if conn is not self.inq:
            return receive
        INBOX.open(receive, conn._reader.poll)  # noqa: SLF001 - as billiard does
        return INBOX.take


class PromptAsynPool(AsynPool):
    """
    Writes the next waiting task to a process as soon as its result was read, and a few more ahead of time.

    These only behind tasks of kinds that have been short lately, so that none waits behind another's long work. Should
    a short one take long after all, the tracker sends what waits behind it once more.
    """

    Worker = PromptWorker

    def register_with_event_loop(self, hub: Any) -> None:
        """Register, and take over the function by which Celery writes to processes that can take a task."""
        super().register_with_event_loop(hub)
        self._write_one: Callable[[Sequence[int]], None] = hub.consolidate_callback
        hub.consolidate_callback = self._fill
        self._most_in_pipe = max(2, load_settings().together)  # the one that is done among them
        self._in_pipe: WeakKeyDictionary[Any, deque[Any]] = WeakKeyDictionary()

    def on_job_ready(self: Any, job: int, i: int, obj: Any, inqW_fd: int) -> None:  # noqa: N803  Celery's names
        """Take note that a process has ended a task, and give it what waits."""
        super().on_job_ready(job, i, obj, inqW_fd)
        in_pipe = self._in_pipe.get(self._fileno_to_inq.get(inqW_fd))
        ended = self._cache.get(job)
        if in_pipe and ended in in_pipe:
            in_pipe.remove(ended)
            DURATIONS.note(_kind_of(ended), monotonic() - ended._time_accepted)  # noqa: SLF001
        if in_pipe:
            self._busy_workers.add(inqW_fd)
        self._fill([inqW_fd])

    def flush(self: Any) -> None:
        """Forget what no process has begun, as when the broker was lost; at the end `join` has yet to know of it."""
        if self._state == RUN:
            super().flush()

    def join(self: Any) -> None:
        """
        Wait until every process has ended, having written to its end what was begun.

        Else the word to stop would stand within a task, and a process that waits for the rest of that would not see it.
        """
        for job in list(self._cache.values()):
            writer = _get_job_writer(job)
            if writer in self._active_writers:
                self._flush_writer(job._write_to, writer)  # noqa: SLF001
        super().join()

    @staticmethod
    def _stop_task_handler(task_handler: Any) -> None:
        """Tell the processes that live to stop: nobody empties the pipe of one that has died, which may be full."""
        living = [process for process in task_handler.pool if process._is_alive()]  # noqa: SLF001
        AsynPool._stop_task_handler(SimpleNamespace(pool=living))  # type: ignore[attr-defined]  # noqa: SLF001

    def _fill(self: Any, descriptors: Sequence[int]) -> None:
        """Write what waits, always to the process with the least to do that may have more."""
        if self._state != RUN:
            return  # behind the word to stop nothing is read, and writing may never end
        while self.outbound_buffer and (free := self._find_room()) is not None:
            self._write(free)
        if not self.outbound_buffer:
            self._write_one(descriptors)  # Celery's own stops watching them then

    def _find_room(self: Any) -> int | None:
        free = [descriptor for descriptor in self._all_inqueues if self._has_room(descriptor)]
        return min(free, key=self._count_in_pipe, default=None)

    def _count_in_pipe(self: Any, descriptor: int) -> int:
        return len(self._in_pipe.get(self._fileno_to_inq[descriptor], ()))

    def _has_room(self: Any, descriptor: int) -> bool:
        process = self._fileno_to_inq.get(descriptor)
        if process is None or descriptor in self._active_writes or descriptor not in self._all_inqueues:
            return False
        in_pipe = self._in_pipe.get(process)
        if not in_pipe:
            return True
        begun = in_pipe[0]._time_accepted  # noqa: SLF001
        return (
            len(in_pipe) < self._most_in_pipe
            and (begun is None or monotonic() - begun < SHORT_SECONDS)
            and all(DURATIONS.are_short(_kind_of(job)) for job in in_pipe)
        )

    def _write(self: Any, descriptor: int) -> None:
        job, waiting = self.outbound_buffer[0], len(self.outbound_buffer)
        self._busy_workers.discard(descriptor)
        self._write_one([descriptor])
        if len(self.outbound_buffer) < waiting and not job._accepted:  # noqa: SLF001
            self._in_pipe.setdefault(self._fileno_to_inq[descriptor], deque()).append(job)

    def _join_exited_workers(self: Any, shutdown: bool = False) -> list[int]:
        """Tell of each process that has ended, after its tasks were found lost or are to be written to another."""
        before = {process.pid for process in self._pool}
        codes: list[int] = super()._join_exited_workers(shutdown)  # type: ignore[misc]  # as above
        for pid in before - {process.pid for process in self._pool}:
            process_ended.send(self, pid=pid)
        return codes


process_ended = Signal(name="process_ended", providing_args=["pid"])
"""Sent in a worker's parent when a process of its pool has ended."""


def _kind_of(job: Any) -> str:
    """Name the kind of a task as Flower shows it: the stage, for one of ours."""
    request = job._callback.__self__  # noqa: SLF001
    return str(request.request_dict.get("shadow") or request.name)


class PromptPool(TaskPool):
    """Celery's prefork pool with prompt writing."""

    Pool = PromptAsynPool
    uses_semaphore = False  # what is fetched waits in the pool, which writes it, and not a loop before it
