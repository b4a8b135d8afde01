"""
What a second remote worker brings, and what it brings to settle in batches.

Remote workers compute, each with one process on a processor of its own, one and two of them in turn; what counts is
the ratio. Then the outcomes of no-op stages are settled in this process, one by one and as many together as wait.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from house import empty_house, wait_until, worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

JOBS = """
version: 1
jobs:
  compute:
    discovery: {strategy: manual, items: []}
    stages: [{name: away, handler: "noop:Compute", queue: far, remote: true}]
  settle:
    discovery: {strategy: manual, items: []}
    stages: [{name: away, handler: "noop:Noop", queue: other, remote: true}]
"""


@contextmanager
def remote_worker(number: int) -> Iterator[None]:
    """Run a remote worker with one process, on one processor, with nothing of the house but its broker."""
    processors = sorted(os.sched_getaffinity(0))
    processor = processors[number % len(processors)]
    with tempfile.TemporaryDirectory(prefix="celeriac-far-") as folder:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cli.main", "worker", "--remote", "--queues", "far"),
                *("--concurrency", "1", "--hostname", f"far{number}@%h", "--loglevel", "error"),
            ],
            env={**os.environ, "CELERIAC_DATA": folder, "CELERIAC_DB": "", "CELERIAC_JOBS": f"{folder}/none"},
            preexec_fn=lambda: os.sched_setaffinity(0, {processor}),  # noqa: PLW1509 - it only makes a system call
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def compute(items: int, workers: int) -> float:
    """Have remote workers compute; stages a second, from the first one settled to the last."""
    from runner.dispatch import dispatch_job  # noqa: PLC0415 - reads the settings when it is imported
    from tasks.app import app, get_runtime  # noqa: PLC0415
    from tracker import get_job_stats, upsert_items  # noqa: PLC0415

    runtime = get_runtime()
    conn, job = runtime.tracker, runtime.jobs.get_job("compute")
    known = get_job_stats(conn, "compute")["total"]
    upsert_items(conn, "compute", [{"key": f"{known + n}"} for n in range(items)])

    def done() -> int:
        return int(get_job_stats(conn, "compute")["done"]) - known

    with ExitStack() as stack:
        stack.enter_context(worker("tasks", 1))
        for number in range(workers):
            stack.enter_context(remote_worker(number))
        wait_until(lambda: len(app.control.ping(timeout=0.5)) == 1 + workers, 60)
        dispatch_job(runtime, job)
        wait_until(lambda: done() > workers)
        before, begun = done(), time.monotonic()
        wait_until(lambda: done() == items)
        return (items - before) / (time.monotonic() - begun)


class Nowhere:
    """A publisher that counts messages, and sends none."""

    def publish_stages(self, _: Any, messages: Sequence[Any]) -> None:
        """Send nothing."""

    def publish_discovery(self, *_: Any, **__: Any) -> None:
        """Send nothing."""

    def has_waiting_messages(self) -> bool:
        """Hold nothing."""
        return False


def settle(items: int, together: int) -> float:
    """Settle the outcomes of remote attempts, so many in one transaction; stages a second, claims included."""
    from pipeline.settings import load_settings  # noqa: PLC0415
    from runner.remote import Word, hear  # noqa: PLC0415
    from runner.runtime import Runtime  # noqa: PLC0415
    from tracker import get_job_stats, upsert_items, write  # noqa: PLC0415
    from tracker.plan import open_items  # noqa: PLC0415

    runtime = Runtime(load_settings(), Nowhere())
    conn, job = runtime.tracker, runtime.jobs.get_job("settle")
    known = get_job_stats(conn, "settle")["total"]
    upsert_items(conn, "settle", [{"key": f"{known + n}"} for n in range(items)])
    ids = [row[0] for row in conn.execute("SELECT item_id FROM work_items WHERE job_id = 'settle'")][known:]
    with write(conn):
        open_items(conn, "settle", ids, runtime.plan(job))
    report = {
        "job": "settle",
        "costs": [],
        "log": None,
        "ended": "finish",
        "reason": None,
        "version": "1",
        "result_json": '{"ok": true}',
        "moved": False,
        "input_hash": "0",
        "output_hash": "0",
        "retry_at": None,
        "host": None,
        "skips_rest": False,
    }
    words = [
        word
        for item_id in ids
        for word in (
            Word("begun", (item_id, "away", 1, "far")),
            Word("ended", (item_id, "away", 1, "far", report)),
        )
    ]
    begun = time.monotonic()
    for at in range(0, len(words), together):
        hear(runtime, words[at : at + together])
    taken = time.monotonic() - begun
    assert get_job_stats(conn, "settle")["done"] == known + items  # noqa: S101
    return items / taken


def main() -> None:
    """Compare one worker with two, and one by one with together."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=150, help="computing stages for each remote worker")
    options.add_argument("--settled", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    with empty_house(JOBS):
        import logging  # noqa: PLC0415

        from runner.logs import configure_logs  # noqa: PLC0415
        from tasks.hearing import TOGETHER  # noqa: PLC0415

        configure_logs(logging.ERROR)
        print("stages that compute, a second, with remote workers of one process, each on its own processor")
        print(f"{'round':>5} {'one':>9} {'two':>9} {'ratio':>7}")
        shares = []
        for number in range(1, asked.rounds + 1):
            one, two = compute(asked.items, 1), compute(2 * asked.items, 2)
            shares.append(two / one)
            print(f"{number:>5} {one:>9.1f} {two:>9.1f} {two / one:>7.2f}", flush=True)
        print(f"\nremote outcomes settled, a second, one by one and {TOGETHER} words together")
        print(f"{'round':>5} {'one':>9} {'together':>9} {'ratio':>7}")
        gains = []
        for number in range(1, asked.rounds + 1):
            one, many = settle(asked.settled, 1), settle(asked.settled, TOGETHER)
            gains.append(many / one)
            print(f"{number:>5} {one:>9.0f} {many:>9.0f} {many / one:>7.2f}", flush=True)
    print(f"\nmedian ratio of two remote workers to one: {median(shares):.2f}   (target: at least 1.6)")
    print(f"median ratio of settling together to one by one: {median(gains):.2f}")


if __name__ == "__main__":
    main()
