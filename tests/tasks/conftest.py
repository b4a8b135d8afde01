from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.transport.memory import Channel

from pipeline import catalog
from tasks import app as the_app
from tasks.app import get_runtime
from tasks.hearing import TASKS
from tasks.publisher import TRACKER_QUEUE

PLUGINS = '''
from discovery.base import BaseDiscovery
from handlers.base import Handler

class Echo(Handler):
    """Says what it saw."""
    def run(self, context):
        return {"key": context.key, "saw": sorted(context.results)}

class Three(BaseDiscovery):
    """Finds three items."""
    async def fetch_items(self):
        return [{"key": key} for key in "abc"]
'''


def stage(name, **more):
    return {"name": name, "handler": "tasks_plugins:Echo", **more}


@pytest.fixture
def write_jobs(tmp_path):
    """Write jobs.yaml: each job by name, from its stages and what else it has."""

    def write(**jobs):
        discovery = {"strategy": "tasks_plugins:Three"}
        entries = {
            name: {"discovery": discovery, "stages": [stage("fetch"), stage("store")], **more}
            for name, more in jobs.items()
        }
        (tmp_path / "jobs.yaml").write_text(json.dumps({"version": 1, "jobs": entries}))
        get_runtime().watch._looked_at = float("-inf")

    return write


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Make a home for one process: its settings, its plugins, and a runtime of its own."""
    (tmp_path / "tasks_plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CELERIAC_JOBS", str(tmp_path / "jobs.yaml"))
    monkeypatch.setenv("CELERIAC_DATA", str(tmp_path))
    for name in ("CELERIAC_DB", "CELERIAC_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tasks.stopping._told", bytearray(1))
    catalog.load.cache_clear()
    get_runtime.cache_clear()
    importlib.import_module("tasks_plugins")
    yield tmp_path
    get_runtime().close()
    get_runtime.cache_clear()
    catalog.load.cache_clear()
    del sys.modules["tasks_plugins"]


@pytest.fixture
def use_broker():
    """Let the app speak to another broker; the one that it had is put back."""
    before, options = the_app.conf.broker_url, the_app.conf.broker_transport_options

    def use(url, **more):
        the_app.conf.broker_url, the_app.conf.broker_transport_options = url, options | more
        the_app.amqp._producer_pool = the_app._pool = None
        Channel.queues.clear()

    yield use
    use(before)


@pytest.fixture
def app(home, use_broker):
    """Give the app, with a broker in this process's memory."""
    use_broker("memory://")
    return the_app


@dataclass(frozen=True)
class Sent:
    """A message as a worker would find it."""

    task: str
    args: list
    kwargs: dict
    headers: dict
    raw: Any


@pytest.fixture
def fetch(app):
    """Fetch all the messages of a queue."""

    def fetch_all(queue="celery"):
        found = []
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            while queue in channel.queues and (message := channel.basic_get(queue, no_ack=True)):
                args, kwargs, _ = message.payload
                found.append(Sent(message.headers["task"], args, kwargs, message.headers, message))
        return found

    return fetch_all


@pytest.fixture
def parent(app):
    """The consumer of a worker's parent, as `listen` is given it: its queues, and what it is to call soon."""
    queues = [SimpleNamespace(name=TRACKER_QUEUE)]
    soon: list = []
    return SimpleNamespace(
        connection_errors=(),
        soon=soon,
        call_soon=lambda call, *args: soon.append((call, args)),
        task_consumer=SimpleNamespace(queues=queues),
    )


@pytest.fixture
def take(app, parent):
    """Take a message as a worker does: its parent hears it, or a process runs it."""

    def take_one(message):
        task = app.tasks[message.task]
        if message.task in TASKS:
            task.start_strategy(app, parent)(message.raw, None, lambda *_: None)
            while parent.soon:
                call, args = parent.soon.pop(0)
                call(*args)
        else:
            task(*message.args, **message.kwargs)

    return take_one


@pytest.fixture
def work(fetch, take):
    """Run what waits on the queues in this process until nothing waits; the names that were shown."""

    def run(*queues):
        shown = []
        while messages := [message for queue in queues or ("celery",) for message in fetch(queue)]:
            for message in messages:
                take(message)
                shown.append(message.headers["shadow"])
        return shown

    return run
