"""
What a stage costs in one file with 10,000 items and, grown, with 1,000,000, of four stages each: it should be the same.

The file is filled to the small size, copied aside, and grown by SQL through its own tables and triggers; then both take
turns at each step, so that the machine's moods hit both, with the same items: those that were just discovered go first.
Of the stages that waited before, three in a hundred items have one, the small file has too few to compare, and in the
large one each lies in pages of its own: they are told apart. `--folder` keeps the files for the next time. Afterwards,
with the large one: sixteen processes that write at once, the memory of a process over many stages, and an idle house.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from shutil import copytree
from statistics import median, quantiles
from typing import TYPE_CHECKING, cast

import structlog

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from dispatch_cost import NoBroker  # noqa: E402 - after the path is set
from operating import BATCH, STAGES, add_items, build  # noqa: E402
from scale_house import measure_idle, measure_memory, measure_writers  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.runtime import Runtime
    from tracker.dispatch import Message

NEW_ITEMS = 1000
FIRST = 9
"""The priority of the items that are discovered: they go before all that wait."""

FOUND = "found-"
"""How their keys begin."""

REFILLS = 6
JOB = "news"

WAITED = " of what waited"
"""Said of the stages that waited before the measuring."""

Samples = defaultdict[str, list[float]]
"""Microseconds of each step, by its name."""


class Postbox(NoBroker):
    """Keeps the messages that are published, instead of workers who would take them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish_stages(self, _: object, messages: Sequence[Message]) -> None:
        """Keep them."""
        self.messages += messages

    def empty(self) -> list[Message]:
        """Take out all messages."""
        taken, self.messages = self.messages, []
        return taken


def grow(folder: Path, few: int, many: int) -> None:
    """Make the file with few items in `few`, and grown to many in `many`, and let the search catch up."""
    from tracker import open_db, write  # noqa: PLC0415
    from tracker.clock import now_ms  # noqa: PLC0415

    (folder / "many").mkdir(parents=True)
    build(folder / "many", few)
    copytree(folder / "many", folder / "few")
    begun = time.monotonic()
    with open_db(folder / "many" / "tracker.db") as conn:
        for first in range(few, many, BATCH):
            with write(conn):
                add_items(conn, first, min(many, first + BATCH), many, now_ms())
    print(f"grown to {many:,} items in {time.monotonic() - begun:.0f} s", flush=True)
    begun = time.monotonic()
    catch_up(folder)
    print(f"what sweeps do bit by bit, full text search, in {time.monotonic() - begun:.0f} s", flush=True)


def catch_up(folder: Path) -> None:
    """Do for both files what sweeps would do for some time yet, so that there is nothing left to do."""
    from runner.search_keeping import keep_search  # noqa: PLC0415

    for name in ("few", "many"):
        house = open_house(folder / name)
        keep_search(house, seconds=math.inf)
        house.close()


def open_house(folder: Path) -> Runtime:
    """Open one of the files, with its jobs.yaml and without a broker."""
    from pipeline.settings import Settings  # noqa: PLC0415
    from runner.runtime import Runtime  # noqa: PLC0415

    return Runtime(Settings(data=folder, jobs=folder / "jobs.yaml"), Postbox())


def take_steps(runtime: Runtime, samples: Samples, number: int) -> Iterator[str]:
    """Take each step once in this file; the name of each when it is done, so that the other file can follow."""
    from runner.sweep import sweep  # noqa: PLC0415
    from tracker import (  # noqa: PLC0415
        all_job_stats,
        get_job_stats,
        stage_stats,
        stage_timing_stats,
        upsert_items,
    )

    conn = runtime.tracker
    found = [
        {"key": f"{FOUND}{number}-{n}", "data": {"url": f"https://example.org/{n}"}, "priority": FIRST}
        for n in range(NEW_ITEMS)
    ]
    yield timed(samples, "discovery, an item", lambda: upsert_items(conn, JOB, found), NEW_ITEMS)
    for _ in range(REFILLS):
        yield fill_runway(runtime, samples)
        yield work_off(runtime, samples)
    sweep(runtime)  # sends what waits, as much as there is room for: the next one has but to look
    yield timed(samples, "sweep", lambda: sweep(runtime))
    yield work_off(runtime, samples)

    def read_stats() -> None:
        get_job_stats(conn, JOB)
        all_job_stats(conn)
        stage_stats(conn, JOB)
        stage_timing_stats(conn, JOB)

    yield timed(samples, "stats", read_stats)


def timed(samples: Samples, name: str, act: Callable[[], object], each: int = 1) -> str:
    """Do something, and note its microseconds, divided among so many."""
    begun = time.perf_counter()
    act()
    samples[name].append((time.perf_counter() - begun) / each * 1e6)
    return name


