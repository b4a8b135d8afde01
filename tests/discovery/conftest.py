from __future__ import annotations

import asyncio
import importlib.util
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from werkzeug import Response

from discovery.base import Access
from net.client import PoliteClient

HERE = Path(__file__).parent
TRACKED = {"key": "a", "data": {"n": 1}, "status": "done", "results": {"read": {"ok": True}}}


def read_items(job_id, *, stage, status, limit):
    """Read from a tracker that holds one item of the job `full`, and nothing else."""
    return [TRACKED] if job_id == "full" else []


@pytest.fixture
def access():
    client = PoliteClient(contact=None, allow_hosts=["127.0.0.1", "localhost"], total_seconds=20)
    return Access(http=client, read_items=read_items, job="sample")


@pytest.fixture
def discover():
    """Run a strategy's discovery to its end."""
    return lambda strategy: asyncio.run(strategy.discover())


@dataclass(frozen=True)
class Case:
    """
    A strategy's parameters at four sources: one that gives something, one that gives nothing, one that throttles
    and one that is broken. A networked strategy is asked at `good` for the latter two, where the server then
    answers everything with the recordings `throttled` and `broken`.
    """

    good: dict
    empty: dict
    broken: dict | None = None
    networked: bool = False
    environment: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """An HTTP answer as it came over the wire: a status line, headers, an empty line, the body."""

    status: int
    headers: dict
    body: bytes

    @classmethod
    def read(cls, path, server_url=""):
        head, _, body = path.read_bytes().replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")
        first, *lines = head.decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        skipped = {"content-length", "transfer-encoding", "connection", "content-encoding"}
        kept = {name: value for name, value in headers.items() if name.lower() not in skipped}
        named = {name: value.replace("{{server}}", server_url) for name, value in kept.items()}
        return cls(int(first.split()[1]), named, body.replace(b"{{server}}", server_url.encode()))

    def answer(self, request):
        del request
        return Response(self.body, self.status, self.headers)


@dataclass(frozen=True)
class Sources:
    """What a case may set up: a server that answers from the strategy's recordings, a folder, things to close."""

    name: str
    httpserver: object
    folder: Path
    stack: ExitStack

    @property
    def recordings(self):
        return HERE / "recordings" / self.name

    def url(self, path=""):
        return self.httpserver.url_for(path or "/").removesuffix("" if path else "/")

    def recording(self, name):
        """Read `NAME.http` of the strategy; `{{server}}` in it becomes the address of the server."""
        return Recording.read(self.recordings / f"{name}.http", self.url())

    def serve(self, path, name, **request):
        """Answer a path with a recording; `request` narrows it, such as `method` or `query_string`."""
        self.httpserver.expect_request(path, **request).respond_with_handler(self.recording(name).answer)

    def serve_everywhere(self, name):
        """Forget all that is served, and answer everything with one recording."""
        self.httpserver.clear()
        self.httpserver.expect_request(re.compile(".*")).respond_with_handler(self.recording(name).answer)


def load_case(name):
    path = HERE / "cases" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"case_of_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_case


@pytest.fixture
def sources_of(httpserver, tmp_path):
    """Give the sources of a strategy, for tests of its own that answer from its recordings."""
    with ExitStack() as stack:
        yield lambda name: Sources(name, httpserver, tmp_path, stack)


@pytest.fixture
def case_of(sources_of, monkeypatch):
    """Set up the case of a strategy: `cases/NAME.py` has `make_case(sources) -> Case`."""

    def make(name):
        case = load_case(name)(sources_of(name), Case)
        for variable, value in case.environment.items():
            monkeypatch.setenv(variable, value)
        return case

    return make
