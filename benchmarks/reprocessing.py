"""
How far reprocessing goes: 10,000 items of which nine in ten come out the same, done again by real workers.

    python benchmarks/reprocessing.py [ITEMS]

Prints how many attempts each stage had, which is what early cutoff is about, and how long it took beside a `reset`,
which runs a stage and all after it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import tracker

ROOT = Path(__file__).parent.parent
STAGES = ["fetch", "extract", "store"]

JOBS = """
version: 1
jobs:
  papers:
    discovery: {strategy: manual, items: []}
    stages:
      - {name: fetch, handler: python, params: {function: "papers:fetch"}}
      - {name: extract, handler: python, params: {function: "papers:follow"}}
      - {name: store, handler: python, params: {function: "papers:follow"}}
"""

PAPERS = """
def fetch(context):
    return {"n": int(context.key) if int(context.key) % 10 else -1}

def follow(context):
    (result,) = context.results.values()
    return {"n": result["n"]}
"""


def main() -> None:
    """Measure, and print."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for command in (
        ["reprocess", "papers", "--stage", "fetch", "--yes"],
        ["reset", "papers", "fetch", "--all", "--yes"],
    ):
        with TemporaryDirectory(prefix="celeriac-") as folder:
            claims, seconds = measure(Path(folder), items, command)
        print(f"{command[0]:<10} {seconds:6.1f} s  attempts: {claims}")


def measure(folder: Path, items: int, command: list[str]) -> tuple[dict[str, int], float]:
    """Let the first version be through, do a command and all that follows; attempts by stage, and seconds."""
    (folder / "jobs.yaml").write_text(JOBS)
    (folder / "papers.py").write_text(PAPERS)
    db = folder / "data" / "tracker.db"
    db.parent.mkdir()
    with tracker.open_db(db) as conn, tracker.write(conn):
        tracker.upsert_items(conn, "papers", [{"key": str(n)} for n in range(items)])
        for item_id, key in conn.execute("SELECT item_id, key FROM work_items").fetchall():
            for stage in STAGES:
                tracker.mark_stage_done(conn, item_id, stage, STAGES, {"n": int(key)}, handler_version="old")
    begun = time.monotonic()
    for arguments in (command, ["run", "papers"]):
        run(folder, arguments)
    seconds = time.monotonic() - begun
    with tracker.open_readonly(db) as conn:
        rows = conn.execute(
            "SELECT stage, count(*) FROM events WHERE kind = 'claim' GROUP BY stage"
        ).fetchall()
    claims = dict(rows)
    return {stage: claims.get(stage, 0) for stage in STAGES}, seconds


def run(folder: Path, arguments: list[str]) -> None:
    """Run one of our commands in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
    environment |= {
        "CELERIAC_JOBS": str(folder / "jobs.yaml"),
        "CELERIAC_DATA": str(folder / "data"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
    command = [sys.executable, "-m", "cli.main", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main()
