"""
What operating costs with a million items of four stages: whole commands, in milliseconds beyond Python's start.

The tracker is made by SQL, through its own tables and triggers, which takes some minutes; `--folder` keeps it for the
next time. A tenth of the items have failed, in fifty signatures; the handlers come in three versions.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median, quantiles
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event, Semaphore

    from tracker.connection import Connection

STAGES = ("fetch", "extract", "summarise", "store")
SMALL_JOBS = 19
JOB = """
  {job}:
    discovery: {{strategy: manual, items: []}}
    stages:
      - {{name: fetch, handler: "noop:Noop"}}
      - {{name: extract, handler: "noop:Noop"}}
      - {{name: summarise, handler: "noop:Noop"}}
      - {{name: store, handler: "noop:Noop"}}
"""
BATCH = 20_000

ADD_ITEMS = """
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :beyond)
INSERT INTO work_items (job_id, key, data, priority, discovered_at, opened_at, host, source)
SELECT iif(n % 20 = 0, 'small-' || (n / 20 % :small_jobs), 'news'),
       printf('item-%07d', n),
       json_object('url', printf('https://host%d.example.org/%d', n % 400, n), 'title', 'The title of number ' || n),
       n % 997 = 0,
       :now - (:items - n) * 2000,
       iif(n % 50 = 1, NULL, :now - (:items - n) * 2000 + 1000),
       printf('host%d.example.org', n % 400),
       printf('https://feeds.example.org/%d', n % 40)
  FROM numbers
"""

# A tenth failed at a stage, three in a hundred wait for the third, the rest is through.
ADD_STAGES = """
INSERT INTO item_stages (item_id, stage, job_id, position, priority, status, needs_left, attempt, retries,
                         worker, started_at, ended_at, reason)
SELECT i.item_id, p.value, i.job_id, p.key, i.priority,
       CASE WHEN p.key < i.reached THEN 'done' WHEN p.key = i.reached AND i.has_failed THEN 'failed' ELSE 'pending' END,
       p.key > i.reached, p.key < i.reached OR (p.key = i.reached AND i.has_failed), 0,
       iif(p.key < i.reached OR (p.key = i.reached AND i.has_failed), 'w' || (i.item_id % 16), NULL),
       iif(p.key < i.reached OR (p.key = i.reached AND i.has_failed), i.opened_at + p.key * 1000, NULL),
       iif(p.key < i.reached OR (p.key = i.reached AND i.has_failed), i.opened_at + p.key * 1000 + 400, NULL),
       iif(p.key = i.reached AND i.has_failed, 'it failed', NULL)
  FROM (SELECT item_id, job_id, priority, opened_at,
               item_id % 10 = 3 AS has_failed,
               CASE WHEN item_id % 10 = 3 THEN item_id / 10 % 4 WHEN item_id % 33 = 2 THEN 2 ELSE 4 END AS reached
          FROM work_items
         WHERE item_id BETWEEN :first AND :last AND opened_at IS NOT NULL) i
  JOIN json_each(:stages) p
"""

ADD_RESULTS = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, stored_at, input_hash, output_hash)
SELECT item_id, stage, job_id, attempt, json_object('text', 'What came of item ' || item_id || ' at ' || stage),
       iif(item_id % 5 = 0, '1', iif(item_id % 5 = 1, '2', '3')), ended_at,
       printf('%032x', item_id), printf('%032x', item_id + position)
  FROM item_stages
 WHERE item_id BETWEEN :first AND :last AND status = 'done'
"""

ADD_FAILURES = """
INSERT INTO failures (item_id, stage, attempt, job_id, failed_at, error_type, message, signature, traceback,
                      host, handler_version)
SELECT s.item_id, s.stage, s.attempt, s.job_id, s.ended_at,
       'Error' || (s.item_id / 40 % 5), 'it failed with ' || s.item_id,
       printf('Error%d: it failed in the way %d with <n>', s.item_id / 40 % 5, s.item_id / 40 % 50),
       'Traceback (most recent call last): and so on', 'host7.example.org', '' || (1 + s.item_id % 3)
  FROM item_stages s
 WHERE s.item_id BETWEEN :first AND :last AND s.status = 'failed'
"""

