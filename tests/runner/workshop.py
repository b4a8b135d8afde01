"""A workshop for tests: a real tracker, a real jobs.yaml, plugins of its own, and messages kept in a list."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tracker
from pipeline.errors import BrokerUnavailableError
from runner.advance import advance
from runner.batch import advance_together
from runner.dispatch import dispatch_job
from runner.loads import list_loads

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

PLUGINS = '''
from discovery.base import BaseDiscovery
from handlers.base import Handler, HandlerParams

acts, seen = {}, []

def find():
    return []

def echo(context):
    return {"key": context.key, "saw": sorted(context.results)}

class Step(Handler):
    """Does what the test says that it does."""
    VERSION = "1"
    class Params(HandlerParams):
        do: str

    def run(self, context):
        seen.append((self.params.do, context.key))
        return acts.get(self.params.do, echo)(context)

class Together(Handler):
    """Does what the test says that it does to several items together."""
    VERSION = "1"
    class Params(HandlerParams):
        do: str

    def run_batch(self, contexts):
        seen.append((self.params.do, [context.key for context in contexts]))
        return acts.get(self.params.do, lambda all: [echo(one) for one in all])(contexts)

class Source(BaseDiscovery):
    """Finds what the test says that there is."""
    async def fetch_items(self):
        return find()

class WholeSource(BaseDiscovery):
    """Overrides the whole of discover()."""
    async def discover(self):
        return find()

class CursorSource(BaseDiscovery):
    """Hands over an item, with the cursor that the test says."""
    async def discover(self):
        async with self.looking():
            await self.hand_over([{"key": "a"}], source="records", cursor=find())
        return self.kept

class PlainSource(BaseDiscovery):
    """Overrides the whole of discover() by a plain function."""
    def discover(self):
        return find()
'''


def step(name: str, **more: Any) -> dict[str, Any]:
    """Write a stage as jobs.yaml has it; what it does is `plugins.acts[name]`, else it says what it saw."""
    return {"name": name, "handler": "workshop_plugins:Step", "params": {"do": name}, **more}


def job(*stages: dict[str, Any], strategy: str = "Source", **more: Any) -> dict[str, Any]:
    """Write a job as jobs.yaml has it."""
    return {"discovery": {"strategy": f"workshop_plugins:{strategy}"}, "stages": list(stages), **more}


def write_jobs(path: Path, **jobs: dict[str, Any]) -> None:
    """Write a jobs file; JSON is YAML."""
    path.write_text(json.dumps({"version": 1, "jobs": jobs}))


@dataclass
class ListPublisher:
    """A publisher that keeps what it is given, until the test has it worked off."""

    waiting: deque = field(default_factory=deque)
    countdowns: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    discoveries: list = field(default_factory=list)
    is_away: bool = False

    def publish_stages(self, job, messages):  # noqa: ARG002 - the publisher's contract
        self._refuse_if_away()
        self.sent += messages
        for message in messages:
            (self.waiting if message.countdown_seconds is None else self.countdowns).append(message)

    def publish_discovery(self, job_id, *, run_id=None, scheduled=False):
        self._refuse_if_away()
        self.discoveries.append((job_id, run_id, scheduled))

    def has_waiting_messages(self):
        self._refuse_if_away()
        return bool(self.waiting)

    def _refuse_if_away(self):
        if self.is_away:
            raise BrokerUnavailableError("nobody answers")


@dataclass
class Workshop:
    """One process's runtime, with all that a test wants to see of it."""

    runtime: Any
    publisher: ListPublisher
    plugins: ModuleType

    @property
    def conn(self):
        return self.runtime.tracker

    @property
    def acts(self):
        return self.plugins.acts

    @property
    def sent(self):
        """Every (key, stage) sent so far, in order."""
        return [(message.key, message.stage) for message in self.publisher.sent]

    def spec(self, name="papers"):
        return self.runtime.jobs.get_job(name)

    def add(self, *keys, job_id="papers", **more):
        """Store items, and give their ids in that order."""
        tracker.upsert_items(self.conn, job_id, [{"key": key, **more} for key in keys])
        return [self.item_id(key, job_id) for key in keys]

    def item_id(self, key, job_id="papers"):
        sql = "SELECT item_id FROM work_items WHERE job_id = ? AND key = ?"
        return self.conn.execute(sql, (job_id, key)).fetchone()[0]

    def dispatch(self, name="papers"):
        return dispatch_job(self.runtime, self.spec(name))

    def take(self):
        """Take the next task off the queue and work it off."""
        waiting = self.publisher.waiting
        load = self._next_load(waiting)
        for message in load:
            waiting.remove(message)
        return self.deliver(*load) if load[0].stage not in self.batched else self.deliver_together(load)

    @property
    def batched(self):
        """The stages that work on several items together."""
        jobs = self.runtime.jobs.jobs.values()
        return {stage.name for job in jobs for stage in job.stages if stage.batch is not None}

    def _next_load(self, waiting):
        if waiting[0].stage not in self.batched:
            return [waiting[0]]
        return next(load for _, load in list_loads(self.spec(), list(waiting)))

    def deliver_together(self, load):
        attempts = [(message.item_id, message.attempt) for message in load]
        return advance_together(self.runtime, load[0].stage, attempts)

    def deliver(self, message):
        return advance(self.runtime, message.item_id, message.stage, message.attempt)

    def work(self):
        """Work until the queue is empty; what each message came to."""
        ended = []
        while self.publisher.waiting:
            ended.append(self.take())
        return ended

    def run(self, *keys, **more):
        """Add items and work until nothing is left on the queue."""
        self.add(*keys, **more)
        self.dispatch()
        return self.work()

    def row(self, key, stage, job_id="papers"):
        sql = "SELECT * FROM item_stages WHERE item_id = ? AND stage = ?"
        return dict(self.conn.execute(sql, (self.item_id(key, job_id), stage)).fetchone())

    def status(self, key, stage=None):
        if stage is not None:
            return self.row(key, stage)["status"]
        sql = "SELECT status FROM work_items WHERE item_id = ?"
        return self.conn.execute(sql, (self.item_id(key),)).fetchone()[0]

    def result(self, key, stage):
        return tracker.get_result(self.conn, "papers", key, stage)

    def failures(self):
        return [dict(row) for row in self.conn.execute("SELECT * FROM failures ORDER BY failed_at, attempt")]

    def events(self, *kinds, job_id="papers"):
        """Give a job's events of these kinds, oldest first, each with its detail read."""
        rows = [dict(row) for row in tracker.get_events(self.conn, job_id, limit=10_000)][::-1]
        chosen = [row for row in rows if not kinds or row["kind"] in kinds]
        return [row | {"detail": json.loads(row["detail"] or "{}")} for row in chosen]

    def edit(self, **jobs):
        """Write jobs.yaml anew; the next look sees it."""
        write_jobs(self.runtime.settings.jobs, **jobs)
        self.look_again()

    def break_jobs(self, text):
        """Write a jobs.yaml that is not in order, over the one in force."""
        assert self.runtime.jobs
        self.runtime.settings.jobs.write_text(text)
        self.look_again()

    def look_again(self):
        self.runtime.watch._looked_at = float("-inf")
