"""
What SQLite itself takes on this file system: a kilobyte a row, with the tracker's settings and one writer.

In a transaction for each row, and in transactions of a hundred. It is the limit of whoever records each stage. Beside
it stages with `batch: 100`, each with a result of a kilobyte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

CREATE = "CREATE TABLE bare (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"
INSERT = "INSERT INTO bare (text) VALUES (?)"
TOGETHER = 100


def write_rows(folder: Path, rows: int, together: int) -> float:
    """Write rows into a table of nothing else, so many in a transaction; rows a second."""
    from noop import KILOBYTE  # noqa: PLC0415

    from tracker import open_db, write  # noqa: PLC0415 - after the path is set

    with open_db(folder / f"bare-{together}.db") as conn:
        conn.execute(CREATE)
        begun = time.perf_counter()
        for _ in range(rows // together):
            with write(conn):
                for _ in range(together):
                    conn.execute(INSERT, (KILOBYTE,))
        return rows / (time.perf_counter() - begun)


def measure_limits(rows: int) -> tuple[float, float]:
    """Write with a transaction for each row, and for each hundred; rows a second of both."""
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder:
        return write_rows(Path(folder), rows, 1), write_rows(Path(folder), 4 * rows, TOGETHER)


def run_batches(items: int, concurrency: int) -> float:
    """Run stages that are claimed and settled a hundred at a time; stages a second."""
    from house import empty_house  # noqa: PLC0415 - as above
    from throughput import HEAD, describe_job, run_celeriac  # noqa: PLC0415

    with empty_house(HEAD + describe_job("bench", "Kilobyte", f", batch: {TOGETHER}")):
        return run_celeriac(items, concurrency)


def main() -> None:
    """Print both, and the batches beside them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--items", type=int, default=10_000)
    options.add_argument("--concurrency", type=int, default=2)
    asked = options.parse_args()
    single, together = measure_limits(asked.rows)
    print(f"SQLite alone, a kilobyte a row: {single:,.0f} single transactions a second")
    print(f"                                {together:,.0f} rows a second in transactions of {TOGETHER}")
    stages = run_batches(asked.items, asked.concurrency)
    print(
        f"Celeriac, 3 stages with `batch: {TOGETHER}` x {asked.items} items, {asked.concurrency} processes: "
        f"{stages:,.0f} stages a second, {stages / single:.2f} of single transactions   (targets: 10,000; 0.6)"
    )


if __name__ == "__main__":
    main()
