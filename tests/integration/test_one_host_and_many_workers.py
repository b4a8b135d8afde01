"""Ten jobs on eight worker processes want something of one host, which counts how often it is asked."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

if TYPE_CHECKING:
    from conftest import House
    from pytest_httpserver import HTTPServer

JOBS, PAGES, PROCESSES, RATE = 10, 9, 8, 20


def make_job(address: str, number: int) -> dict[str, Any]:
    items = [{"key": f"{page}", "data": {"url": f"{address}/{number}/{page}"}} for page in range(PAGES)]
    return {
        "discovery": {"strategy": "manual", "items": items},
        "stages": [{"name": "fetch", "params": {"robots": False}}],
    }


def test_ten_jobs_on_eight_processes_ask_one_host_no_more_often_than_it_allows(
    house: House, httpserver: HTTPServer
) -> None:
    asked: list[float] = []

    def answer(_: Request) -> Response:
        asked.append(time.monotonic())
        return Response("ok", mimetype="text/plain")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    host = httpserver.host
    house.environment |= {"CELERIAC_ALLOW_HOSTS": host, "CELERIAC_CONTACT": "test@example.org"}
    jobs = {f"job-{number}": make_job(httpserver.url_for(""), number) for number in range(JOBS)}
    house.write_jobs(json.dumps({"version": 1, "hosts": {host: {"rate": f"{RATE}/s"}}, "jobs": jobs}))
    for number in range(2):
        house.start_worker(f"w{number}", "--concurrency", str(PROCESSES // 2))
    house.start_beat()
    for job in jobs:
        assert house.celeriac("wake", job).returncode == 0
    house.wait(lambda: house.settled() == JOBS * PAGES)
    assert len(asked) == JOBS * PAGES  # once each: who has to wait does not ask
    # of the first of all, too, each process may have had one on its way
    assert asked[-1] - asked[0] >= (len(asked) - 1 - PROCESSES) / RATE
    # in no second more than its rate, and what each process had on its way when the second began
    most = max(sum(1 for other in asked if at <= other < at + 1) for at in asked)
    assert most <= RATE + PROCESSES
