"""Publish to Celery in batches, under the names that people see in Flower and in the logs."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqp.exceptions import ChannelError
from celery.utils import uuid
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # since kombu 5.7
from redis.exceptions import RedisError

from pipeline.errors import BrokerUnavailableError
from runner.loads import list_loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery import Celery
    from kombu import Producer

    from pipeline.jobspec import JobSpec, StageSpec
    from tracker.dispatch import Message

BATCH = 100
KEY_CHARS = 120
"""How much of an item's key is shown."""

HARD_LIMIT_GRACE_SECONDS = 10
"""How long after its time is up a stage that would not stop is killed."""

TRACKER_QUEUE = "tracker"
"""Carries the reports of remote stages; the workers beside the file serve it."""

ORIGIN = socket.gethostname()

AWAY = (OperationalError, BatchPublishError, RedisError, OSError)


class CeleryPublisher:
    """Sends the runner's messages through Celery."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish_stages(self, job: JobSpec, messages: Sequence[Message]) -> None:
        """Send one task for each load of messages, shown as `job.stage` with the item's key."""
        # Written and sent as `apply_async` would, without its routing and signals, of which we use none: that
        # takes a third of its time.
        write = self._app.amqp.create_task_message
        with self._producer() as producer, producer.batch(BATCH):  # type: ignore[attr-defined]  # since kombu 5.7
            for spec, load in list_loads(job, messages):
                written = write(uuid(), **_describe(spec, load))
                producer.publish(
                    written.body,
                    routing_key=spec.queue,
                    headers=written.headers,
                    serializer=self._app.conf.task_serializer,
                    delivery_mode=2,
                    retry=False,
                    declare=[],
                    **written.properties,
                )

    def publish_discovery(self, job_id: str, *, run_id: int | None = None, scheduled: bool = False) -> None:
        """Send one `discover`, shown as `job.discover`."""
        with self._producer() as producer:
            self._app.tasks["tasks.discover"].apply_async(
                args=(job_id, run_id),
                kwargs={"scheduled": scheduled},
                producer=producer,
                retry=False,
                shadow=f"{job_id}.discover",
            )

    def has_waiting_messages(self) -> bool:
        """Tell whether any queue that a worker serves holds a message."""
        from tasks.app import list_queues  # noqa: PLC0415 - the app is made with this publisher

        with self._producer() as producer:
            return any(count_waiting(producer, queue) for queue in list_queues(with_remote=True))

    @contextmanager
    def _producer(self) -> Iterator[Producer]:
        try:
            with self._app.producer_pool.acquire(block=True, timeout=10) as producer:
                yield producer
        except AWAY as error:
            raise BrokerUnavailableError(f"the broker does not answer: {error}") from error


def _describe(spec: StageSpec, load: Sequence[Message]) -> dict[str, Any]:
    """Describe a stage's task: what it is called with, its limits, and how it is shown."""
    first = load[0]
    name, args = _name_call(spec, load)
    others = f" and {len(load) - 1} more" if len(load) > 1 else ""
    return {
        "name": name,
        "args": args,
        "kwargs": {},
        "shadow": f"{first.job_id}.{first.stage}",
        "argsrepr": first.key[:KEY_CHARS] + others,
        "kwargsrepr": "",
        "countdown": first.countdown_seconds,
        "soft_time_limit": spec.timeout,
        "time_limit": spec.timeout + HARD_LIMIT_GRACE_SECONDS,
        "ignore_result": True,
        "origin": ORIGIN,
    }


def _name_call(spec: StageSpec, load: Sequence[Message]) -> tuple[str, tuple[Any, ...]]:
    if spec.batch is not None:
        return "tasks.run_batch", (spec.name, [(one.item_id, one.attempt) for one in load])
    (message,) = load
    ids = (message.item_id, message.stage, message.attempt)
    return ("tasks.run_remote", (*ids, message.cargo)) if message.cargo else ("tasks.run_stage", ids)


def count_waiting(producer: Producer, queue: str) -> int:
    """Count the messages that wait on a queue."""
    try:
        channel: Any = producer.channel
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0  # Redis drops an empty queue
