"""RQ: each job enqueues the next one. Its workers fork for each job, those of the variant `simple` do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
from rq import Queue
from workload import PROCESSES, REDIS_SOCKET, VARIANT, Peer, do_stage, running

if TYPE_CHECKING:
    from collections.abc import Iterable

URL = f"unix://{REDIS_SOCKET}"
KEPT_SECONDS = 3600
connection = redis.Redis.from_url(URL)
queue = Queue("bench", connection=connection)


def first(item: int) -> dict[str, str]:
    """Do the first stage."""
    result = do_stage()
    queue.enqueue("rq_chain.second", item, result_ttl=KEPT_SECONDS)
    return result


def second(item: int) -> dict[str, str]:
    """Do the second stage."""
    result = do_stage()
    queue.enqueue("rq_chain.third", item, result_ttl=KEPT_SECONDS)
    return result


def third(_: int) -> dict[str, str]:
    """Do the third stage."""
    return do_stage()


def put(items: Iterable[int]) -> None:
    """Enqueue the first job of each item."""
    for item in items:
        queue.enqueue("rq_chain.first", item, result_ttl=KEPT_SECONDS)


OPTIONS = ["--quiet", "--url", URL, "--num-workers", str(PROCESSES), "--path", "."]
if VARIANT == "simple":
    OPTIONS += ["--worker-class", "rq.worker.SimpleWorker"]
PEER = Peer(
    settings=f"{PROCESSES} processes{', no fork for each job' * (VARIANT == 'simple')}, results in Redis",
    on_disk=False,
    put=put,
    count_results=lambda: queue.finished_job_registry.get_job_count(cleanup=False),
    workers=lambda: running(["rq", "worker-pool", *OPTIONS, "bench"]),
)
