"""Handlers run for a page in a process of their own: whatever they do there, this one goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import tracker
from pipeline.errors import OperatorError
from pipeline.settings import Settings
from runner import apart
from runner.apart import canary_apart, replay_apart
from tests.waiting import wait_until

HANDLERS = """
import os, sys, time
from handlers.base import Handler

class Tricky(Handler):
    def run(self, context):
        print("this is no answer")
        do = context.data["do"]
        if do == "die":
            os._exit(3)
        if do == "hang":
            open(context.data["pid"], "w").write(str(os.getpid()))
            time.sleep(60)
        if do == "exit":
            sys.exit(4)
        return {"text": do, "cwd": os.getcwd()}
"""

JOBS = """
version: 1
jobs:
  papers:
    discovery: {strategy: manual, items: [{key: a}]}
    stages: [{name: read, handler: "tricky_handlers:Tricky"}]
"""


HOW = {"by": "results", "versions": {"read": None}}


@pytest.fixture
def house(tmp_path, monkeypatch):
    (tmp_path / "tricky_handlers.py").write_text(HANDLERS)
    (tmp_path / "jobs.yaml").write_text(JOBS)
    monkeypatch.chdir(tmp_path)
    return Settings(jobs=tmp_path / "jobs.yaml", data=tmp_path, allow_hosts="wiki.corp,10.0.0.0/8")


@pytest.fixture
def conn(house):
    with tracker.open_db(house.db_path) as opened:
        yield opened


def add(conn, do, **more):
    tracker.upsert_items(conn, "papers", [{"key": do, "data": {"do": do, **more}}])


def finish(conn):
    """Let every item have a result."""
    for (item_id,) in conn.execute("SELECT item_id FROM work_items").fetchall():
        tracker.mark_stage_in_progress(conn, item_id, "read", ["read"])
        tracker.mark_stage_done(conn, item_id, "read", ["read"], {"text": "old"}, handler_version="0")


def test_what_it_prints_is_no_answer_and_nothing_is_recorded(house, conn):
    add(conn, "well")
    before = conn.total_changes(), conn.execute("SELECT count(*) FROM events").fetchone()[0]
    replayed = replay_apart(house, "papers", "well", "read", 20)
    assert replayed["ran"]["result"] == {"text": "well", "cwd": str(Path.cwd())}
    assert (replayed["before"]["result"], replayed["diff"][0]["kind"]) == (None, "added")
    assert (conn.total_changes(), conn.execute("SELECT count(*) FROM events").fetchone()[0]) == before


def test_who_ends_its_process_ends_only_that(house, conn):
    add(conn, "die")
    with pytest.raises(OperatorError, match="has ended its process"):
        replay_apart(house, "papers", "die", "read", 20)


def test_who_only_asks_to_exit_has_failed(house, conn):
    add(conn, "exit")
    assert replay_apart(house, "papers", "exit", "read", 20)["ran"]["ending"] == "failed"


def test_who_hangs_is_ended_with_its_process(house, conn, tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "MORE_SECONDS", 10.0)
    add(conn, "hang", pid=str(tmp_path / "pid"))
    with pytest.raises(OperatorError, match="still running after"):
        replay_apart(house, "papers", "hang", "read", 0)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_is_not_there_is_told(house, conn):
    add(conn, "well")
    with pytest.raises(OperatorError, match="did you mean"):
        replay_apart(house, "papers", "well", "reed", 20)


def test_only_a_few_run_at_once(house, conn):
    for _ in range(apart.AT_ONCE):
        apart._room.acquire()
    try:
        with pytest.raises(OperatorError, match="wait until one has ended"):
            replay_apart(house, "papers", "well", "read", 20)
    finally:
        for _ in range(apart.AT_ONCE):
            apart._room.release()


def test_a_canary_gives_each_item_with_old_and_new(house, conn):
    add(conn, "well")
    finish(conn)
    (one,) = canary_apart(house, "papers", HOW, 3, 20)
    assert one["stages"][0]["before"]["result"] == {"text": "old"}
    assert one["stages"][0]["ran"]["result"]["text"] == "well"
    assert json.loads(conn.execute("SELECT result FROM results").fetchone()[0]) == {"text": "old"}


def test_a_canary_that_dies_on_the_way_has_given_what_it_had(house, conn):
    for do in ("well", "die"):
        add(conn, do)
    finish(conn)
    items = canary_apart(house, "papers", HOW, 2, 20)
    assert next(items)["key"] == "well"
    with pytest.raises(OperatorError, match="has ended its process"):
        next(items)


def test_whoever_reads_on_no_more_ends_it(house, conn, tmp_path):
    for do in ("well", "hang"):
        add(conn, do, pid=str(tmp_path / "pid"))
    finish(conn)
    items = canary_apart(house, "papers", HOW, 2, 60)
    next(items)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    items.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
