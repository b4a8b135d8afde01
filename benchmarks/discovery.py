"""
A discovery of a million rows, of a file and of a database: into the tracker, and once more with nothing new.

Each is a process of its own, so that its memory at the peak is its own. The second look reads and compares every
row. Beside it, as the measure of this machine: the same rows written into a bare SQLite table by one statement.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

JOBS = """
version: 1
defaults: {queue: celery}
jobs:
  csv_rows:
    discovery: {strategy: csv_rows, path: FOLDER/rows.csv, key: id, reread: true}
    first_run_max: null
    stages: [{name: first, handler: "noop:Noop", enabled: false}]
  sql_query:
    discovery:
      strategy: sql_query
      database: FOLDER/rows.db
      query: SELECT id, name, city, amount FROM rows
      key: id
    first_run_max: null
    stages: [{name: first, handler: "noop:Noop", enabled: false}]
"""
CREATE = "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, city TEXT, amount INTEGER)"
INSERT = "INSERT INTO rows VALUES (?, ?, ?, ?)"
BATCH = 1000


def make_rows(rows: int) -> list[tuple[int, str, str, int]]:
    """Make rows of four columns, about sixty bytes each."""
    return [(n, f"company number {n}", f"city {n % 977}", n * 37 % 10_007) for n in range(rows)]


def prepare(folder: Path, rows: int) -> None:
    """Write the file, the database and jobs.yaml."""
    import apsw  # noqa: PLC0415

    made = make_rows(rows)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "city", "amount"])
        writer.writerows(made)
    with apsw.Connection(str(folder / "rows.db")) as conn:
        conn.execute(CREATE)
        conn.executemany(INSERT, made)
    (folder / "jobs.yaml").write_text(JOBS.replace("FOLDER", str(folder)))


def write_bare(folder: Path, rows: int) -> float:
    """Write the rows into a bare table in transactions of a thousand; rows a second."""
    import apsw  # noqa: PLC0415

    made = make_rows(rows)
    conn = apsw.Connection(str(folder / "bare.db"))
    conn.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    conn.execute(CREATE)
    begun = time.monotonic()
    for first in range(0, rows, BATCH):
        with conn:
            conn.executemany(INSERT, made[first : first + BATCH])
    return rows / (time.monotonic() - begun)


def look(folder: Path, job: str) -> None:
    """Discover a job once, and print what came of it as JSON."""
    from dispatch_cost import NoBroker  # noqa: PLC0415

    from pipeline.settings import Settings  # noqa: PLC0415
    from runner.discover import discover  # noqa: PLC0415
    from runner.runtime import Runtime  # noqa: PLC0415

    runtime = Runtime(Settings(data=folder, jobs=folder / "jobs.yaml"), NoBroker())
    assert runtime.tracker  # noqa: S101 - opened before the clock starts
    assert runtime.jobs.get_job(job)  # noqa: S101
    begun = time.monotonic()
    ended = discover(runtime, job)
    seconds = time.monotonic() - begun
    if ended is None or ended.error:
        raise SystemExit(f"the discovery failed: {ended}")
    print(json.dumps({"found": ended.found, "new": ended.new, "seconds": seconds, "peak_mb": read_peak_mb()}))


def read_peak_mb() -> float:
    """Read the most memory that this process held; `ru_maxrss` would count its parent's before the exec, too."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) / 1024


def look_elsewhere(folder: Path, job: str) -> dict[str, float]:
    """Discover a job once in a process of its own."""
    command = [sys.executable, __file__, "--look", job, "--folder", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    told: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Print rows a second and the peak of memory, for new rows and for known ones."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--look", help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.look:
        look(asked.folder, asked.look)
        return
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name:
        folder = Path(name)
        prepare(folder, asked.rows)
        bare = write_bare(folder, min(asked.rows, 200_000))
        print(f"\ndiscovery of {asked.rows:,} rows; a bare table takes {bare:,.0f} rows a second")
        print(f"{'strategy':>10} {'look':>6} {'new':>10} {'rows a second':>14} {'of bare':>8} {'peak MB':>8}")
        for job in ("csv_rows", "sql_query"):
            for which in ("first", "again"):
                told = look_elsewhere(folder, job)
                speed = told["found"] / told["seconds"]
                print(
                    f"{job:>10} {which:>6} {told['new']:>10,} {speed:>14,.0f} {speed / bare:>8.2f} "
                    f"{told['peak_mb']:>8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
