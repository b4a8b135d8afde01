"""The bare Celery chain that the throughput is measured against: each no-op task publishes the next."""

from __future__ import annotations

import os

from celery import Celery

QUEUE = "bench"

# The settings a careful user has: late acknowledgements, JSON, no results; the transport's as they come.
app = Celery("bare_chain", broker=os.environ["CELERIAC_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue=QUEUE,
    broker_connection_retry_on_startup=True,
)


@app.task
def first(item: int) -> None:
    """Do nothing, then publish the second."""
    second.delay(item)


@app.task
def second(item: int) -> None:
    """Do nothing, then publish the third."""
    third.delay(item)


@app.task
def third(item: int) -> None:
    """Do nothing."""
