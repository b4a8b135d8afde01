"""
The memory of every process of a house that works for an hour: `celeriac up`, with items that come all the time.

Ten items of three stages come each second, each with a result of a kilobyte, and somebody looks at the dashboard.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from house import PATHS, answers, find_free_port, list_variables, wait_until, whole_house
from processes import list_family, read_command, read_megabytes
from throughput import JOBS

WARM_SHARE = 0.2
"""After this share of the time a process has all that it needs, and should grow no more."""


def feed(port: int, seconds: float, each_second: int, first: int) -> int:
    """Let items come for so long, and look at the dashboard once a second; how many have come in all."""
    from tracker import open_db, upsert_items  # noqa: PLC0415 - after the path is set

    until, number = time.monotonic() + seconds, first
    with open_db() as conn:
        while time.monotonic() < until:
            upsert_items(conn, "bench", [{"key": str(number + one)} for one in range(each_second)])
            number += each_second
            answers(port)
            time.sleep(1)
    return number


def count_settled() -> int:
    """Count the stages that have ended."""
    from tracker import open_readonly  # noqa: PLC0415 - as above

    with open_readonly() as conn:
        return int(conn.execute("SELECT coalesce(sum(done), 0) FROM stage_counts").fetchone()[0])


def read_memory(pid: int) -> dict[int, float]:
    """Read how many megabytes each process of a house holds."""
    return {member: read_megabytes(member) for member in list_family(pid)}


def watch(pid: int, port: int, asked: argparse.Namespace) -> None:
    """Let a house work, and print what its processes hold."""
    begun, items, looks = time.monotonic(), 0, list[dict[int, float]]()
    for _ in range(asked.looks):
        items = feed(port, 60 * asked.minutes / asked.looks, asked.items, items)
        looks.append(read_memory(pid))
        minutes = (time.monotonic() - begun) / 60
        print(
            f"{minutes:5.1f} min, {count_settled():,} of {3 * items:,} stages: "
            f"{sum(looks[-1].values()):,.0f} MB in all",
            flush=True,
        )
    warm, end = looks[int(WARM_SHARE * asked.looks)], looks[-1]
    print("\n    warm   at the end   MB   (target: flat)")
    for member in sorted(end):
        print(f"{warm.get(member, 0):8.1f}   {end[member]:10.1f}        …{read_command(member)[-60:]}")


def main() -> None:
    """Print what each process holds again and again, and how much it has grown since it was warm."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--looks", type=int, default=10, help="How often to look.")
    options.add_argument("--items", type=int, default=10, help="How many items come each second.")
    options.add_argument("--concurrency", type=int, default=2)
    asked = options.parse_args()
    sys.path[:0] = PATHS
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name:
        folder, port = Path(name), find_free_port()
        (folder / "jobs.yaml").write_text(JOBS)
        os.environ.update(list_variables(folder))
        with whole_house(folder, asked.concurrency, port) as house:
            wait_until(lambda: answers(port), 120)
            watch(house.pid, port, asked)


if __name__ == "__main__":
    main()
