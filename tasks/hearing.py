"""Hear what workers far from the file say: with each message of the `tracker` queue, the others that wait there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from amqp.exceptions import ChannelError
from celery.exceptions import SecurityError
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.serialization import prepare_accept_content

from pipeline.errors import CeleriacError
from runner import remote
from runner.remote import Word
from tasks.app import app, get_runtime
from tasks.publisher import AWAY, TRACKER_QUEUE, count_waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu import Producer

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
"""What each task of the `tracker` queue says."""


def hear(kind: str, *args: Any) -> None:
    """Record a word, together with those that wait; see `runner.remote.hear`."""
    remote.hear(get_runtime(), [Word(kind, args), *take_waiting(TOGETHER - 1)])


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
        try:
            args, kwargs, _embedded = message.payload
            name = str(message.headers.get("task"))
        except (ContentDisallowed, DecodeError, SecurityError, ValueError, TypeError) as error:
            log.error("dropped a message that cannot be read", error=str(error))
            continue
        if name in TASKS:
            yield Word(TASKS[name], tuple(args))
        else:
            _run(name, args, kwargs)


def _run(name: str, args: Any, kwargs: Any) -> None:
    """Run what is no word, as Celery would have."""
    if name not in app.tasks:
        log.error("dropped a message for a task that is not known here", task=name)
        return
    try:
        app.tasks[name](*args, **kwargs)
    except CeleriacError as error:
        log.error("a task failed", task=name, error=str(error))
