"""
The memory of every process of a house that works for an hour: `celeriac up`, with items that come all the time.

Ten items of three stages come each second, each with a result of a kilobyte, and somebody looks at the dashboard.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from house import PATHS, wait_until
from processes import list_family, read_command, read_megabytes
from throughput import JOBS

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 8099
WARM_SHARE = 0.2
"""After this share of the time a process has all that it needs, and should grow no more."""


@contextmanager
def running_house(folder: Path, concurrency: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `celeriac up` in a folder while the block runs."""
    os.environ.update(
        CELERIAC_DATA=str(folder),
        CELERIAC_DB=str(folder / "tracker.db"),
        CELERIAC_JOBS=str(folder / "jobs.yaml"),
        PYTHONPATH=os.pathsep.join(PATHS),
    )
    os.environ.pop("CELERIAC_BROKER_URL", None)
    (folder / "jobs.yaml").write_text(JOBS)
    command = [sys.executable, "-m", "cli.main", "up", "--concurrency", str(concurrency), "--port", str(PORT)]
    with (folder / "house.log").open("wb") as told:
        house = subprocess.Popen(
            [*command, "--loglevel", "error"], stdout=told, stderr=told, start_new_session=True
        )
    try:
        yield house
    finally:
        house.terminate()
        house.wait(timeout=60)


def is_up() -> bool:
    """Tell whether the dashboard answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def feed(seconds: float, each_second: int, first: int) -> int:
    """Let items come for so long, and look at the dashboard once a second; how many have come in all."""
    from tracker import open_db, upsert_items  # noqa: PLC0415 - after the path is set

    until, number = time.monotonic() + seconds, first
    with open_db() as conn:
        while time.monotonic() < until:
            upsert_items(conn, "bench", [{"key": str(number + one)} for one in range(each_second)])
            number += each_second
            is_up()
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


def main() -> None:
    """Print what each process holds again and again, and how much it has grown since it was warm."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--looks", type=int, default=10, help="How often to look.")
    options.add_argument("--items", type=int, default=10, help="How many items come each second.")
    options.add_argument("--concurrency", type=int, default=2)
    asked = options.parse_args()
    sys.path[:0] = PATHS
    with (
        tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name,
        running_house(Path(name), asked.concurrency) as house,
    ):
        wait_until(is_up, 120)
        begun, items, looks = time.monotonic(), 0, list[dict[int, float]]()
        for _ in range(asked.looks):
            items = feed(60 * asked.minutes / asked.looks, asked.items, items)
            looks.append(read_memory(house.pid))
            minutes = (time.monotonic() - begun) / 60
            print(
                f"{minutes:5.1f} min, {count_settled():,} of {3 * items:,} stages: "
                f"{sum(looks[-1].values()):,.0f} MB in all",
                flush=True,
            )
        warm, end = looks[int(WARM_SHARE * asked.looks)], looks[-1]
        print("\n    warm   at the end   MB   (target: flat)")
        for pid in sorted(end):
            print(f"{warm.get(pid, 0):8.1f}   {end[pid]:10.1f}        …{read_command(pid)[-60:]}")


if __name__ == "__main__":
    main()
