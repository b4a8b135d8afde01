"""Messages that an older release left on the broker, or that its remote workers send, are understood."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import tracker
from tasks.app import get_runtime

UPGRADES = Path(__file__).parents[1] / "upgrades"
RELEASES = {
    path.stem: json.loads(path.read_text()) for path in sorted((UPGRADES / "messages").glob("*.json"))
}
FAR_WORDS = ("tasks.remote_begun", "tasks.remote_alive", "tasks.remote_ended")


@pytest.fixture
def conn(app, home, monkeypatch):
    """Stand in the house that sent the messages: two items, of which nothing is done yet."""
    monkeypatch.syspath_prepend(UPGRADES)
    stages = [{"name": name, "handler": "house_plugins:Step"} for name in ("fetch", "far", "store")]
    stages[1] |= {"remote": True, "queue": "far", "params": {"stumbles": True}}
    job = {"discovery": {"strategy": "house_plugins:Source"}, "stages": stages}
    (home / "jobs.yaml").write_text(json.dumps({"version": 1, "jobs": {"papers": job}}))
    conn = get_runtime().tracker
    items = [{"key": key, "data": {"title": "naïve"}} for key in ("done", "broken")]
    tracker.upsert_items(conn, "papers", items)
    yield conn
    sys.modules.pop("house_plugins", None)


@pytest.fixture
def deliver(app, fetch, take):
    """Put an older release's messages of some kinds on the queue, as they were, and take them in this process."""

    def run(messages, *tasks):
        for message in [one for one in messages if one["headers"]["task"] in tasks]:
            body = json.dumps([message["args"], message["kwargs"], message["embedded"]])
            with app.producer_pool.acquire() as producer:
                producer.publish(
                    body,
                    routing_key="older",
                    headers=message["headers"],
                    content_type=message["content-type"],
                    content_encoding=message["content-encoding"],
                )
            (found,) = fetch("older")
            take(found)

    return run


def read_stage(conn, key, stage):
    row = conn.execute(
        "SELECT s.status, s.attempt, s.retries FROM item_stages s JOIN work_items i USING (item_id)"
        " WHERE i.key = ? AND s.stage = ?",
        (key, stage),
    ).fetchone()
    return tuple(row)


def run_first_stages(conn, deliver, messages):
    from runner.dispatch import dispatch_job

    dispatch_job(
        get_runtime(), get_runtime().jobs.get_job("papers")
    )  # what the older release sent is stamped
    deliver(messages, "tasks.run_stage")


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_message_runs_its_stage(release, conn, deliver):
    run_first_stages(conn, deliver, RELEASES[release])
    assert read_stage(conn, "done", "fetch") == ("done", 1, 0)
    deliver(RELEASES[release], "tasks.run_stage")  # once more: a duplicate
    assert read_stage(conn, "done", "fetch") == ("done", 1, 0)


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_remote_workers_words_are_recorded(release, conn, deliver):
    run_first_stages(conn, deliver, RELEASES[release])
    deliver(RELEASES[release], *FAR_WORDS)
    assert read_stage(conn, "done", "far") == ("done", 1, 0)
    assert tracker.get_result(conn, "papers", "done", "far") == {"key": "done", "saw": ["fetch"]}
    assert read_stage(conn, "broken", "far") == ("pending", 1, 1)
    (failure,) = conn.execute("SELECT error_type, message FROM failures").fetchall()
    assert tuple(failure) == ("ValueError", "no such page as 17")
    far_costs = "SELECT count(*), sum(usd) FROM costs WHERE stage = 'far'"
    assert tuple(conn.execute(far_costs).fetchone()) == (2, 0.5)
    deliver(RELEASES[release], *FAR_WORDS)  # all of it once more
    assert tuple(conn.execute(far_costs).fetchone()) == (2, 0.5)
    assert read_stage(conn, "done", "far") == ("done", 1, 0)


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_message_for_a_remote_worker_is_run_by_this_one(release, conn, deliver, fetch, take):
    run_first_stages(conn, deliver, RELEASES[release])
    fetch("far")  # what this release sent: only the older release's messages are run
    deliver(RELEASES[release], "tasks.run_remote")
    for word in fetch("tracker"):
        take(word)
    assert read_stage(conn, "done", "far") == ("done", 1, 0)
    assert read_stage(conn, "broken", "far") == ("pending", 1, 1)


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_beats_messages_are_obeyed(release, conn, deliver):
    deliver(RELEASES[release], "tasks.discover", "tasks.sweep", "tasks.worker_alive")
    assert conn.execute("SELECT found FROM discovery_runs").fetchone()[0] == 8
    assert conn.execute("SELECT count(*) FROM item_stages WHERE queued_at IS NOT NULL").fetchone()[0] > 0


def add_a_mood(said):
    """Have every object in what is said say one thing more, as a newer release might; a result is its item's own."""
    if isinstance(said, dict):
        return {name: add_a_mood(value) for name, value in said.items()} | {"mood": "good"}
    return [add_a_mood(one) for one in said] if isinstance(said, list) else said


def test_what_a_newer_remote_worker_says_beyond_that_is_left_out(conn, deliver):
    messages = [message | {"args": add_a_mood(message["args"])} for message in RELEASES["schema-17"]]
    run_first_stages(conn, deliver, messages)
    deliver(messages, *FAR_WORDS, "tasks.worker_alive")
    assert read_stage(conn, "done", "far") == ("done", 1, 0)
    assert read_stage(conn, "broken", "far") == ("pending", 1, 1)
    assert conn.execute("SELECT name FROM workers").fetchone()[0] == "far@host"
