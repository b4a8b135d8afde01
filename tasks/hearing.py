"""
Hear what workers far from the file say: with each message of the `tracker` queue, the others that wait there.

A worker's parent process hears it, which runs no stage. A process of the pool may be at a long stage, and so may all of
them, while the leases of those far away run out.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from amqp.exceptions import ChannelError
from celery.exceptions import SecurityError
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.serialization import prepare_accept_content

from pipeline.errors import CeleriacError, TrackerNewerError
from runner import remote
from runner.remote import Word
from tasks.app import app, get_runtime
from tasks.newer import stop_worker
from tasks.publisher import AWAY, TRACKER_QUEUE, count_waiting
from tasks.repeating import RepeatedStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery, Task
    from kombu import Message, Producer

log = structlog.get_logger(__name__)

TOGETHER = 64
"""How many words are recorded in one transaction: others who want to write wait for no longer than that."""

TASKS = {
    "tasks.remote_begun": "begun",
    "tasks.remote_alive": "alive",
    "tasks.remote_ended": "ended",
    "tasks.remote_lost": "lost",
    "tasks.remote_handed_back": "handed_back",
    "tasks.worker_alive": "worker_alive",
    "tasks.worker_gone": "worker_gone",
}
"""What each task of the `tracker` queue says; who records it is in `runner.remote`."""


def listen(_task: Task[..., None], _app: Celery, consumer: Any) -> Callable[..., None]:
    """Make what takes a message in a worker's parent and hears it there; Celery calls this for a task's `Strategy`."""

    def receive(message: Message, _body: Any, acknowledge: Callable[..., None], *_: Any, **__: Any) -> None:
        acknowledge(log, consumer.connection_errors)
        is_first = not _received  # those that come with it are heard with it
        _received.extend(_read(message))
        if is_first:
            consumer.call_soon(hear_what_waits, consumer)

    return receive


_received: deque[Word] = deque()


def hear_what_waits(consumer: Any) -> None:
    """Record what was received, with what waits on the queue, in the event loop of a worker's parent."""
    words: list[Word] = []
    with suppress(IndexError):  # until there is none
        while len(words) < TOGETHER:
            words.append(_received.popleft())
    try:
        words += take_waiting(TOGETHER - len(words))
        remote.hear(get_runtime(), words)
    except TrackerNewerError as error:
        stop_worker(error)
    except Exception as error:  # noqa: BLE001 - it would end the worker; what is lost is a lease that runs out
        log.error("dropped words from afar", count=len(words), error=repr(error))
    if _received or len(words) == TOGETHER:
        consumer.call_soon(hear_what_waits, consumer)


class HearsWhatWaits(RepeatedStep):
    """Has a worker's parent look at the queue itself: while its processes are all at work, Celery fetches no more."""

    every_seconds = 1.0

    def act(self, consumer: Any) -> None:
        """Hear what waits, if this worker serves the queue and anything runs far away."""
        serves = any(queue.name == TRACKER_QUEUE for queue in consumer.task_consumer.queues)
        if serves and (_received or _has_remote_stages()):
            hear_what_waits(consumer)

    def stop(self, consumer: Any) -> None:
        """Hear what was received; more comes with the next connection, if there is one."""
        super().stop(consumer)
        while _received:
            hear_what_waits(consumer)


def _has_remote_stages() -> bool:
    try:
        return bool(get_runtime().jobs.remote_queues)
    except CeleriacError:  # no jobs.yaml, as `list_queues` says: who needs it is told
        return False


def take_waiting(most: int) -> list[Word]:
    """
    Take at most so many of the words that wait on the `tracker` queue.

    Nothing is acknowledged: what dies with this process is a lease that runs out.
    """
    words: list[Word] = []
    try:
        with app.producer_pool.acquire(block=True, timeout=2) as producer:
            words.extend(_take(producer, min(most, count_waiting(producer, TRACKER_QUEUE))))
    except (*AWAY, ChannelError) as error:
        log.warning("the broker is away; what waits there waits", error=str(error))
    return words


def _take(producer: Producer, count: int) -> Iterator[Word]:
    channel: Any = producer.channel
    for _ in range(count):
        message = channel.basic_get(TRACKER_QUEUE, no_ack=True)
        if message is None:
            return
        message.accept = prepare_accept_content(app.conf.accept_content)
        yield from _read(message)


def _read(message: Message) -> Iterator[Word]:
    """Give the word that a message is, if it is one; what is none is sent to where it is run."""
    try:
        args, kwargs, _embedded = message.payload
        words, named = tuple(args), dict(kwargs)
        name = str(message.headers.get("task"))
    except (ContentDisallowed, DecodeError, SecurityError, ValueError, TypeError) as error:
        log.error("dropped a message that cannot be read", error=str(error))
        return
    if name in TASKS:
        yield Word(TASKS[name], words)
    elif name in app.tasks:
        app.send_task(name, words, named)
    else:
        log.error("dropped a message for a task that is not known here", task=name)


def _run(*_args: Any) -> NoReturn:
    raise RuntimeError("a worker's parent hears this; no process runs it")


for _name in TASKS:
    app.task(name=_name, Strategy="tasks.hearing:listen")(_run)
app.steps["consumer"].add(HearsWhatWaits)
