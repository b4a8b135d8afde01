"""Dramatiq on Redis, with its results: each actor sends the next one's message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from workload import PROCESSES, REDIS_SOCKET, Peer, do_stage, running

if TYPE_CHECKING:
    from collections.abc import Iterable

THREADS = 8
"""Dramatiq's default."""

URL = f"unix://{REDIS_SOCKET}"
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL), result_ttl=3_600_000))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def first(item: int) -> dict[str, str]:
    """Do the first stage."""
    result = do_stage()
    second.send(item)
    return result


@dramatiq.actor(store_results=True)
def second(item: int) -> dict[str, str]:
    """Do the second stage."""
    result = do_stage()
    third.send(item)
    return result


@dramatiq.actor(store_results=True)
def third(_: int) -> dict[str, str]:
    """Do the third stage."""
    return do_stage()


def put(items: Iterable[int]) -> None:
    """Send the first message of each item."""
    for item in items:
        first.send(item)


def count_results() -> int:
    """Count the results in Redis: their keys are hashes of 32 digits."""
    return sum(1 for _ in redis.Redis.from_url(URL).scan_iter("?" * 32, count=5000))


OPTIONS = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
PEER = Peer(
    settings=f"{PROCESSES} processes of {THREADS} threads, results in Redis",
    on_disk=False,
    put=put,
    count_results=count_results,
    workers=lambda: running(["dramatiq", "dramatiq_chain", *OPTIONS]),
)
