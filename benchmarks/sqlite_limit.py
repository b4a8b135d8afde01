"""
What SQLite itself takes on this file system: a kilobyte a row, with the tracker's settings and one writer.

In a transaction for each row, and in transactions of a hundred. It is the limit of whoever records each stage.
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


def main() -> None:
    """Print both."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    single, together = measure_limits(options.parse_args().rows)
    print(f"SQLite alone, a kilobyte a row: {single:,.0f} single transactions a second")
    print(f"                                {together:,.0f} rows a second in transactions of {TOGETHER}")


if __name__ == "__main__":
    main()
