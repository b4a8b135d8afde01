"""Keep the full text of the jobs that are searched, a little with each sweep, and forget that of the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tracker import search_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runtime import Runtime
    from tracker.connection import Connection

ITEMS_AT_ONCE = 200
"""How many items one transaction reads in at most: some 15 ms."""

YIELD_SECONDS = 0.005
"""How long it stays away after each batch: what people search for may come a little later than what they wait for."""

SWEEP_SECONDS = 0.5
"""How long one sweep works on it; the next goes on."""


def keep_search(runtime: Runtime, only: str | None = None, seconds: float = SWEEP_SECONDS) -> int:
    """
    Read in what is new of each job, or of one, in turn; how many items. Commits, batch after batch.

    A job whose `search` is off is forgotten. Writes nothing when there is nothing new.
    """
    until, done = time.monotonic() + seconds, 0
    going: list[tuple[str, Callable[[Connection, str, int], int | None]]] = [
        (job.name, search_index.read_in if job.search else search_index.forget)
        for job in runtime.jobs.jobs.values()
        if only in (None, job.name)
    ]
    while going and time.monotonic() < until:
        still = []
        for job_id, step in going:
            count = step(runtime.tracker, job_id, ITEMS_AT_ONCE)
            if count is not None:
                done += count
                still.append((job_id, step))
                time.sleep(YIELD_SECONDS)
        going = still
    return done
