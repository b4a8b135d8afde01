"""What waits in a process is claimed together, and settled together, and nobody waits for that."""

from __future__ import annotations

import os
import threading
import time
from itertools import islice

import pytest
from workshop import job, step

import tracker
from pipeline.outcomes import RetryLater
from runner import group_commit
from runner.group_commit import GroupCommit
from runner.lost import give_back_crashed, give_back_waiting
from tests.waiting import PATIENCE_SECONDS, wait_until
from tracker.claims import claim

GROUP = 8


@pytest.fixture
def shop(open_workshop):
    return open_workshop(papers=job(step("fetch", retries=0)))


@pytest.fixture
def elsewhere(shop):
    """See what another process sees: what is committed."""
    with tracker.open_readonly(shop.runtime.settings.db_path) as conn:

        def look(*keys):
            sql = "SELECT s.status FROM item_stages s JOIN work_items i USING (item_id) WHERE key = ?"
            return [conn.execute(sql, (key,)).fetchone()[0] for key in keys]

        yield look


@pytest.fixture
def group(shop, monkeypatch):
    """Run what waits; what the clock says of it matters to none but the tests about it."""
    monkeypatch.setattr(group_commit, "AGE_SECONDS", 3600)
    monkeypatch.setattr(group_commit, "LATE_SECONDS", 3600)
    return make_group(shop)


def make_group(shop, together=GROUP):
    def look_ahead(most):
        return [(one.item_id, one.stage, one.attempt) for one in islice(shop.publisher.waiting, most)]

    return GroupCommit(shop.runtime, look_ahead, together)


def run_next(shop, group):
    message = shop.publisher.waiting.popleft()
    group.advance(message.item_id, message.stage, message.attempt)


def send(shop, *keys):
    shop.add(*keys)
    shop.dispatch()


def test_what_waits_is_claimed_with_the_first_and_settled_after_the_last(shop, group, elsewhere):
    seen = []
    shop.acts["fetch"] = lambda context: seen.append(elsewhere("a", "b", "c")) or {"of": context.key}
    send(shop, "a", "b", "c")
    for _ in "abc":
        run_next(shop, group)
    assert seen == [["in_progress"] * 3] * 3
    assert elsewhere("a", "b", "c") == ["done"] * 3
    assert [shop.result(key, "fetch")["of"] for key in "abc"] == ["a", "b", "c"]


def test_what_ended_is_settled_once_with_the_next_claims(shop, group, elsewhere, capsys):
    keys = [f"k{n:02}" for n in range(GROUP + 2)]
    send(shop, *keys)
    for _ in range(GROUP):
        run_next(shop, group)
    assert elsewhere(*keys) == ["in_progress"] * GROUP + ["pending"] * 2
    run_next(shop, group)
    assert elsewhere(*keys) == ["done"] * GROUP + ["in_progress"] * 2
    run_next(shop, group)
    assert elsewhere(*keys) == ["done"] * (GROUP + 2)
    assert "dropped" not in "".join(capsys.readouterr())


def test_what_follows_is_sent_as_soon_as_it_was_settled_with_the_next_claims(open_workshop, monkeypatch):
    monkeypatch.setattr(group_commit, "AGE_SECONDS", 3600)
    monkeypatch.setattr(group_commit, "LATE_SECONDS", 3600)
    shop = open_workshop(papers=job(step("fetch"), step("store", needs=["fetch"])))
    group = make_group(shop, together=1)
    send(shop, "a", "b", "c")
    run_next(shop, group)
    assert [one.stage for one in shop.publisher.waiting] == ["fetch", "fetch"]
    run_next(shop, group)
    assert [one.stage for one in shop.publisher.waiting] == ["fetch", "store"]


def test_when_nothing_more_waits_it_is_settled_at_once(shop, group, elsewhere):
    send(shop, "a")
    run_next(shop, group)
    assert elsewhere("a") == ["done"]