ADD_COSTS = """
INSERT INTO costs (spent_at, job_id, item_id, stage, attempt, usd, provider, model)
SELECT ended_at, job_id, item_id, stage, attempt, (item_id % 100) / 1000.0, 'openai', 'small'
  FROM item_stages
 WHERE item_id BETWEEN :first AND :last AND stage = 'summarise' AND status = 'done' AND item_id % 5 = 0
"""

COMMANDS = (
    "status",
    "status news",
    "explain news",
    "failures",
    "failures news",
    "stale news",
    "items news",
    "items --filter job:news",
    "items --filter status:failed",
    "items news --filter status:pending",
    "items news --filter stage:summarise|status:pending",
    "items news --filter stage:store|status:done",
    "items news --filter error:Error3",
    "items news --filter signature:Error4*",
    "items news --filter host:host7.example.org",
    "items news --filter host:host7.example.org|status:failed",
    "items --filter key:item-04*",
    "items news --filter age:<3h",
    "items news --filter age:>2d|status:failed",
    "items news --filter version:<3",
    "items news --filter stage:extract|version:2|status:done",
    "items news --filter priority:>0",
    "items news --filter source:https://feeds.example.org/7",
)
"""What people type; `|` stands for a space within a filter."""


@contextmanager
def filled_folder(kept: Path | None, items: int) -> Iterator[Path]:
    """Give a folder with a tracker and its jobs.yaml: the one that is kept, made if it is empty, or one for now."""
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name:
        folder = kept or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "tracker.db").exists():
            build(folder, items)
        yield folder


def build(folder: Path, items: int) -> None:
    """Make jobs.yaml, and the tracker by SQL, in transactions as any other's."""
    from pipeline.jobs_file import load_jobs_file  # noqa: PLC0415
    from runner.accepted import note_accepted  # noqa: PLC0415
    from tracker import open_db, write  # noqa: PLC0415
    from tracker.applying import apply_plan  # noqa: PLC0415
    from tracker.clock import now_ms  # noqa: PLC0415
    from tracker.introducing import INTRODUCE_JOB  # noqa: PLC0415

    jobs = ["news", *(f"small-{n}" for n in range(SMALL_JOBS))]
    (folder / "jobs.yaml").write_text("version: 1\njobs:" + "".join(JOB.format(job=job) for job in jobs))
    begun = time.monotonic()
    with open_db(folder / "tracker.db") as conn:
        for job in jobs:
            conn.execute(INTRODUCE_JOB, {"job_id": job, "now": now_ms()})
            apply_plan(conn, job, STAGES)
        for first in range(0, items, BATCH):
            with write(conn):
                add_items(conn, first, min(items, first + BATCH), items, now_ms())
        note_accepted(conn, load_jobs_file(folder / "jobs.yaml"))  # as the sweep of a running house does
    print(f"{items:,} items of {len(STAGES)} stages made in {time.monotonic() - begun:.0f} s", flush=True)


def add_items(conn: Connection, first: int, beyond: int, items: int, now: int) -> None:
    """Add a batch of items, with their stages, results, failures and costs."""
    asked = {"first": first, "beyond": beyond, "items": items, "now": now, "small_jobs": SMALL_JOBS}
    conn.execute(ADD_ITEMS, asked)
    stages = "[" + ",".join(f'"{stage}"' for stage in STAGES) + "]"
    for sql in (ADD_STAGES, ADD_RESULTS, ADD_FAILURES, ADD_COSTS):
        conn.execute(sql, {"first": first + 1, "last": beyond, "stages": stages})


# -- whole commands ---------------------------------------------------------------------------------------


def time_command(command: list[str], environment: dict[str, str], rounds: int) -> tuple[float, float, int]:
    """Run a command again and again: the medians of its milliseconds and of its processor's; its exit code."""
    times, worked, code = [], [], 0
    for _ in range(rounds):
        begun, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        code = subprocess.run(command, env=environment, capture_output=True, check=False).returncode
        ended, after = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        times.append((ended - begun) * 1000)
        worked.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return median(times), median(worked), code


