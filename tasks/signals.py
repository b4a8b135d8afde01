"""What happens around tasks: logging, lost processes, shutdown, and queues that jobs.yaml gains."""

from __future__ import annotations

import gc
import logging
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import bootsteps, signals
from celery.exceptions import WorkerTerminate
from celery.worker import state
from celery.worker.request import Request

from handlers.time_limit import TIME_LIMIT
from pipeline.errors import CeleriacError
from pipeline.settings import load_settings
from runner.attempt_log import LEVELS
from runner.far import as_failure
from runner.judge import describe_timeout
from runner.logs import configure_logs
from runner.lost import end_overdue, give_back_crashed, give_back_waiting, hand_back_unbegun
from tasks.app import app, get_runtime, list_queues
from tasks.line import PresenceLine, TrackerLine
from tasks.pool import process_ended
from tasks.printed import log_what_is_printed
from tasks.repeating import RepeatedStep
from tasks.stopping import note_stopping
from tasks.work import get_group, run_batch, run_remote, run_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from celery import Task

log = structlog.get_logger(__name__)

MANY_OBJECTS = 10_000
"""
After so many new ones a worker's child looks for garbage. A load of a hundred items makes thousands that live until it
is settled; to look through them again and again took a tenth of its processor.
"""


@signals.setup_logging.connect
def use_our_logs(loglevel: int, **_: Any) -> None:
    """Log in our form, whatever command started this process; what handlers print becomes log lines too."""
    configure_logs(loglevel, LEVELS[load_settings().attempt_logs])
    logging.getLogger(Request.__module__).addFilter(is_not_told_by_us)
    log_what_is_printed(app.conf.worker_redirect_stdouts_level)


def is_not_told_by_us(record: logging.LogRecord) -> bool:
    """Tell whether a line of Celery's is of something else than a lost process, which ours say without a traceback."""
    args = record.args if isinstance(record.args, tuple) else ()
    return not any(isinstance(one, WorkerLostError) for one in args)


@signals.task_failure.connect
def tell_loss(sender: Task[..., None], exception: BaseException, **_: Any) -> None:
    """In a worker's parent: a child died under a task that is for no stage of this machine's tracker."""
    if isinstance(exception, WorkerLostError) and sender.name not in {run_stage.name, run_batch.name}:
        log.error("worker process lost", task=sender.name, reason=str(exception))


@signals.task_failure.connect(sender=run_stage)
@signals.task_failure.connect(sender=run_batch)
def take_back_lost(sender: Task[..., None], exception: BaseException, args: Sequence[Any], **_: Any) -> None:
    """In a worker's parent: a child died, or was killed because it would not stop. It may be told twice."""
    for attempt in list_attempts(sender.name, args):
        try:
            if isinstance(exception, TimeLimitExceeded):
                end_overdue(get_runtime(), *attempt)
            elif isinstance(exception, WorkerLostError):
                give_back_crashed(get_runtime(), *attempt, reason=str(exception))
            else:
                log.error("a task failed outside its handler", error=repr(exception), args=attempt)
        except CeleriacError as error:
            log.error("could not give a stage back; its lease will run out", error=str(error), args=attempt)


@signals.task_failure.connect(sender=run_remote)
def tell_lost(exception: BaseException, args: Sequence[Any], **_: Any) -> None:
    """In the parent of a worker far from the file: tell those beside it what became of a child's attempt."""
    item_id, stage, attempt, cargo = args
    line = TrackerLine(app, item_id, stage, attempt)
    if isinstance(exception, TimeLimitExceeded):
        ended = as_failure(describe_timeout(cargo["timeout_seconds"]))
        line.ended(ended | {"job": cargo["job"], "costs": []})
    elif isinstance(exception, WorkerLostError):
        line.lost(str(exception))
    else:
        log.error("a task failed outside its handler", error=repr(exception), args=args[:3])


@process_ended.connect
def take_back_waiting(pid: int, **_: Any) -> None:
    """In a worker's parent: a process has ended; others may have what it had claimed and not begun."""
    if get_runtime().is_far:
        return
    try:
        give_back_waiting(get_runtime(), pid)
    except CeleriacError as error:
        log.error("could not give back what a process held; its leases will run out", error=str(error))


