"""
What the dashboard takes with a million items of four stages, while workers settle stages at full speed.

Of each page the time of its answer, asked one after the other; and what the workers get done with no dashboard open
beside what they get done with twenty tabs open, in turn, several times: what counts is the ratio. The tracker is made
as for `operating.py`; `--folder` keeps it for the next time.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING
from urllib.parse import quote

from house import PATHS, answers, find_free_port, open_house, wait_until, worker
from operating import filled_folder

sys.path[:0] = PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

    from tracker.connection import Connection

JOB = "news"
AHEAD = 15_000
"""So many items are ready before each window: more than the workers get through in it."""

SHOWN_EVERY_SECONDS = 0.5
"""How often somebody goes to another page, in the windows in which somebody does."""

TABS = (
    *["/live?page=overview"] * 8,
    *[f"/live?page=job&subject={JOB}"] * 6,
    *["/live?page=events"] * 3,
    *["/live?page=workers"] * 2,
    "/live",
)
"""What twenty open tabs listen to."""

FILTERS = (
    "status:failed",
    "stage:store status:done",
    "stage:summarise status:pending",
    "error:Error3",
    "host:host7.example.org",
    "host:host7.example.org status:failed",
    "key:item-04*",
    "age:>2d status:failed",
    "version:<3",
    "priority:>0",
    "cost:>0.05",
    'text:"number 77"',
    "text:number",
)


def list_pages(conn: Connection) -> list[str]:
    """List the addresses of every page, with those of the items page for each kind of filter."""
    group = conn.execute("SELECT name FROM failure_groups ORDER BY group_id LIMIT 1").fetchone()[0]
    job = f"/jobs/{JOB}"
    return [
        "/",
        job,
        f"{job}/series?span=7d",
        f"{job}/items",
        f"{job}/items?sort=priority",
        *(f"{job}/items?filter={quote(one)}" for one in FILTERS),
        f"/items?job={JOB}&key=item-0000013",
        "/failures",
        f"/failures/{group}",
        "/costs",
        "/workers",
        "/events",
        f"/events?job={JOB}",
        "/events?acts=true",
        "/events?kind=fail",
        f"/sources?job={JOB}",
        "/search?q=title",
        "/api/jobs",
        f"/api/jobs/{JOB}/items?filter=status:failed",
        f"/api/jobs/{JOB}/results",
        "/api/events",
        "/metrics",
        "/healthz",
    ]


# -- the house --------------------------------------------------------------------------------------------


@contextmanager
def dashboard() -> Iterator[int]:
    """Serve the dashboard while the block runs; its port."""
    port = find_free_port()
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "dashboard", "--port", str(port)])
    try:
        wait_until(lambda: answers(port), 60)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def ask(connection: http.client.HTTPConnection, url: str) -> tuple[float, int]:
    """Ask for a page; how many milliseconds until all of it was there, and the status."""
    begun = time.perf_counter()
    connection.request("GET", url, headers={"accept": "text/html"})
    answer = connection.getresponse()
    answer.read()
    return (time.perf_counter() - begun) * 1000, answer.status


def listen(port: int, url: str, received: list[int]) -> None:
    """Listen to a stream as a tab does, and count its bytes."""
    with socket.create_connection(("127.0.0.1", port)) as tab:
        tab.sendall(f"GET {url} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
        while data := tab.recv(65_536):
            received[0] += len(data)


def open_tabs(port: int, stop: Event, told: multiprocessing.Queue[int]) -> None:
    """Be a browser with twenty tabs until told to stop; tell how many bytes came."""
    received = [0]
    for url in TABS:
        threading.Thread(target=listen, args=(port, url, received), daemon=True).start()
    stop.wait()
    told.put(received[0])


@contextmanager
def tabs(port: int) -> Iterator[None]:
    """Have twenty tabs open while the block runs."""
    stop, told = multiprocessing.Event(), multiprocessing.Queue()
    browser = multiprocessing.Process(target=open_tabs, args=(port, stop, told), daemon=True)
    browser.start()
    begun = time.monotonic()
    yield
    stop.set()
    received, seconds = told.get(), time.monotonic() - begun
    browser.join()
    print(f"      ({received / seconds / 1000:,.0f} kB/s to all tabs)", flush=True)


@contextmanager
def visitor(port: int, urls: list[str]) -> Iterator[None]:
    """Have somebody go from page to page while the block runs."""
    stop = threading.Event()

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for url in iter(lambda: urls[len(seen) % len(urls)], None):
            if stop.wait(SHOWN_EVERY_SECONDS):
                return
            seen.append(ask(connection, url))

    seen: list[tuple[float, int]] = []
    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# -- measuring --------------------------------------------------------------------------------------------


TAKE_BACK = """
UPDATE item_stages
   SET queued_at = NULL, resend_at = NULL
 WHERE status = 'pending' AND queued_at IS NOT NULL AND resend_at > 0
