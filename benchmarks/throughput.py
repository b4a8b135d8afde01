"""
Throughput of three no-op stages beside a bare Celery chain of three no-op tasks.

Both have the same pool on the same broker, in turn, several times; what counts is the ratio. In Celeriac
every stage is claimed, settled, logged as an event, and recorded with a result of a kilobyte; in the chain nothing is.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median

from house import empty_house, wait_until, worker

STAGES = ("first", "second", "third")


def describe_job(job: str, handler: str, more: str = "") -> str:
    """Write a job of three stages in YAML; `more` is for each of them, such as `, batch: 100`."""
    stages = "".join(f'      - {{name: {stage}, handler: "noop:{handler}"{more}}}\n' for stage in STAGES)
    return f"  {job}:\n    discovery: {{strategy: manual, items: []}}\n    stages:\n{stages}"


HEAD = "version: 1\njobs:\n"
JOBS = HEAD + describe_job("bench", "Kilobyte")


def run_chain(items: int, concurrency: int) -> float:
    """Run the bare chain; stages a second. The first tasks are published before the clock starts."""
    import bare_chain  # noqa: PLC0415 - needs the broker's address

    app = bare_chain.app
    with worker("bare_chain", concurrency, "--queues", "idle"):
        wait_until(lambda: bool(app.control.ping(timeout=0.5)), 60)
        with app.producer_pool.acquire() as producer, producer.batch(100):
            for item in range(items):
                bare_chain.first.apply_async((item,), producer=producer)
        with app.connection_for_read() as connection:
            client = connection.default_channel.client
            begun = time.monotonic()
            app.control.add_consumer(bare_chain.QUEUE)
            wait_until(lambda: not client.llen(bare_chain.QUEUE) and not client.hlen("unacked"))
            return 3 * items / (time.monotonic() - begun)


def run_celeriac(items: int, concurrency: int, job_id: str = "bench") -> float:
    """Run the same three stages with everything recorded; stages a second. The items are stored before."""
    from runner.dispatch import dispatch_job  # noqa: PLC0415 - reads the settings when it is imported
    from tasks.app import app, get_runtime  # noqa: PLC0415
    from tracker import get_job_stats, upsert_items  # noqa: PLC0415

    runtime = get_runtime()
    conn, job = runtime.tracker, runtime.jobs.get_job(job_id)
    known = get_job_stats(conn, job_id)["total"]
    with worker("tasks", concurrency):
        wait_until(lambda: bool(app.control.ping(timeout=0.5)), 60)
        upsert_items(conn, job_id, [{"key": f"{known + n}"} for n in range(items)])
        begun = time.monotonic()
        dispatch_job(runtime, job)
        wait_until(lambda: get_job_stats(conn, job_id)["done"] == known + items)
        return 3 * items / (time.monotonic() - begun)


def compare(items: int, concurrency: int, rounds: int, more: str = "") -> float:
    """Run both in turn with one size of pool, and print each round; the median ratio."""
    print(f"\n3 no-op stages x {items} items, prefork with {concurrency} processes{more}, stages a second")
    print(f"{'round':>5} {'bare chain':>12} {'celeriac':>10} {'ratio':>7}")
    ratios = []
    for number in range(1, rounds + 1):
        bare, ours = run_chain(items, concurrency), run_celeriac(items, concurrency)
        ratios.append(ours / bare)
        print(f"{number:>5} {bare:>12.0f} {ours:>10.0f} {ours / bare:>7.2f}", flush=True)
    return median(ratios)


def main() -> None:
    """
    Compare with a process for each of two processors, and with twice as many, as is usual for fetching.

    And with the best settings for the machine: a process for each processor, and more stages in one transaction.
    """
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--concurrency", type=int, nargs="+", default=[2, 4])
    options.add_argument("--together", type=int, default=16, help="For the best settings.")
    asked = options.parse_args()
    with empty_house(JOBS):
        found = {size: compare(asked.items, size, asked.rounds) for size in asked.concurrency}
        os.environ["CELERIAC_TOGETHER"] = str(asked.together)
        settings = f" and CELERIAC_TOGETHER={asked.together}"
        best = compare(asked.items, os.cpu_count() or 1, asked.rounds, settings)
    for size, ratio in found.items():
        print(f"median ratio with {size} processes: {ratio:.2f}   (target: at least 1.8)")
    print(f"median ratio with {os.cpu_count()} processes{settings}: {best:.2f}   (target: at least 2.2)")


if __name__ == "__main__":
    main()
