"""The line from a remote attempt to the workers beside the tracker: messages on the `tracker` queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from runner.runtime import name_process
from tasks.publisher import AWAY, TRACKER_QUEUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from runner.far_desk import HowFar

log = structlog.get_logger(__name__)

PATIENCE = {"max_retries": 30, "interval_start": 0.2, "interval_max": 2.0}
"""How the ending is tried: for a minute, after which its lease has run out and the stage is done again."""


class TrackerLine:
    """Says of one attempt that it began, lives and ended."""

    def __init__(self, app: Celery, item_id: int, stage: str, attempt: int) -> None:
        self._app, self._ids = app, (item_id, stage, attempt)
        self._worker = name_process()

    def begun(self) -> None:
        """Say that the handler is about to run."""
        self._send("tasks.remote_begun", self._worker)

    def alive(self, told: HowFar | None) -> None:
        """Say that it still runs, and how far it is."""
        self._send("tasks.remote_alive", *(() if told is None else (told,)))

    def ended(self, report: dict[str, Any]) -> None:
        """Say how it ended."""
        self._send("tasks.remote_ended", self._worker, report, retry=True, retry_policy=PATIENCE)

    def lost(self, reason: str) -> None:
        """Say that its process died."""
        self._send("tasks.remote_lost", reason)

    def _send(self, task: str, *args: Any, **options: Any) -> None:
        _send(self._app, task, (*self._ids, *args), **options)


class PresenceLine:
    """Says of a worker far from the file that it lives, or stops."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def alive(self, word: dict[str, Any]) -> None:
        """Say that the worker lives."""
        _send(self._app, "tasks.worker_alive", (word,))

    def gone(self, host: str, pid: int) -> None:
        """Say that it stops."""
        _send(self._app, "tasks.worker_gone", (host, pid))

    def handed_back(self, attempts: Sequence[tuple[int, str, int]]) -> None:
        """Say what it has fetched and not begun: (item, stage, attempt) of each."""
        _send(self._app, "tasks.remote_handed_back", (list(attempts),))


def _send(app: Celery, task: str, args: tuple[Any, ...], *, retry: bool = False, **options: Any) -> None:
    try:
        app.send_task(task, args, queue=TRACKER_QUEUE, argsrepr="", retry=retry, **options)
    except AWAY as error:
        log.warning("the broker is away; the tracker does not hear of this", task=task, error=str(error))