"""
"""What an earlier benchmark left on its way is on no broker any more."""


class Workload:
    """Stages for the workers, more than they get through."""

    def __init__(self, conn: Connection) -> None:
        from tasks.app import get_runtime  # noqa: PLC0415 - reads the settings when it is imported
        from tracker.recovery import reset_in_progress_stages  # noqa: PLC0415

        self._conn, self._runtime = conn, get_runtime()
        reset_in_progress_stages(conn, JOB)
        conn.execute(TAKE_BACK)

    def count_done(self) -> int:
        """Count the stages that are done."""
        from tracker.stats import stage_stats  # noqa: PLC0415

        return sum(one["done"] for one in stage_stats(self._conn, JOB).values())

    def add(self) -> None:
        """Add items until enough wait, and have the workers begin."""
        from runner.dispatch import dispatch_job  # noqa: PLC0415
        from tracker import get_job_stats, upsert_items  # noqa: PLC0415

        waiting = get_job_stats(self._conn, JOB)["pending"]
        if waiting < AHEAD:
            stamp = time.time_ns()
            more = range(AHEAD - waiting)
            upsert_items(self._conn, JOB, [{"key": f"bench-{stamp}-{number}"} for number in more])
        dispatch_job(self._runtime, self._runtime.jobs.get_job(JOB))
        begun = self.count_done()
        wait_until(lambda: self.count_done() > begun + 500)

    def measure(self, seconds: float) -> float:
        """Measure for so long how many stages a second get done."""
        before, begun = self.count_done(), time.monotonic()
        time.sleep(seconds)
        return (self.count_done() - before) / (time.monotonic() - begun)


def compare(workload: Workload, port: int, urls: list[str], rounds: int, seconds: float) -> None:
    """Print how many stages a second get done with nothing open, with tabs, and with somebody going about."""
    print(
        f"\nstages a second, in windows of {seconds:g} s\n{'alone':>9} {'tabs':>9} {'and pages':>9}   ratios"
    )
    with_tabs, with_pages = [], []
    for _ in range(rounds):
        workload.add()
        alone = workload.measure(seconds)
        workload.add()
        with tabs(port):
            watched = workload.measure(seconds)
        workload.add()
        with tabs(port), visitor(port, urls):
            visited = workload.measure(seconds)
        workload.add()
        alone = (alone + workload.measure(seconds)) / 2  # before and after, as the machine may have changed
        with_tabs.append(watched / alone)
        with_pages.append(visited / alone)
        print(
            f"{alone:9.0f} {watched:9.0f} {visited:9.0f}   {with_tabs[-1]:.3f} {with_pages[-1]:.3f}",
            flush=True,
        )
    print(f"median ratio with twenty tabs open: {median(with_tabs):.3f}   (target: at least 0.95)")
    print(f"and somebody who goes to another page every {SHOWN_EVERY_SECONDS:g} s: {median(with_pages):.3f}")


def time_pages(port: int, urls: list[str], rounds: int, keep_busy: Callable[[], None]) -> None:
    """Print how long the answer to each page takes."""
    times: dict[str, list[float]] = {url: [] for url in urls}
    for _ in range(rounds):
        keep_busy()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, "/healthz")
        for url in urls:
            taken, status = ask(connection, url)
            times[url].append(taken)
            if status != 200:
                raise SystemExit(f"{url}: {status}")
    print(f"\n{'median':>7} {'99 %':>7}   ms, of {rounds} answers (target: 100 and 300)")
    for url, taken in times.items():
        worst = quantiles(taken, n=100, method="inclusive")[98]
        late = "   <- late" * (median(taken) > 100 or worst > 300)
        print(f"{median(taken):7.1f} {worst:7.1f}   {url}{late}", flush=True)


def main() -> None:
    """Build the tracker if it is not there, start workers and the dashboard, and measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=1_000_000)
    options.add_argument("--folder", type=Path, help="Keep the tracker here, and use the one that is there.")
    options.add_argument("--workers", type=int, default=8, help="Processes that settle stages.")
    options.add_argument("--asks", type=int, default=100, help="How often each page is asked.")
    options.add_argument("--rounds", type=int, default=5, help="How often the windows are measured in turn.")
    options.add_argument("--seconds", type=float, default=20.0, help="How long a window is.")
    options.add_argument("--only", default="", help="Only the pages whose address has this in it.")
    asked = options.parse_args()
    with filled_folder(asked.folder, asked.items) as folder, open_house(folder):
        from tracker import open_db  # noqa: PLC0415 - after the environment is set

        with open_db(folder / "tracker.db") as conn:
            urls = [one for one in list_pages(conn) if asked.only in one]
            workload = Workload(conn)
            with worker("tasks", asked.workers), dashboard() as port:
                workload.add()
                with tabs(port):
                    time_pages(port, urls, asked.asks, workload.add)
                if asked.rounds:
                    compare(workload, port, urls, asked.rounds, asked.seconds)


if __name__ == "__main__":
    main()
