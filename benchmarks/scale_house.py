"""What several processes do to a large file, and a large file to a process: writers, memory, an idle house."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

from house import list_variables, wait_until, whole_house
from processes import count_ticks, read_megabytes

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from tracker.connection import Connection

STAGES_EACH = 400
WARM_SHARE = 0.2
"""After this share of its stages a process has all that it needs, and should grow no more."""

LIST_READY = """
SELECT item_id, stage, attempt + 1
  FROM item_stages
 WHERE job_id = 'news' AND stage = 'summarise' AND over_budget = 0 AND backfill = 0
   AND status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL
 ORDER BY priority DESC, item_id
 LIMIT ?
"""

Ids = tuple[int, str, int]


def list_ready(conn: Connection, wanted: int) -> list[Ids]:
    """List stages that are ready: item, stage and the attempt that is next. Exits where there are none."""
    ready = [tuple(row) for row in conn.execute(LIST_READY, (wanted,)).fetchall()]
    if not ready:
        raise SystemExit("no stage is ready any more: the large file needs some 200,000 items at least")
    return ready


# -- writers ----------------------------------------------------------------------------------------------


def measure_writers(folder: Path, writers: int) -> None:
    """Have processes claim and settle at once, and print how long the worst of them waited for its turn to write."""
    from tracker import open_db  # noqa: PLC0415

    path = folder / "tracker.db"
    with open_db(path) as conn:
        ready = list_ready(conn, writers * STAGES_EACH)
    shares = [ready[number::writers] for number in range(writers)]
    told, barrier = multiprocessing.Queue(), multiprocessing.Barrier(writers)
    processes = [
        multiprocessing.Process(target=_write_share, args=(path, share, barrier, told)) for share in shares
    ]
    for process in processes:
        process.start()
    answers = [told.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    waits = [wait for some, _ in answers for wait in some]
    seconds = max(ended for _, (_, ended) in answers) - min(begun for _, (begun, _) in answers)
    print(
        f"\n{writers} processes that claim and settle at once: {len(waits) / seconds:,.0f} transactions a second; "
        f"the wait for a turn: median {median(waits):.1f} ms, 99 % within {quantiles(waits, n=100)[98]:.1f}, "
        f"worst {max(waits):.1f}   (target: under 50)",
        flush=True,
    )


def _write_share(path: Path, share: list[Ids], barrier: Barrier, told: multiprocessing.Queue) -> None:
    from tracker import claims, moves, open_db, write  # noqa: PLC0415
    from tracker.endings import Ending  # noqa: PLC0415

    waits = []
    with open_db(path) as conn:
        barrier.wait()
        begun = time.monotonic()
        for ids in share:
            asked = time.perf_counter()
            with write(conn):
                waits.append((time.perf_counter() - asked) * 1000)
                claims.claim(conn, *ids, worker="bench")
            asked = time.perf_counter()
            with write(conn):
                waits.append((time.perf_counter() - asked) * 1000)
                moves.settle(conn, *ids, Ending.finished('{"ok": true}', "1"))
        told.put((waits, (begun, time.monotonic())))


# -- memory -----------------------------------------------------------------------------------------------


def measure_memory(folder: Path, stages: int) -> None:
    """Have one process run stages as a worker's does, and print its memory when it is warm and at the end."""
    fresh = multiprocessing.get_context("spawn")  # so that it holds nothing of this process's
    told = fresh.Queue()
    process = fresh.Process(target=_run_stages, args=(folder, stages, told))
    process.start()
    done, warm_after, warm, end = told.get(timeout=600)
    process.join()
    print(
        f"memory of a process that runs {done:,} stages: {warm:.1f} MB after {warm_after:,}, {end:.1f} MB at the end "
        f"(target: flat)",
        flush=True,
    )


def _run_stages(folder: Path, stages: int, told: multiprocessing.Queue) -> None:
    import structlog  # noqa: PLC0415
    from dispatch_cost import NoBroker  # noqa: PLC0415

    from pipeline.settings import Settings  # noqa: PLC0415
    from runner.advance import advance  # noqa: PLC0415
    from runner.runtime import Runtime  # noqa: PLC0415

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    runtime = Runtime(Settings(data=folder, jobs=folder / "jobs.yaml"), NoBroker())
    ready, warm = list_ready(runtime.tracker, stages), 0.0
    warm_after = int(len(ready) * WARM_SHARE)
    for number, ids in enumerate(ready):
        if number == warm_after:
            warm = read_megabytes(os.getpid())
        advance(runtime, *ids)
    told.put((len(ready), warm_after, warm, read_megabytes(os.getpid())))


# -- an idle house ----------------------------------------------------------------------------------------


def measure_idle(folder: Path, seconds: int, what: str) -> None:
    """Run a whole house in which all is paused, and print how often it writes, and how much processor it takes."""
    from tracker import open_db, open_readonly  # noqa: PLC0415

    environment = {**os.environ, **list_variables(folder)}
    celeriac = [sys.executable, "-m", "cli.main"]
    pause = [*celeriac, "pause", "--all", "--reason", "nothing to do"]
    subprocess.run(pause, env=environment, check=True, capture_output=True)
    try:
        with whole_house(folder, 2) as house, open_readonly(folder / "tracker.db") as conn:
            wait_until(lambda: conn.execute("SELECT count(*) FROM workers").fetchone()[0] > 0, 120)
            time.sleep(20)  # what is done once after a start
            commits, share = _watch(conn, house.pid, seconds)
    finally:
        subprocess.run([*celeriac, "unpause", "--all"], env=environment, check=True, capture_output=True)
        with open_db(folder / "tracker.db") as conn:
            conn.execute("DELETE FROM workers")
    print(
        f"an idle house with {what}: {commits * 60 / seconds:.0f} writes a minute, "
        f"{share:.2f} % of a processor for all its processes   (target: under 1)",
        flush=True,
    )


def _watch(conn: Connection, pid: int, seconds: int) -> tuple[int, float]:
    """Watch for so long: how often others changed the file, and a tree of processes' share of a processor."""
    seen, commits = _read_version(conn), 0
    before, begun = count_ticks(pid), time.monotonic()
    while time.monotonic() < begun + seconds:
        time.sleep(0.05)
        now = _read_version(conn)
        commits += now != seen
        seen = now
    ticks = count_ticks(pid) - before
    return commits, 100 * ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begun)


def _read_version(conn: Connection) -> int:
    return int(conn.execute("PRAGMA data_version").fetchone()[0])
