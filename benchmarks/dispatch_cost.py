"""
The cost of dispatch with 1,000 and with 1,000,000 items waiting: it should be the same.

Refills the runway of a job again and again, claiming and settling in between, without a broker; the two
trackers take turns, so that the machine's moods hit both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from throughput import JOBS  # noqa: E402 - after the path is set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.runtime import Runtime

BATCH = 10_000


class NoBroker:
    """Takes every message and keeps none."""

    def publish_stages(self, *_: object) -> None:
        """Take them."""

    def publish_discovery(self, *_: object, **__: object) -> None:
        """Take it."""

    def has_waiting_messages(self) -> bool:
        """Say that there is always something, so that no message counts as lost."""
        return True


def make_runtime(waiting: int) -> Runtime:
    """Make a tracker with so many items waiting."""
    from pipeline.settings import Settings  # noqa: PLC0415
    from runner.runtime import Runtime  # noqa: PLC0415
    from tracker import upsert_items  # noqa: PLC0415

    directory = Path(tempfile.mkdtemp(prefix="celeriac-bench-"))
    (directory / "jobs.yaml").write_text(JOBS)
    runtime = Runtime(Settings(data=directory, jobs=directory / "jobs.yaml"), NoBroker())
    begun = time.monotonic()
    for first in range(0, waiting, BATCH):
        batch = [{"key": f"item-{n}"} for n in range(first, min(waiting, first + BATCH))]
        upsert_items(runtime.tracker, "bench", batch)
    print(f"{waiting:>9,} items stored in {time.monotonic() - begun:.1f} s", flush=True)
    return runtime


def refills(runtime: Runtime, rounds: int) -> Iterator[float]:
    """Refill, then claim and settle what was sent; the microseconds a message of each refill."""
    from runner.dispatch import refill  # noqa: PLC0415
    from tracker import claims, moves, write  # noqa: PLC0415
    from tracker.endings import Ending  # noqa: PLC0415

    conn, job = runtime.tracker, runtime.jobs.get_job("bench")
    for _ in range(rounds):
        begun = time.perf_counter()
        with write(conn):
            messages = refill(runtime, conn, job, "celery")
        taken = time.perf_counter() - begun
        with write(conn):
            for one in messages:
                claims.claim(conn, one.item_id, one.stage, one.attempt, worker="bench")
                moves.settle(conn, one.item_id, one.stage, one.attempt, Ending.finished("{}", "1"))
        yield taken / len(messages) * 1e6


def main() -> None:
    """Print the cost in both, and its ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--few", type=int, default=1_000)
    options.add_argument("--many", type=int, default=1_000_000)
    asked = options.parse_args()
    few, many = make_runtime(asked.few), make_runtime(asked.many)
    rounds = min(40, 3 * asked.few // 80)
    pairs = list(zip(refills(few, rounds), refills(many, rounds), strict=True))[1:]
    small, large = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    print(
        f"dispatch with {asked.few:>9,} waiting: {small:6.1f} us a message (median of {len(pairs)} refills)"
    )
    print(f"dispatch with {asked.many:>9,} waiting: {large:6.1f} us a message")
    print(f"ratio: {large / small:.2f}   (target: no difference)")


if __name__ == "__main__":
    main()
