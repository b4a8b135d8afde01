from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from werkzeug import Response

from discovery.base import Access, ItemPage, Keep, Recalled
from net.client import PoliteClient
from net.guard import Guard
from tracker.foreign_files import read_foreign

HERE = Path(__file__).parent
TRACKED = {
    "key": "a",
    "data": {"n": 1},
    "status": "done",
    "results": {"read": {"ok": True}},
    "version": "1.7",
}


def read_items(job_id, *, stage, status, after, limit):
    """Read from a tracker that holds one item of the job `full`, and nothing else."""
    return ItemPage([TRACKED] if job_id == "full" and after is None else [], {"item": 1}, True)


@pytest.fixture
def access():
    hosts = ["127.0.0.1", "localhost"]
    client = PoliteClient(contact=None, allow_hosts=hosts, total_seconds=20)
    guard = Guard.allowing(hosts)
    return Access(http=client, read_items=read_items, job="sample", read_rows=read_foreign, guard=guard)


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


@dataclass
class Memory:
    """What a tracker would keep from one discovery to the next: items by key, cursors, validators, every batch."""

    access: Access
    items: dict = field(default_factory=dict)
    cursors: dict = field(default_factory=dict)
    validators: dict = field(default_factory=dict)
    batches: list = field(default_factory=list)
    dies_after: int | None = None

    def discover(self, strategy_class, params, **access):
        """Run a discovery with this memory; the strategy, for its counts and problems."""
        reached = replace(self.access, recall=self.recall, receive=self.receive, **access)
        strategy = strategy_class(params, reached)
        asyncio.run(strategy.discover())
        read = {source: look for source, look in strategy.looks.items() if not (look.unchanged or look.error)}
        self.validators |= {source: (look.etag, look.last_modified) for source, look in read.items()}
        return strategy

    def recall(self, source):
        return Recalled(self.cursors.get(source), *self.validators.get(source, ()))

    def receive(self, batch):
        if len(self.batches) == self.dies_after:
            raise KilledError
        self.batches.append(batch)
        self.items.update((item.key, item) for item in batch.items)
        if batch.cursor is not Keep.CURSOR:
            self.cursors[batch.source] = json.loads(json.dumps(batch.cursor))

    @contextmanager
    def killed_after(self, batches):
        """Have the discovery in the block killed when it hands over one batch more."""
        self.dies_after = len(self.batches) + batches
        with pytest.raises(KilledError):
            yield
        self.dies_after = None

    def forget_batches(self):
        self.batches.clear()


class KilledError(BaseException):
    """The process is killed here."""


@pytest.fixture
def memory(access):
    return Memory(access)
