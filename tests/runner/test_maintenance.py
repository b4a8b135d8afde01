"""Chores: each slot done once, by one process; a missed one made up once, a failed one tried again."""

from __future__ import annotations

import fcntl
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from workshop import job, step

import tracker
from runner import maintenance
from runner.maintenance import do_chores
from tracker import discoveries
from tracker.chores import find_last_chore
from tracker.connection import write
from tracker.discoveries import Findings
from tracker.retention import forget_costs, forget_events, forget_history

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    """Stand still, until the test says that time passes."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def open_kept(open_workshop, clock):
    """Open a workshop with chores."""

    def make(**chores):
        shop = open_workshop(papers=job(step("fetch")))
        path = shop.runtime.settings.jobs
        path.write_text(json.dumps({**json.loads(path.read_text()), "maintenance": chores}))
        shop.look_again()
        return shop

    return make


def pass_time(clock, **span):
    clock.shift(timedelta(**span))


def count_backups(shop):
    return len(list((shop.runtime.settings.data / "backups").glob("celeriac-*")))


def test_each_slot_is_done_once_and_only_so_many_backups_are_kept(open_kept, clock):
    shop = open_kept(backup={"keep": 2, "schedule": "0 3 * * *"})
    assert do_chores(shop.runtime) == ["backup"]
    assert do_chores(shop.runtime) == []
    for _ in range(3):
        pass_time(clock, days=1)
        assert do_chores(shop.runtime) == ["backup"]
        assert do_chores(shop.runtime) == []
    assert count_backups(shop) == 2
    assert len([row for row in tracker.get_events(shop.conn) if row["kind"] == "backup"]) == 4


def test_of_the_slots_that_were_missed_only_the_last_is_made_up(open_kept, clock):
    shop = open_kept(backup={"schedule": "0 3 * * *"})
    do_chores(shop.runtime)
    pass_time(clock, days=10)
    assert do_chores(shop.runtime) == ["backup"]
    assert do_chores(shop.runtime) == []
    assert count_backups(shop) == 2


def test_one_process_at_a_time_does_chores(open_kept):
    shop = open_kept(backup={})
    with (shop.runtime.settings.data / "tracker.db.chores").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert do_chores(shop.runtime) == []
    assert do_chores(shop.runtime) == ["backup"]


def test_a_chore_that_fails_is_on_record_tried_again_later_and_keeps_no_other_from_being_done(
    open_kept, clock
):
    shop = open_kept(backup={"to": "/proc/nowhere"}, compact={})
    assert do_chores(shop.runtime) == ["compact", "backup"]
    last = find_last_chore(shop.conn, "backup")
    assert (last.outcome, last.attempt) == ("failed", 1)
    assert "/proc/nowhere" in last.error
    assert do_chores(shop.runtime) == []
    pass_time(clock, minutes=6)
    assert do_chores(shop.runtime) == ["backup"]
    for _ in range(20):
        pass_time(clock, hours=1)
        do_chores(shop.runtime)
    assert find_last_chore(shop.conn, "backup").attempt <= 4


def test_a_chore_whose_process_died_is_taken_up_by_the_next_and_not_for_ever(open_kept, clock, monkeypatch):
    shop = open_kept(backup={})

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(maintenance._DOING, "backup", die)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            do_chores(shop.runtime)
    assert do_chores(shop.runtime) == []
    assert "died" in find_last_chore(shop.conn, "backup").error
    monkeypatch.undo()
    pass_time(clock, days=1)
    assert do_chores(shop.runtime) == ["backup"]


def test_without_maintenance_nothing_is_done_and_nothing_is_forgotten(shop):
    tracker.log_event(shop.conn, "papers", "old")
    assert do_chores(shop.runtime) == []
    assert [row["kind"] for row in tracker.get_events(shop.conn)].count("old") == 1


def test_retention_forgets_what_is_older_than_it_is_kept_and_nothing_else(open_kept, clock):
    shop = open_kept(retention={"events": "30d", "history": "30d", "costs": "60d"})
    conn = shop.conn
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("old")  # fails, and is tried again
    tracker.log_cost(conn, "papers", 1.0, "x")
    pass_time(clock, days=31)
    tracker.log_event(conn, "papers", "young")
    tracker.log_cost(conn, "papers", 2.0, "x")
    shop.acts["fetch"] = lambda _: {"n": 1}
    with write(conn):
        conn.execute("UPDATE item_stages SET retry_at = NULL, queued_at = NULL, resend_at = NULL")
    shop.dispatch()
    shop.work()
    assert do_chores(shop.runtime) == ["retention"]
    kinds = {row["kind"] for row in tracker.get_events(conn, limit=1000)}
    assert "young" in kinds
    assert conn.execute("SELECT min(at) FROM events").fetchone()[0] >= (NOON.timestamp() + 30 * 86_400) * 1000
    assert shop.failures() == []  # it was got over
    assert conn.execute("SELECT count(*) FROM costs").fetchone()[0] == 2
    assert shop.result("old", "fetch") == {"n": 1}
    assert find_last_chore(conn, "retention").detail["history"] >= 1


def test_a_chore_that_was_done_is_not_done_again_because_its_record_is_old(open_kept, clock):
    shop = open_kept(backup={"schedule": "0 3 1 1 *"})
    assert do_chores(shop.runtime) == ["backup"]
    pass_time(clock, days=90)
    forget_history(shop.conn, tracker.clock.now_ms())
    assert do_chores(shop.runtime) == []


@pytest.mark.parametrize("behind", range(1, 8))
def test_a_clock_that_was_behind_for_a_while_has_nothing_young_forgotten(open_kept, clock, behind):
    shop = open_kept()
    for number in range(8):
        with time_machine.travel(NOON - timedelta(days=365 * (number == behind)), tick=False):
            tracker.log_event(shop.conn, "papers", f"event {number}")
            tracker.log_cost(shop.conn, "papers", 1.0, "x")
    before = int((NOON - timedelta(days=90)).timestamp() * 1000)
    forget_events(shop.conn, before)
    forget_costs(shop.conn, before)
    kinds = {row["kind"] for row in tracker.get_events(shop.conn, limit=1000)}
    assert kinds >= {f"event {number}" for number in range(8) if number != behind}
    assert shop.conn.execute("SELECT count(*) FROM costs").fetchone()[0] >= 7


def test_the_last_failure_of_what_is_failed_still_is_kept_however_old(open_kept, clock):
    shop = open_kept(retention={"history": "1d"})
    path = shop.runtime.settings.jobs
    whole = json.loads(path.read_text())
    whole["jobs"]["papers"]["stages"][0]["retries"] = 0
    path.write_text(json.dumps(whole))
    shop.look_again()
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    pass_time(clock, days=100)
    do_chores(shop.runtime)
    assert len(shop.failures()) == 1


def test_of_what_is_failed_still_the_earlier_failures_are_forgotten(open_workshop, clock):
    shop = open_workshop(papers=job(step("fetch", retries=1)))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    pass_time(clock, hours=2)
    shop.deliver(shop.publisher.countdowns.pop())
    assert shop.status("a", "fetch") == "failed"
    assert len(shop.failures()) == 2
    pass_time(clock, days=100)
    assert forget_history(shop.conn, tracker.clock.now_ms()) == 1
    assert [row["attempt"] for row in shop.failures()] == [2]


def test_the_last_hundred_looks_of_a_job_and_those_that_come_again_are_kept_however_old(shop, clock):
    conn = shop.conn
    run = discoveries.begin_discovery(conn, "papers")
    discoveries.fail_discovery(conn, run, "away", retry_at=10**15)
    for _ in range(120):
        run = discoveries.begin_discovery(conn, "papers")
        discoveries.finish_discovery(conn, run, Findings())
    pass_time(clock, days=400)
    assert forget_history(conn, tracker.clock.now_ms()) == 19
    kept = [row[0] for row in conn.execute("SELECT run_id FROM discovery_runs ORDER BY run_id")]
    assert kept == [1, *range(21, 122)]


def test_files_that_nothing_refers_to_are_removed(open_kept, clock):
    shop = open_kept(artifacts={})
    shop.acts["fetch"] = lambda context: {"file": dict(context.artifact("a", b"x"))}
    shop.run("a")
    with write(shop.conn):
        shop.conn.execute("UPDATE results SET result = '{}'")
    assert do_chores(shop.runtime) == ["artifacts"]
    assert find_last_chore(shop.conn, "artifacts").detail["files"] == 1


def test_chores_go_on_after_a_clock_that_was_ahead_has_been_set_right(open_kept, clock):
    shop = open_kept(backup={"schedule": "0 3 * * *"})
    pass_time(clock, days=30)
    assert do_chores(shop.runtime) == ["backup"]
    pass_time(clock, days=-30)
    assert do_chores(shop.runtime) == ["backup"]
    assert do_chores(shop.runtime) == []
    pass_time(clock, days=1)
    assert do_chores(shop.runtime) == ["backup"]
