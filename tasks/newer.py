"""A worker whose code is older than the tracker's file: it says so, and stops, so that it spends no messages."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import structlog
from billiard.process import current_process
from celery import signals
from celery.worker import state

from pipeline.errors import TrackerNewerError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

UNUSABLE = 4
"""What a worker exits with then, as `celeriac` does."""


def stop_this_worker(error: TrackerNewerError) -> None:
    """In a worker's main process: end what runs, take on nothing more, and exit."""
    log.error("this worker stops: the tracker is no longer for this code", error=str(error))
    state.should_stop = UNUSABLE  # type: ignore[assignment]  # an exit code, says Celery; its stubs know None alone


@signals.task_failure.connect
def tell_worker(exception: BaseException, **_: Any) -> None:
    """Where a task met such a file, in a worker's child or in a thread of it: stop the worker at once."""
    if isinstance(exception, TrackerNewerError):
        find_stop()(exception)


def find_stop() -> Callable[[TrackerNewerError], None]:
    """Find how this process stops its worker."""
    return stop_this_worker if current_process().name == "MainProcess" else _stop_parent


def _stop_parent(error: TrackerNewerError) -> None:
    log.error("this worker stops: the tracker is no longer for this code", error=str(error))
    os.kill(os.getppid(), signal.SIGTERM)
