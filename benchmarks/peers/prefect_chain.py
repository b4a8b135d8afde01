"""Prefect with its own local server on SQLite: a flow run of three tasks for each item, results persisted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from workload import FOLDER, Peer, do_stage

AT_ONCE = 4
os.environ.update(  # before it is imported
    PREFECT_HOME=str(FOLDER / "prefect"),
    PREFECT_RESULTS_PERSIST_BY_DEFAULT="true",
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="300",
)
from prefect import flow, task  # noqa: E402
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable


@task
def first(_: int) -> dict[str, str]:
    """Do the first stage."""
    return do_stage()


@task
def second(_: int, __: dict[str, str]) -> dict[str, str]:
    """Do the second stage."""
    return do_stage()


@task
def third(_: int, __: dict[str, str]) -> dict[str, str]:
    """Do the third stage."""
    return do_stage()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=AT_ONCE))
def take_through(items: list[int]) -> None:
    """Take the items through all stages. Without the item, like results would be taken for one another's."""
    ended = [third.submit(item, second.submit(item, first.submit(item))) for item in items]
    for one in ended:
        one.result()  # raises what a task failed with


def put(items: Iterable[int]) -> None:
    """Run one flow over the items."""
    take_through(list(items))


def count_results() -> int:
    """Count the files of results."""
    return sum(1 for path in (FOLDER / "prefect" / "storage").rglob("*") if path.is_file())


PEER = Peer(
    settings=f"1 process of {AT_ONCE} threads, its own server on SQLite, a file for each result",
    on_disk=True,
    put=put,
    count_results=count_results,
)
