"""Dagster with its instance on SQLite: a job of three ops for each item, run in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from workload import FOLDER, Peer, do_stage

HOME = FOLDER / "dagster"
os.environ.update(DAGSTER_HOME=str(HOME), DAGSTER_DISABLE_TELEMETRY="yes")  # before it is imported
from dagster import DagsterInstance, In, fs_io_manager, job, op  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable


@op
def first() -> dict[str, str]:
    """Do the first stage."""
    return do_stage()


@op(ins={"before": In(dict)})
def second(before: dict[str, str]) -> dict[str, str]:  # noqa: ARG001 - what makes it follow
    """Do the second stage."""
    return do_stage()


@op(ins={"before": In(dict)})
def third(before: dict[str, str]) -> dict[str, str]:  # noqa: ARG001 - what makes it follow
    """Do the third stage."""
    return do_stage()


@job(resource_defs={"io_manager": fs_io_manager})
def take_through() -> None:
    """Take an item through its stages."""
    third(second(first()))


def put(items: Iterable[int]) -> None:
    """Run the job for each item."""
    HOME.mkdir(exist_ok=True)
    with DagsterInstance.get() as instance:
        for item in items:
            take_through.execute_in_process(instance=instance, tags={"item": str(item)})


def count_results() -> int:
    """Count the files of results."""
    return sum(1 for path in (HOME / "storage").rglob("*") if path.name == "result")


PEER = Peer(
    settings="1 process, its instance on SQLite, a file for each result",
    on_disk=True,
    put=put,
    count_results=count_results,
)
