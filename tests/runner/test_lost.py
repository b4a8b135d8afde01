"""What a process was doing when it died or was stopped by force is taken back, once."""

from __future__ import annotations

import subprocess

from workshop import job, step

from runner.lost import end_overdue, give_back_crashed, hand_back_unbegun
from runner.runtime import HOST
from tracker import claims


def claimed(shop, key="a"):
    """Give the ids of a stage that a process of this worker has claimed."""
    shop.add(key)
    shop.dispatch()
    message = shop.publisher.waiting.popleft()
    ids = message.item_id, message.stage, message.attempt
    assert claims.claim(shop.conn, *ids, worker="child")
    return ids


def test_the_stage_of_a_dead_process_is_given_back_at_once(shop):
    ids = claimed(shop)
    give_back_crashed(shop.runtime, *ids, reason="signal 9 (SIGKILL)")
    row = shop.row("a", "fetch")
    assert (row["status"], row["crashes"], row["retries"]) == ("pending", 1, 0)
    assert shop.dispatch() == 1


def test_giving_back_twice_counts_one_crash(shop):
    ids = claimed(shop)
    for _ in range(2):
        give_back_crashed(shop.runtime, *ids, reason="signal 9 (SIGKILL)")
    assert shop.row("a", "fetch")["crashes"] == 1


def test_a_duplicate_that_died_gives_back_nothing_of_the_process_that_lives(shop):
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting.popleft()
    ids = message.item_id, message.stage, message.attempt
    with subprocess.Popen(["sleep", "60"]) as living:  # noqa: S607 - any process will do
        assert claims.claim(shop.conn, *ids, worker=f"{HOST}:{living.pid}")
        give_back_crashed(shop.runtime, *ids, reason="signal 9 (SIGKILL)")
        assert shop.row("a", "fetch")["status"] == "in_progress"
        living.kill()
    give_back_crashed(shop.runtime, *ids, reason="signal 9 (SIGKILL)")
    assert shop.row("a", "fetch")["crashes"] == 1


def test_giving_back_what_was_settled_changes_nothing(shop):
    shop.run("a")
    give_back_crashed(shop.runtime, shop.item_id("a"), "fetch", 1, reason="late news")
    assert shop.status("a", "fetch") == "done"


def test_a_stage_that_killed_three_processes_is_poison(shop):
    ids = claimed(shop)
    for attempt in (1, 2, 3):
        give_back_crashed(shop.runtime, *ids[:2], attempt, reason="signal 11 (SIGSEGV)")
        claims.claim(shop.conn, *ids[:2], attempt + 1, worker="child")
    assert shop.status("a", "fetch") == "failed"
    assert "SIGSEGV" in shop.row("a", "fetch")["reason"]


def test_an_attempt_that_would_not_stop_is_a_timeout(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=1, timeout=30)))
    ids = claimed(shop)
    for _ in range(2):  # Celery may tell it twice
        end_overdue(shop.runtime, *ids)
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"], row["crashes"]) == ("pending", 1, 0)
    assert row["retry_at"] is not None
    assert row["queued_at"] is None
    assert shop.failures()[0]["message"] == "exceeded its timeout of 30 s"


def test_an_overdue_stage_without_retries_left_fails(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0)))
    end_overdue(shop.runtime, *claimed(shop))
    assert shop.status("a", "fetch") == "failed"


def test_an_overdue_stage_that_jobs_yaml_no_longer_has_waits_for_its_lease(shop):
    ids = claimed(shop)
    shop.edit(papers=job(step("extract")))
    end_overdue(shop.runtime, *ids)
    assert shop.status("a", "fetch") == "in_progress"


def test_what_was_fetched_and_not_begun_is_sent_again_at_once(shop):
    shop.add("a", "b", "c")
    shop.dispatch()
    fetched = [(one.item_id, one.stage, one.attempt) for one in shop.publisher.waiting]
    shop.take()
    hand_back_unbegun(shop.runtime, fetched)
    assert shop.status("a", "fetch") == "done"
    assert [shop.row(key, "fetch")["queued_at"] for key in "bc"] == [None, None]
    assert shop.dispatch() == 2


def test_handing_back_nothing_writes_nothing(shop):
    before = shop.conn.execute("PRAGMA data_version").fetchone()[0]
    hand_back_unbegun(shop.runtime, [])
    assert shop.conn.execute("PRAGMA data_version").fetchone()[0] == before


def test_no_connection_stays_open_for_a_child_to_inherit(shop, monkeypatch):
    ids = claimed(shop)
    shop.runtime.close()
    give_back_crashed(shop.runtime, *ids, reason="signal 9")
    end_overdue(shop.runtime, *ids)
    hand_back_unbegun(shop.runtime, [ids])
    assert shop.runtime._local.tracker is None
