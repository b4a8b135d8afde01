"""The Celery app. Each setting that is not the default has its reason beside it."""

from __future__ import annotations

import os
from functools import cache

import billiard.pool
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate
from kombu import Queue

from pipeline.errors import CeleriacError
from pipeline.settings import load_settings
from runner.broker import choose_tls, find_broker_url
from runner.clock_steps import ClockSteps
from runner.context import RunContext
from runner.runtime import Runtime
from tasks.heartbeats import use_prompt_heart
from tasks.publisher import TRACKER_QUEUE, CeleryPublisher
from tasks.stopping import is_stopping
from tasks.transport import use_bulk_transport

RUN_VARIABLE = "CELERIAC_RUN"
"""Carries the `RunContext` of a `celeriac run` to the workers that it starts for itself. Not for people."""

FAR_VARIABLE = "CELERIAC_FAR"
"""Tells the processes of a `celeriac worker --remote` that they cannot open the tracker's file. Not for people."""

_settings = load_settings()
use_bulk_transport(_settings.together)
use_prompt_heart()
app = Celery("celeriac")
app.conf.update(
    broker_url=find_broker_url(_settings),
    broker_use_ssl=choose_tls(find_broker_url(_settings)) or False,
    # The tracker remembers, so the broker need not: no acknowledgements to keep, no visibility timeout to
    # fear, and twice the throughput. A message that dies is a stage whose lease or stamp runs out.
    broker_transport_options={
        "ack_emulation": False,
        "socket_timeout": 5,  # publishing to a frozen broker would wait for ever
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 25,
        # who settles must not wait for a broker that is away; workers and beat reconnect by settings of their own
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    },
    task_acks_late=True,  # costs nothing without emulation, and keeps threads from falling to 9 tasks/s
    worker_pool="tasks.pool:PromptPool",  # also what `--pool prefork`, the default, means then
    worker_prefetch_multiplier=4,  # what is fetched is invisible to others; with 1, a process waits between two
    worker_cancel_long_running_tasks_on_connection_loss=False,  # its lease holds, broker or not
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # the default gives up after 100
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    task_create_missing_queues=True,
    worker_send_task_events=False,  # Flower switches them on while somebody watches
    task_send_sent_event=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts_level="INFO",
    beat_scheduler="tasks.scheduler:JobsScheduler",
    enable_utc=True,
    timezone="UTC",
)
if _settings.is_signed:
    from tasks.signing import sign_messages

    sign_messages(app, _settings)
# A child that stops waits for its parent to hear of its last tasks, which a stopping parent does not always do:
# half a minute by default. The tracker has heard already, so a second is plenty.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 10


@cache
def get_runtime() -> Runtime:
    """Get this process's runtime."""
    scope = os.environ.get(RUN_VARIABLE)
    runtime = Runtime(
        load_settings(),
        CeleryPublisher(app),
        run=RunContext.from_json(scope) if scope else None,
        timeout_error=SoftTimeLimitExceeded,
        stop_errors=(KeyboardInterrupt, WorkerShutdown, WorkerTerminate),
        is_stopping=is_stopping,
        is_far=bool(os.environ.get(FAR_VARIABLE)),
    )
    runtime.clock_steps = ClockSteps()
    return runtime


def list_queues(*, with_remote: bool = False) -> list[str]:
    """List the queues that a worker beside the tracker serves, and with `with_remote` those of remote stages."""
    try:
        jobs = get_runtime().jobs
    except CeleriacError:  # a worker far from the file has no jobs.yaml; ours are told before they start
        return [app.conf.task_default_queue, TRACKER_QUEUE]
    remote = set() if with_remote else jobs.remote_queues
    return sorted({app.conf.task_default_queue, TRACKER_QUEUE, *jobs.queues} - remote)


app.conf.task_queues = [Queue(name) for name in list_queues()]