@signals.worker_process_init.connect
def leave_alone_what_stays(**_: Any) -> None:
    """In a worker's child: look for garbage seldom, and never among what it was forked with, which stays."""
    gc.freeze()
    gc.set_threshold(MANY_OBJECTS, *gc.get_threshold()[1:])


@signals.worker_process_shutdown.connect
def settle_what_ended(**_: Any) -> None:
    """In a worker's child: it stops; what has ended is settled first."""
    get_group(get_runtime()).close()


def list_attempts(task: str, args: Sequence[Any]) -> list[tuple[int, str, int]]:
    """List the (item, stage, attempt) that a task of ours is about; none for a task that runs no stage."""
    if task in {run_stage.name, run_remote.name}:
        item_id, stage, attempt, *_ = args
        return [(item_id, stage, attempt)]
    if task == run_batch.name:
        stage, pairs = args
        return [(item_id, stage, attempt) for item_id, attempt in pairs]
    return []


@signals.task_prerun.connect
def stop_when_told(**_: Any) -> None:
    """In a worker's child: take SIGTERM for the end of the process, not for a `sys.exit` of the handler."""
    leave = signal.getsignal(signal.SIGTERM)
    if callable(leave) and leave.__module__ == "billiard.common":
        signal.signal(signal.SIGTERM, partial(_terminate, leave))
        signals.task_prerun.disconnect(stop_when_told)  # once is enough, and each task would pay for it


def _terminate(leave: Callable[[int, FrameType | None], None], number: int, frame: FrameType | None) -> None:
    try:
        leave(number, frame)
    except SystemExit as error:
        raise WorkerTerminate(error.code) from None


@signals.task_prerun.connect
def strike_when_told(**_: Any) -> None:
    """In a worker's child: let the end of a task's time strike where it may, and not wherever the process is."""
    strike = signal.getsignal(signal.SIGUSR1)
    if callable(strike) and strike.__module__ == "billiard.pool":
        signal.signal(signal.SIGUSR1, lambda *caught: TIME_LIMIT.strike(partial(strike, *caught)))
        signals.task_prerun.disconnect(strike_when_told)  # once, as above


def hand_back() -> None:
    """Let other workers have what this one fetched and has not begun."""
    waiting = state.reserved_requests - state.active_requests
    fetched = [attempt for request in waiting for attempt in list_attempts(request.type, request.args)]
    try:
        if not get_runtime().is_far:
            hand_back_unbegun(get_runtime(), fetched)
        elif fetched:
            PresenceLine(app).handed_back(fetched)
    except Exception as error:  # noqa: BLE001 - the worker must wait for what runs, whatever becomes of the rest
        log.error("could not hand back what was fetched; it will be sent again", error=str(error))


class HandsBack(bootsteps.StartStopStep):
    """
    Hands back what is left when the worker stops.

    Not as soon as it is told to: that strikes in the midst of whatever its parent does, which may hold the tracker's
    lock, and would wait for itself.
    """

    requires = ("celery.worker.components:Pool",)

    def close(self, _: Any) -> None:
        """Hand back; Celery calls this when the worker takes on nothing more, before it waits for what runs."""
        note_stopping()
        hand_back()


class NewQueues(RepeatedStep):
    """Serve the queues that jobs.yaml gains while this worker runs, unless it was started for certain queues."""

    every_seconds = 5.0

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._serving = set(list_queues())

    def start(self, parent: Any) -> None:
        """Begin to look."""
        if getattr(parent.app.amqp.queues, "_consume_from", None) is None:
            super().start(parent)

    def act(self, consumer: Any) -> None:
        """Serve what is new."""
        for queue in sorted(set(list_queues()) - self._serving):
            consumer.add_task_queue(queue)
            self._serving.add(queue)
            log.info("serving a new queue", queue=queue)


app.steps["worker"].add(HandsBack)
app.steps["consumer"].add(NewQueues)
