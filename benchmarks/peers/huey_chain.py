"""Huey, on Redis or on SQLite (the variant `sqlite`): each task calls the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huey import RedisHuey, SqliteHuey
from workload import FOLDER, PROCESSES, REDIS_SOCKET, VARIANT, Peer, do_stage, running

if TYPE_CHECKING:
    from collections.abc import Iterable

ON_SQLITE = VARIANT == "sqlite"
huey = (
    SqliteHuey("bench", filename=str(FOLDER / "huey.db"))
    if ON_SQLITE
    else RedisHuey("bench", url=f"unix://{REDIS_SOCKET}")
)


@huey.task()
def first(item: int) -> dict[str, str]:
    """Do the first stage."""
    result = do_stage()
    second(item)
    return result


@huey.task()
def second(item: int) -> dict[str, str]:
    """Do the second stage."""
    result = do_stage()
    third(item)
    return result


@huey.task()
def third(_: int) -> dict[str, str]:
    """Do the third stage."""
    return do_stage()


def put(items: Iterable[int]) -> None:
    """Send the first task of each item."""
    for item in items:
        first(item)


OPTIONS = ["--worker-type", "process", "--workers", str(PROCESSES), "--quiet"]
PEER = Peer(
    settings=f"{PROCESSES} processes, results in {'SQLite as it comes' if ON_SQLITE else 'Redis'}",
    on_disk=ON_SQLITE,
    put=put,
    count_results=huey.result_count,
    workers=lambda: running(["huey_consumer", "huey_chain.huey", *OPTIONS]),
)
