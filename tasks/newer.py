"""A worker whose code is older than the tracker's file: it says so, and stops, so that it spends no messages."""

from __future__ import annotations

import os
import signal
from typing import Any

import structlog
from billiard.process import current_process
from celery import signals
from celery.worker import state

from pipeline.errors import TrackerNewerError

log = structlog.get_logger(__name__)

UNUSABLE = 4
"""What a worker exits with then, as `celeriac` does."""


def stop_worker(error: TrackerNewerError) -> None:
    """
    Let the worker of this process end what runs, take on nothing more, and exit.

    From its main process, and from a child of it, or a thread of one.
    """
    log.error("this worker stops: the tracker is no longer for this code", error=str(error))
    if current_process().name == "MainProcess":
        state.should_stop = UNUSABLE  # type: ignore[assignment]  # an exit code, says Celery; its stubs know None alone
    else:
        os.kill(os.getppid(), signal.SIGTERM)


@signals.task_failure.connect
def tell_worker(exception: BaseException, **_: Any) -> None:
    """Where a task met such a file, stop the worker at once."""
    if isinstance(exception, TrackerNewerError):
        stop_worker(exception)