def measure_commands(environment: dict[str, str], rounds: int) -> None:
    """Print how long each command takes beyond a bare start of Python with click."""
    bare, work, _ = time_command([sys.executable, "-c", "import click"], environment, 2 * rounds + 1)
    print(f"\npython -c 'import click': {bare:.0f} ms, of which the processor worked {work:.0f}")
    print(f"beyond these, the medians of {rounds} rounds:\n{'ms':>7} {'worked':>7}")
    for line in COMMANDS:
        words = [word.replace("|", " ") for word in line.split()]
        taken, worked, code = time_command([sys.executable, "-m", "cli.main", *words], environment, rounds)
        failed = f"   (exit code {code})" * (code != 0)
        print(f"{taken - bare:7.0f} {worked - work:7.0f}  celeriac {' '.join(words)}{failed}", flush=True)


# -- claims while many are retried ------------------------------------------------------------------------

TAKE_ONE = """
SELECT item_id, stage, attempt
  FROM item_stages INDEXED BY idx_item_stages_ready
 WHERE job_id = 'news' AND stage = 'summarise' AND over_budget = 0 AND backfill = 0
   AND status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL
 LIMIT 1
"""


def claim_again_and_again(path: Path, begun: Semaphore, stop: Event, told: Queue[list[float]]) -> None:
    """Claim stages one after the other until told to stop; tell how many milliseconds each claim took."""
    from tracker import claims, open_db  # noqa: PLC0415

    times: list[float] = []
    with open_db(path) as conn:
        while not stop.is_set():
            item_id, stage, attempt = conn.execute(TAKE_ONE).fetchone()
            asked_at = time.perf_counter()
            claims.claim(conn, item_id, stage, attempt + 1, worker="bench")
            times.append((time.perf_counter() - asked_at) * 1000)
            if len(times) == 1:
                begun.release()
            time.sleep(0.002)
    told.put(times)


def measure_retry(folder: Path, environment: dict[str, str], workers: int) -> None:
    """Print how long it takes to retry every failed stage, and how long claims take meanwhile."""
    begun, stop, told = multiprocessing.Semaphore(0), multiprocessing.Event(), multiprocessing.Queue()
    arguments = (folder / "tracker.db", begun, stop, told)
    claimers = [multiprocessing.Process(target=claim_again_and_again, args=arguments) for _ in range(workers)]
    for claimer in claimers:
        claimer.start()
    for _ in claimers:
        begun.acquire()
    command = [sys.executable, "-m", "cli.main", "retry", "--all", "--yes"]
    taken, _, code = time_command(command, environment, rounds=1)
    stop.set()
    times = [one for _ in claimers for one in told.get()]
    for claimer in claimers:
        claimer.join()
    worst = quantiles(times, n=100)[98]
    print(f"\nretry --all --yes: {taken / 1000:.1f} s{f' (exit code {code})' * (code != 0)}; meanwhile")
    print(
        f"{len(times):,} claims by {workers} processes: median {median(times):.1f} ms, 99 % within {worst:.1f} ms"
    )


def main() -> None:
    """Build the tracker if it is not there, then measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=1_000_000)
    options.add_argument("--folder", type=Path, help="Keep the tracker here, and use the one that is there.")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--workers", type=int, default=4, help="Processes that claim while many are retried."
    )
    options.add_argument(
        "--retry", action="store_true", help="Also retry every failed stage; it changes the tracker."
    )
    asked = options.parse_args()
    with filled_folder(asked.folder, asked.items) as folder:
        environment = {
            **os.environ,
            "CELERIAC_DATA": str(folder),
            "CELERIAC_DB": str(folder / "tracker.db"),
            "CELERIAC_JOBS": str(folder / "jobs.yaml"),
            "CELERIAC_BROKER_URL": f"redis+socket://{folder}/nobody.sock",
            "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}",
        }
        measure_commands(environment, asked.rounds)
        if asked.retry or asked.folder is None:
            measure_retry(folder, environment, asked.workers)


if __name__ == "__main__":
    main()
