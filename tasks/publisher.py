"""Publish to Celery in batches, under the names that people see in Flower and in the logs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqp.exceptions import ChannelError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline.errors import BrokerUnavailableError

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

AWAY = (OperationalError, RedisError, OSError)


class CeleryPublisher:
    """Sends the runner's messages through Celery."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish_stages(self, job: JobSpec, messages: Sequence[Message]) -> None:
        """Send one `run_stage` for each message, shown as `job.stage` with the item's key."""
        run_stage, run_remote = self._app.tasks["tasks.run_stage"], self._app.tasks["tasks.run_remote"]
        with self._producer() as producer, producer.batch(BATCH):  # type: ignore[attr-defined]  # since kombu 5.7
            for message in messages:
                ids = (message.item_id, message.stage, message.attempt)
                task, args = (run_remote, (*ids, message.cargo)) if message.cargo else (run_stage, ids)
                task.apply_async(
                    args=args,
                    producer=producer,
                    retry=False,
                    **_options(job.stage(message.stage), message),
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
            return any(_count(producer, queue) for queue in list_queues(with_remote=True))

    @contextmanager
    def _producer(self) -> Iterator[Producer]:
        try:
            with self._app.producer_pool.acquire(block=True, timeout=10) as producer:
                yield producer
        except AWAY as error:
            raise BrokerUnavailableError(f"the broker does not answer: {error}") from error


def _options(spec: StageSpec, message: Message) -> dict[str, Any]:
    options: dict[str, Any] = {
        "queue": spec.queue,
        "shadow": f"{message.job_id}.{message.stage}",
        "argsrepr": message.key[:KEY_CHARS],
        "kwargsrepr": "",
        "soft_time_limit": spec.timeout,
        "time_limit": spec.timeout + HARD_LIMIT_GRACE_SECONDS,
    }
    if message.countdown_seconds is not None:
        options["countdown"] = message.countdown_seconds
    return options


def _count(producer: Producer, queue: str) -> int:
    try:
        channel: Any = producer.channel
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0  # Redis drops an empty queue
