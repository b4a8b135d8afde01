"""
The hand-over of a lone item: from the moment a stage's handler returns to the moment the next one's begins.

One item at a time goes through three stages that look at the clock, with one prefork worker and nothing else to do.
In between lie the settling, the message through the broker, and the next claim.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from house import empty_house, wait_until, worker
from throughput import HEAD, STAGES, describe_job

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime

WARM_UP = 20
JOB = describe_job("lone", "Stopwatch")


def hand_over(runtime: Runtime, job: JobSpec, key: str) -> list[float]:
    """Take one item through all its stages; the milliseconds of each hand-over."""
    from runner.dispatch import dispatch_job  # noqa: PLC0415 - reads the settings when it is imported
    from tracker import get_job_stats, get_results, upsert_items  # noqa: PLC0415

    conn = runtime.tracker
    known = get_job_stats(conn, job.name)["done"]
    upsert_items(conn, job.name, [{"key": key}])
    dispatch_job(runtime, job)
    wait_until(lambda: get_job_stats(conn, job.name)["done"] > known, 30)
    told: dict[str, Any] = get_results(conn, job.name, key)
    times = [told[stage] for stage in STAGES]
    return [(after["begun"] - before["ended"]) / 1e6 for before, after in pairwise(times)]


def measure(items: int, concurrency: int) -> list[float]:
    """Take items through one after the other, the first ones to warm up; the milliseconds of all hand-overs."""
    from tasks.app import app, get_runtime  # noqa: PLC0415 - reads the settings when it is imported

    runtime = get_runtime()
    job = runtime.jobs.get_job("lone")
    with worker("tasks", concurrency):
        wait_until(lambda: bool(app.control.ping(timeout=0.5)), 60)
        for number in range(WARM_UP):
            hand_over(runtime, job, f"warm-up-{number}")
        return [taken for number in range(items) for taken in hand_over(runtime, job, f"item-{number}")]


def main() -> None:
    """Print the median and the tail."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=100)
    options.add_argument("--concurrency", type=int, default=2)
    asked = options.parse_args()
    with empty_house(HEAD + JOB):
        times = measure(asked.items, asked.concurrency)
    cuts = quantiles(times, n=100)
    print(
        f"{len(times)} hand-overs of a lone item, prefork with {asked.concurrency} processes, milliseconds: "
        f"median {median(times):.1f}, 90 % within {cuts[89]:.1f}, 99 % within {cuts[98]:.1f}   (target: median under 5)"
    )


if __name__ == "__main__":
    main()
