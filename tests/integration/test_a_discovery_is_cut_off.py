"""A paged discovery whose worker is killed in the middle goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

pytestmark = pytest.mark.timeout(600)  # a busy machine takes so long for a whole house

ITEMS, PAGE = 100_000, 1000


class Archive:
    """An API of 100,000 things in pages of 1,000, each page naming the next by a cursor; counts what is asked."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        archive = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = archive.answer(parse_qs(urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, query: dict[str, list[str]]) -> bytes:
        at = int(query.get("after", ["0"])[0])
        self.asked[at] += 1
        things = [{"id": n, "title": f"thing {n}"} for n in range(at, at + PAGE)]
        after = at + PAGE if at + PAGE < ITEMS else None
        return json.dumps({"things": things, "after": after}).encode()


@pytest.fixture
def archive() -> Iterator[Archive]:
    served = Archive()
    yield served
    served.server.shutdown()
    served.server.server_close()


JOBS = """
version: 1
hosts:
  127.0.0.1: {{rate: 1000/s}}
jobs:
  archive:
    discovery:
      strategy: json_api
      url: http://127.0.0.1:{port}/things
      items: things
      key: id
      paging: {{by: cursor, next: after, parameter: after}}
      max_pages: 1000
    first_run_max: null
    stages:
      - {{name: one, handler: python, enabled: false, params: {{function: "steps:one"}}}}
"""


def test_a_discovery_killed_in_the_middle_resumes_at_its_cursor(house: House, archive: Archive) -> None:
    house.environment |= {"CELERIAC_ALLOW_HOSTS": "127.0.0.1", "CELERIAC_CONTACT": "test@example.org"}
    house.write_module("steps", "def one(context): return {}\n")
    house.write_jobs(JOBS.format(port=archive.server.server_port))
    killed = house.start_worker("first")
    assert house.celery("call", "tasks.discover", "--args", '["archive"]').returncode == 0
    house.wait(lambda: len(archive.asked) >= 40)
    os.killpg(killed.pid, signal.SIGKILL)
    stored = house.count("SELECT count(*) FROM work_items")
    assert 0 < stored < ITEMS
    house.start_worker("second")
    house.start_beat()
    house.wait(lambda: house.count("SELECT count(*) FROM discovery_runs WHERE outcome = 'found'") == 1)
    assert house.count("SELECT count(*) FROM work_items") == ITEMS
    assert house.count("SELECT count(DISTINCT key) FROM work_items") == ITEMS
    assert house.count("SELECT new FROM discovery_runs") == ITEMS
    assert archive.asked.total() - ITEMS // PAGE <= 1  # one page's worth, asked for and not yet stored
    assert house.count("SELECT attempt FROM discovery_runs") == 2
