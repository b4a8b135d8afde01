"""
Throughput of three no-op stages beside a bare Celery chain of three no-op tasks.

Both have the same pool on the same broker, in turn, several times; what counts is the ratio. In Celeriac
every stage is claimed, settled, recorded and logged as an event; in the chain nothing is recorded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
JOBS = """
version: 1
jobs:
  bench:
    discovery: {strategy: manual, items: []}
    stages:
      - {name: first, handler: "noop:Noop"}
      - {name: second, handler: "noop:Noop"}
      - {name: third, handler: "noop:Noop"}
"""


@contextmanager
def worker(app: str, concurrency: int, *options: str) -> Iterator[None]:
    """Run a prefork worker while the block runs."""
    arguments = ["-A", app, "--quiet", "worker", "--concurrency", str(concurrency), "--loglevel", "ERROR"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", *arguments, "--without-mingle", "--without-gossip", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until(done: Callable[[], bool], limit_seconds: float = 300) -> None:
    """Wait for something, looking often."""
    until = time.monotonic() + limit_seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("the workload did not end")
        time.sleep(0.02)


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


def run_celeriac(items: int, concurrency: int) -> float:
    """Run the same three stages with everything recorded; stages a second. The items are stored before."""
    from runner.dispatch import dispatch_job  # noqa: PLC0415 - reads the settings when it is imported
    from tasks.app import app, get_runtime  # noqa: PLC0415
    from tracker import get_job_stats, upsert_items  # noqa: PLC0415

    runtime = get_runtime()
    conn, job = runtime.tracker, runtime.jobs.get_job("bench")
    known = get_job_stats(conn, "bench")["total"]
    with worker("tasks", concurrency):
        wait_until(lambda: bool(app.control.ping(timeout=0.5)), 60)
        upsert_items(conn, "bench", [{"key": f"{known + n}"} for n in range(items)])
        begun = time.monotonic()
        dispatch_job(runtime, job)
        wait_until(lambda: get_job_stats(conn, "bench")["done"] == known + items)
        return 3 * items / (time.monotonic() - begun)


def compare(items: int, concurrency: int, rounds: int) -> float:
    """Run both in turn with one size of pool, and print each round; the median ratio."""
    print(f"\n3 no-op stages x {items} items, prefork with {concurrency} processes, stages a second")
    print(f"{'round':>5} {'bare chain':>12} {'celeriac':>10} {'ratio':>7}")
    ratios = []
    for number in range(1, rounds + 1):
        bare, ours = run_chain(items, concurrency), run_celeriac(items, concurrency)
        ratios.append(ours / bare)
        print(f"{number:>5} {bare:>12.0f} {ours:>10.0f} {ours / bare:>7.2f}", flush=True)
    return median(ratios)


def main() -> None:
    """Compare with a process for each of two processors, and with twice as many, as is usual for fetching."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--concurrency", type=int, nargs="+", default=[2, 4])
    asked = options.parse_args()
    directory = tempfile.mkdtemp(prefix="celeriac-bench-")
    (Path(directory) / "jobs.yaml").write_text(JOBS)
    os.environ.update(
        CELERIAC_DATA=directory,
        CELERIAC_JOBS=f"{directory}/jobs.yaml",
        PYTHONPATH=os.pathsep.join([str(HERE.parent), str(HERE)]),
    )
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    from pipeline.settings import load_settings  # noqa: PLC0415 - after the environment is set
    from runner.broker import embedded_broker  # noqa: PLC0415

    with embedded_broker(load_settings()) as url:
        os.environ["CELERIAC_BROKER_URL"] = url
        found = {size: compare(asked.items, size, asked.rounds) for size in asked.concurrency}
    for size, ratio in found.items():
        print(f"median ratio with {size} processes: {ratio:.2f}   (target: at least 1.3)")


if __name__ == "__main__":
    main()
