"""Ten jobs on eight worker processes want something of one host, which counts how often it is asked."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

JOBS, PAGES, PROCESSES, RATE = 10, 9, 8, 20


@contextmanager
def counting_server() -> Iterator[tuple[str, list[float]]]:
    """Serve a page, and note when it is asked for."""
    asked: list[float] = []

    class Serving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Serving) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def make_job(address: str, number: int) -> dict[str, Any]:
    items = [{"key": f"{page}", "data": {"url": f"{address}/{number}/{page}"}} for page in range(PAGES)]
    return {
        "discovery": {"strategy": "manual", "items": items},
        "stages": [{"name": "fetch", "params": {"robots": False}}],
    }


def test_ten_jobs_on_eight_processes_ask_one_host_no_more_often_than_it_allows(house: House) -> None:
    house.environment |= {"CELERIAC_ALLOW_HOSTS": "127.0.0.1", "CELERIAC_CONTACT": "test@example.org"}
    with counting_server() as (address, asked):
        jobs = {f"job-{number}": make_job(address, number) for number in range(JOBS)}
        house.write_jobs(
            json.dumps({"version": 1, "hosts": {"127.0.0.1": {"rate": f"{RATE}/s"}}, "jobs": jobs})
        )
        for number in range(2):
            house.start_worker(f"w{number}", "--concurrency", str(PROCESSES // 2))
        house.start_beat()
        for job in jobs:
            assert house.celeriac("wake", job).returncode == 0
        house.wait(lambda: house.settled() == JOBS * PAGES, 110)
    assert len(asked) == JOBS * PAGES  # once each: who has to wait does not ask
    took = asked[-1] - asked[0]
    assert (len(asked) - 1) / took <= RATE * 1.02
    # in no second more than its rate, and what each process had on its way when the second began
    most = max(sum(1 for other in asked if at <= other < at + 1) for at in asked)
    assert most <= RATE + PROCESSES
