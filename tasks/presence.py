"""Workers say that they live: when they start, every few seconds, and when they stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from celery import signals

from pipeline.errors import TrackerNewerError
from runner.presence import Presence
from tasks.app import app, get_runtime
from tasks.line import PresenceLine
from tasks.newer import UNUSABLE, stop_worker
from tasks.repeating import RepeatedStep
from tracker.clock import now_ms
from tracker.workers import BEAT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

STARTED_AT = now_ms()
"""When this process began: Celery imports this at once."""


class SaysItLives(RepeatedStep):
    """Has a worker's parent process say that it lives, with its processes and queues as they are then."""

    every_seconds = BEAT_SECONDS

    def start(self, parent: Any) -> None:
        """Say so now, and go on saying it."""
        say(parent)
        super().start(parent)

    def act(self, consumer: Any) -> None:
        """Say so."""
        say(consumer)


def say(consumer: Any) -> None:
    """Say that the worker of a consumer lives."""
    presence = Presence(get_runtime(), PresenceLine(app), consumer.hostname, STARTED_AT)
    queues = [queue.name for queue in consumer.task_consumer.queues]
    _try(lambda: presence.say(list_processes(consumer.pool), queues))


def list_processes(pool: Any) -> list[int]:
    """List the pids of a pool's processes; none for a pool of threads, which runs stages in the parent."""
    return sorted(
        process.pid
        for process in getattr(getattr(pool, "_pool", None), "_pool", ()) or ()
        if hasattr(process, "pid")
    )


@signals.worker_shutdown.connect
def leave(sender: Any, **_: Any) -> None:
    """Say that the worker stops; Celery may tell it twice. Its exit code says if the file is too new for it."""
    if not _try(Presence(get_runtime(), PresenceLine(app), sender.hostname, STARTED_AT).leave):
        sender.exitcode = UNUSABLE  # also when a child met the file first, and could only ask for a stop


def _try(act: Callable[[], None]) -> bool:
    """Say something of this worker; False when the file is too new for it."""
    try:
        act()
    except TrackerNewerError as error:
        stop_worker(error)
        return False
    except Exception as error:  # noqa: BLE001 - a worker whose word is not heard goes on working, and says it again
        log.warning("could not say that this worker lives", error=str(error))
    return True


app.steps["consumer"].add(SaysItLives)