def test_what_has_ended_for_a_while_is_settled_though_more_waits(shop, group, elsewhere, monkeypatch):
    monkeypatch.setattr(group_commit, "AGE_SECONDS", 0)
    send(shop, "a", "b")
    run_next(shop, group)
    assert elsewhere("a", "b") == ["done", "in_progress"]


def test_a_failure_is_settled_at_once(shop, group, elsewhere):
    def fail_at_b(context):
        if context.key == "b":
            raise ValueError(context.key)
        return {}

    shop.acts["fetch"] = fail_at_b
    send(shop, "a", "b", "c")
    run_next(shop, group)
    run_next(shop, group)
    assert elsewhere("a", "b", "c") == ["done", "failed", "in_progress"]


def test_a_wait_is_settled_at_once(shop, group, elsewhere):
    shop.acts["fetch"] = lambda context: RetryLater(3600, "quota") if context.key == "b" else {}
    send(shop, "a", "b", "c")
    run_next(shop, group)
    run_next(shop, group)
    assert elsewhere("a", "b", "c") == ["done", "pending", "in_progress"]


def test_how_long_a_stage_took_does_not_count_what_it_waited_for(shop, group):
    shop.acts["fetch"] = lambda context: time.sleep(0.2 if context.key == "a" else 0) or {}
    send(shop, "a", "b", "c", "d")
    for _ in "abcd":
        run_next(shop, group)
    buckets = dict(shop.conn.execute("SELECT bucket, count FROM stage_timings").fetchall())
    slow = sum(count for bucket, count in buckets.items() if bucket >= 8 * 7)  # 128 ms and more
    assert (slow, sum(buckets.values())) == (1, 4)


def test_one_under_which_a_worker_has_died_is_claimed_alone(shop, group, elsewhere):
    group = make_group(shop, together=2)
    send(shop, "a", "b", "c")
    shop.conn.execute("UPDATE item_stages SET crashes = 1 WHERE item_id = ?", (shop.item_id("b"),))
    seen = []
    shop.acts["fetch"] = lambda context: seen.append((context.key, elsewhere("a", "b", "c"))) or {}
    for _ in "abc":
        run_next(shop, group)
    assert seen == [
        ("a", ["in_progress", "pending", "pending"]),
        ("b", ["done", "in_progress", "pending"]),
        ("c", ["done", "done", "in_progress"]),
    ]


def test_one_whose_lease_was_lost_takes_no_other_with_it(shop, group, elsewhere):
    send(shop, "a", "b", "c")
    run_next(shop, group)
    tracker.reset_stage(shop.conn, "papers", "fetch", ["a"])
    run_next(shop, group)
    run_next(shop, group)
    assert elsewhere("b", "c") == ["done", "done"]
    assert elsewhere("a") == ["pending"]


def test_one_that_cannot_be_settled_takes_no_other_with_it(shop, group, elsewhere, capsys):
    shop.conn.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON results WHEN NEW.result LIKE '%\"b\"%' "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    keys = [*"abc", *(f"k{n}" for n in range(GROUP))]
    send(shop, *keys)
    while shop.publisher.waiting:
        run_next(shop, group)
    assert elsewhere("a", "b", "c", *keys[3:]) == ["done", "in_progress"] + ["done"] * (len(keys) - 2)
    assert "not settled; its lease will run out" in capsys.readouterr().out


def test_a_message_that_came_twice_runs_once(shop, group):
    send(shop, "a", "b")
    shop.publisher.waiting.extend([*shop.publisher.waiting])
    for _ in range(4):
        run_next(shop, group)
    assert sorted(key for _, key in shop.plugins.seen) == ["a", "b"]