def fill_runway(runtime: Runtime, samples: Samples) -> str:
    """Stamp what the runway has room for; the time is told for each stage."""
    from runner.dispatch import publish, refill  # noqa: PLC0415
    from tracker import write  # noqa: PLC0415

    conn, job = runtime.tracker, runtime.jobs.get_job(JOB)
    begun = time.perf_counter()
    with write(conn):
        messages = refill(runtime, conn, job, "celery")
    samples["dispatch, a stage"].append((time.perf_counter() - begun) / len(messages) * 1e6)
    publish(runtime, job, messages)
    return "dispatch, a stage"


def work_off(runtime: Runtime, samples: Samples) -> str:
    """Claim and settle all that was sent, each in a transaction of its own."""
    from tracker import claims, moves  # noqa: PLC0415
    from tracker.endings import Ending  # noqa: PLC0415

    conn = runtime.tracker
    for one in cast("Postbox", runtime.publisher).empty():
        ids = (one.item_id, one.stage, one.attempt)
        since = "" if one.key.startswith(FOUND) else WAITED
        timed(samples, "claim" + since, lambda ids=ids: claims.claim(conn, *ids, worker="bench"))
        ending = Ending.finished('{"ok": true}', "1")
        timed(samples, "settle" + since, lambda ids=ids, ending=ending: moves.settle(conn, *ids, ending))
    return "claim and settle"


def compare(few: Runtime, many: Runtime, rounds: int) -> None:
    """Print what each step costs in both files, and its ratio; the first round is to warm up."""
    small, large = Samples(list), Samples(list)
    for number in range(rounds + 1):
        if number == 1:
            small.clear(), large.clear()
        for _ in zip(take_steps(few, small, number), take_steps(many, large, number), strict=True):
            pass
    print(f"\n{'microseconds':>20} {'few':>9} {'many':>9} {'ratio':>7}   (medians; target: within 10 %)")
    for name, taken in small.items():
        if not name.endswith(WAITED):
            before, after = median(taken), median(large[name])
            print(f"{name:>20} {before:>9,.1f} {after:>9,.1f} {after / before:>7.2f}")
    for name in ("claim", "settle"):
        waited, both = large[name + WAITED], large[name] + large[name + WAITED]
        print(
            f"{name} alone with many, 99 % of {len(both):,}: {quantiles(both, n=100)[98] / 1000:.2f} ms   "
            f"(target: under 5); of the {len(waited):,} that waited, scattered over the file: {median(waited):,.1f}"
        )


def count_bytes(runtime: Runtime) -> tuple[int, int]:
    """Count the bytes of a file's pages, and its stages."""
    read = runtime.tracker.execute
    pages, free, size = (
        read(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size, read("SELECT count(*) FROM item_stages").fetchone()[0]


def tell_bytes(few: Runtime, many: Runtime) -> None:
    """Print what a stage takes in the file: what was added, among the stages that were added."""
    (small, some), (large, all_of_them) = count_bytes(few), count_bytes(many)
    print(
        f"\nthe file: {large / 1e6:,.0f} MB for {all_of_them:,} stages; "
        f"{(large - small) / (all_of_them - some):.0f} bytes a stage, with its item, result, failure, cost and words",
        flush=True,
    )


def measure(folder: Path, asked: argparse.Namespace) -> None:
    """Measure everything, one after the other."""
    few, many = open_house(folder / "few"), open_house(folder / "many")
    tell_bytes(few, many)
    compare(few, many, asked.rounds)
    few.close()
    many.close()
    measure_writers(folder / "many", asked.writers)
    measure_memory(folder / "many", asked.stages)
    catch_up(folder)
    measure_idle(folder / "few", asked.idle_seconds, "few items")
    measure_idle(folder / "many", asked.idle_seconds, "many items")


def main() -> None:
    """Make the files unless they are there, and measure."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--few", type=int, default=10_000)
    options.add_argument("--many", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--writers", type=int, default=16, help="Processes that write at once.")
    options.add_argument(
        "--stages", type=int, default=20_000, help="How many one process runs, for its memory."
    )
    options.add_argument("--idle-seconds", type=int, default=40)
    options.add_argument(
        "--folder", type=Path, help="Keep the files as they were made here; use those that are there."
    )
    asked = options.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # what is logged is not shown
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name:
        folder = Path(name) / "files"
        if asked.folder is None or not (asked.folder / "many").exists():
            grow(asked.folder or folder, asked.few, asked.many)
        if asked.folder is not None:  # what is measured changes them
            copytree(asked.folder, folder)
        print(f"\none file with {asked.few:,} and with {asked.many:,} items of {len(STAGES)} stages", end="")
        measure(folder, asked)


if __name__ == "__main__":
    main()