def test_what_waits_behind_a_stage_that_takes_long_is_given_to_others(shop, elsewhere, monkeypatch):
    others_done = threading.Event()
    shop.acts["fetch"] = lambda context: (
        (context.key != "b" or others_done.wait(PATIENCE_SECONDS)) and {"of": context.key}
    )
    send(shop, "a", "b", "c", "d")
    stuck = [*shop.publisher.waiting]
    monkeypatch.setattr(group_commit, "AGE_SECONDS", 3600)
    monkeypatch.setattr(group_commit, "LATE_SECONDS", 2)  # longer than `a` takes on any machine
    group = make_group(shop, together=3)

    def run_all():
        for message in stuck:
            assert shop.publisher.waiting.popleft() is message
            group.advance(message.item_id, message.stage, message.attempt)
        shop.runtime.close()

    process = threading.Thread(target=run_all)
    process.start()
    wait_until(lambda: elsewhere("a") == ["done"])
    wait_until(
        lambda: (
            [row["queued_at"] for row in (shop.row("c", "fetch"), shop.row("d", "fetch"))].count(None) == 0
            and len(shop.publisher.sent) >= 6
        )
    )
    for message in [one for one in shop.publisher.sent[4:] if one.key in "cd"]:
        shop.deliver(message)
    assert elsewhere("b", "c", "d") == ["in_progress", "done", "done"]
    others_done.set()
    process.join(PATIENCE_SECONDS)
    assert elsewhere("a", "b", "c", "d") == ["done"] * 4
    assert sorted(key for _, key in shop.plugins.seen) == ["a", "b", "c", "d"]


def test_a_process_that_stops_settles_what_ended_and_gives_back_what_it_had_not_begun(shop, group, elsewhere):
    send(shop, "a", "b", "c")
    run_next(shop, group)
    group.close()
    assert elsewhere("a", "b", "c") == ["done", "pending", "pending"]
    assert shop.row("b", "fetch")["crashes"] == 0


def test_a_process_that_is_stopped_in_a_stage_loses_nothing_that_ended(shop, group, elsewhere):
    def stop_at_b(context):
        if context.key == "b":
            raise KeyboardInterrupt
        return {}

    shop.acts["fetch"] = stop_at_b
    send(shop, "a", "b", "c")
    run_next(shop, group)
    with pytest.raises(KeyboardInterrupt):
        run_next(shop, group)
    group.close()
    assert elsewhere("a", "b", "c") == ["done", "pending", "pending"]


@pytest.mark.parametrize("struck", ["a", "b"])
def test_a_process_that_is_stopped_in_a_settling_loses_nothing_that_ended(shop, group, elsewhere, struck):
    told = []

    def strike(result):
        if f'"{struck}"' in result and not told:
            told.append(result)
            raise KeyboardInterrupt
        return 0

    shop.conn.create_scalar_function("strike", strike)
    shop.conn.execute(
        "CREATE TEMP TRIGGER stops BEFORE INSERT ON results BEGIN SELECT strike(NEW.result); END"
    )
    send(shop, "a", "b")
    run_next(shop, group)
    with pytest.raises(KeyboardInterrupt):
        run_next(shop, group)
    assert elsewhere("a", "b") == ["in_progress", "in_progress"]
    group.close()
    assert elsewhere("a", "b") == ["done", "done"]
    assert [shop.result(key, "fetch")["key"] for key in "ab"] == ["a", "b"]


def test_a_duplicate_that_died_here_takes_nothing_from_a_worker_of_another_machine(shop, elsewhere):
    (item_id,) = shop.add("a")
    shop.dispatch()
    claim(shop.conn, item_id, "fetch", 1, worker="elsewhere.example.org:99999999")
    give_back_crashed(shop.runtime, item_id, "fetch", 1, reason="killed")
    assert elsewhere("a") == ["in_progress"]


def test_what_a_process_held_that_died_is_given_back_and_is_no_crash(shop, elsewhere):
    ids = shop.add("a", "b")
    shop.dispatch()
    host = shop.runtime.worker.rpartition(":")[0]
    claim(shop.conn, ids[0], "fetch", 1, worker=f"{host}:99999999")
    claim(shop.conn, ids[1], "fetch", 1, worker=f"{host}:{os.getpid()}")
    give_back_waiting(shop.runtime, 99999999)
    assert elsewhere("a", "b") == ["pending", "in_progress"]
    assert shop.row("a", "fetch")["crashes"] == 0
