"""The sweep: mend what time or a crash has broken, and touch nothing that is whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import RetryLater
from runner.sweep import Swept, sweep
from tracker import messages
from tracker.claims import LEASE_SECONDS, claim
from tracker.messages import BROKER_LOSS_MS
from tracker.notes import SWEPT_AT, find_note

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        yield clock


def die_under(shop):
    """Claim the next message, and never settle it."""
    message = shop.publisher.waiting.popleft()
    assert claim(shop.conn, message.item_id, message.stage, message.attempt, worker="gone") is not None


def test_a_stage_whose_worker_died_is_taken_by_another_within_a_minute(shop, clock):
    shop.add("a")
    shop.dispatch()
    die_under(shop)
    clock.shift(LEASE_SECONDS - 1)
    assert sweep(shop.runtime).expired == 0
    clock.shift(2)
    assert sweep(shop.runtime) == Swept(expired=1, sent=1)
    shop.work()
    assert shop.status("a") == "done"


def test_a_stage_that_killed_its_worker_three_times_is_failed_as_poison(shop, clock):
    shop.add("a")
    shop.dispatch()
    for _ in range(3):
        die_under(shop)
        clock.shift(LEASE_SECONDS + 1)
        sweep(shop.runtime)
    assert not shop.publisher.waiting
    (failure,) = shop.failures()
    assert failure["error_type"] == "WorkerDied"
    assert shop.status("a", "fetch") == "failed"


def test_parked_stages_are_woken_in_their_time(shop, clock):
    shop.acts["fetch"] = lambda context: RetryLater(3600) if context.attempt == 1 else {"ok": True}
    shop.run("a")
    clock.shift(3599)
    assert sweep(shop.runtime).woken == 0
    clock.shift(1)
    assert sweep(shop.runtime) == Swept(woken=1, sent=1)


def test_many_parked_stages_are_woken_some_at_a_time(shop, clock, monkeypatch):
    monkeypatch.setattr(messages, "WAKE_AT_ONCE", 2)
    shop.acts["fetch"] = lambda context: RetryLater(3600) if context.attempt == 1 else {"ok": True}
    shop.run(*"abcde")
    clock.shift(3600)
    commits = []
    shop.conn.set_commit_hook(lambda: bool(commits.append(1)))
    assert messages.wake_parked_stages(shop.conn) == 5
    assert len(commits) == 3


def test_a_lost_message_is_sent_again_with_growing_patience(shop, clock):
    shop.publisher.has_waiting_messages = lambda: True  # the broker holds others: it has not lost all
    shop.add("a")
    shop.dispatch()
    began, sent_after = datetime.now(UTC), []
    for _ in range(2000):
        clock.shift(5)
        if sweep(shop.runtime).sent:
            sent_after.append((datetime.now(UTC) - began) / timedelta(seconds=1))
    gaps = [later - earlier for earlier, later in zip([0.0, *sent_after], sent_after, strict=False)]
    assert gaps[:4] == [60, 120, 240, 480]
    assert all(gap <= 3600 + 5 for gap in gaps)


def test_a_message_that_is_claimed_in_time_is_not_sent_again(shop, clock):
    shop.run("a")
    clock.shift(3600)
    assert sweep(shop.runtime).sent == 0


def test_messages_that_vanished_with_the_broker_are_sent_again_within_seconds(shop, clock):
    shop.add("a", "b")
    shop.dispatch()
    shop.publisher.waiting.clear()  # as FLUSHALL does
    clock.shift(1)
    assert sweep(shop.runtime).lost == 0
    clock.shift(2 * BROKER_LOSS_MS / 1000)
    assert sweep(shop.runtime) == Swept(lost=2, sent=2)
    shop.work()
    assert (shop.status("a"), shop.status("b")) == ("done", "done")


def test_nothing_is_taken_for_vanished_while_a_queue_holds_messages(shop, clock):
    shop.add("a", "b")
    shop.dispatch()
    clock.shift(30)
    assert sweep(shop.runtime).lost == 0


def test_nothing_is_taken_for_vanished_while_the_broker_is_away(shop, clock):
    shop.add("a")
    shop.dispatch()
    shop.publisher.waiting.clear()
    shop.publisher.is_away = True
    clock.shift(30)
    assert sweep(shop.runtime).lost == 0
    shop.publisher.is_away = False
    assert sweep(shop.runtime).lost == 1


def test_a_countdown_that_was_lost_with_the_broker_is_sent_again_after_its_time(shop, clock):
    shop.acts["fetch"] = lambda context: RetryLater(60) if context.attempt == 1 else {"ok": True}
    shop.run("a")
    shop.publisher.countdowns.clear()
    clock.shift(30)
    sweep(shop.runtime)
    assert not shop.publisher.waiting
    clock.shift(91)
    sweep(shop.runtime)
    shop.work()
    assert shop.status("a") == "done"


def test_a_pause_is_lifted_when_its_time_has_come_and_the_job_goes_on(shop, clock):
    shop.add("a")
    tracker.pause_job(shop.conn, "papers", "too many errors", until=datetime.now(UTC) + timedelta(minutes=5))
    clock.shift(299)
    assert sweep(shop.runtime) == Swept()
    clock.shift(1)
    assert sweep(shop.runtime) == Swept(unpaused=1, sent=1)
    assert shop.events("unpause")[0]["by"] == "sweep"


def test_each_pause_that_lifted_itself_doubles_the_next_one(shop, clock):
    factors = []
    for _ in range(4):
        factors.append(tracker.get_retry_info(shop.conn, "papers")["pause_factor"])
        tracker.pause_job(shop.conn, "papers", "errors", until=datetime.now(UTC) + timedelta(minutes=1))
        clock.shift(61)
        sweep(shop.runtime)
    assert factors == [1, 2, 4, 8]


def test_a_pause_without_an_end_is_never_lifted(shop, clock):
    tracker.pause_job(shop.conn, "papers", "by hand")
    clock.shift(10 * 365 * 86_400)
    assert sweep(shop.runtime).unpaused == 0


def test_a_job_that_was_woken_is_discovered_once(shop):
    tracker.wake_job(shop.conn, "papers", by="me")
    sweep(shop.runtime)
    sweep(shop.runtime)
    assert shop.publisher.discoveries == [("papers", None, False)]


def test_the_wish_to_wake_a_job_outlives_a_broker_that_is_away(shop):
    tracker.wake_job(shop.conn, "papers", by="me")
    shop.publisher.is_away = True
    assert sweep(shop.runtime).discoveries == 0
    shop.publisher.is_away = False
    assert sweep(shop.runtime).discoveries == 1


def test_no_wish_to_wake_a_job_is_lost_with_the_broker(open_workshop):
    shop = open_workshop(**{name: job(step("fetch")) for name in ("news", "papers", "talks")})
    for name in ("news", "papers", "talks"):
        tracker.wake_job(shop.conn, name)
    shop.publisher.is_away = True
    assert sweep(shop.runtime).discoveries == 0
    shop.publisher.is_away = False
    assert sweep(shop.runtime).discoveries == 3
    assert sweep(shop.runtime).discoveries == 0


def test_the_wish_to_wake_a_job_waits_until_jobs_yaml_has_it_switched_on(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), enabled=False))
    for name in ("papers", "news"):
        tracker.wake_job(shop.conn, name)
    assert sweep(shop.runtime).discoveries == 0
    shop.edit(**{name: job(step("fetch")) for name in ("papers", "news")})
    assert sweep(shop.runtime).discoveries == 2
    assert sweep(shop.runtime).discoveries == 0


def test_an_idle_sweep_writes_nothing(shop, clock):
    shop.run("a")
    sweep(shop.runtime)
    files = [shop.runtime.settings.db_path, shop.runtime.settings.db_path.with_name("tracker.db-wal")]
    before, asked = [path.read_bytes() for path in files], []
    shop.conn.exec_trace = lambda _cursor, sql, _bindings: asked.append(sql.split()[0]) or True
    for _ in range(5):
        assert sweep(shop.runtime) == Swept()
    assert [path.read_bytes() for path in files] == before
    assert set(asked) == {"SELECT", "WITH"}  # it does not even ask for its turn to write


def test_a_sweep_with_items_that_may_not_go_on_writes_nothing(open_workshop, clock):
    shop = open_workshop(papers=job(step("fetch"), step("extract", concurrency=1)))
    shop.run("a")
    shop.add("b")
    tracker.pause_job(shop.conn, "papers", "by hand")
    sweep(shop.runtime)
    before = shop.conn.total_changes()
    sweep(shop.runtime)
    assert shop.conn.total_changes() == before


def test_the_sweep_notes_that_it_lives_twice_a_minute_at_most(shop, clock):
    sweep(shop.runtime)
    noted = find_note(shop.conn, SWEPT_AT)
    clock.shift(29)
    sweep(shop.runtime)
    assert find_note(shop.conn, SWEPT_AT) == noted
    clock.shift(2)
    sweep(shop.runtime)
    assert int(find_note(shop.conn, SWEPT_AT)) == int(noted) + 31_000


def test_a_sweep_for_one_job_sends_nothing_of_another(open_workshop):
    shop = open_workshop(papers=job(step("fetch")), others=job(step("fetch"), schedule="@daily"))
    shop.add("a")
    shop.add("b", job_id="others")
    assert sweep(shop.runtime, only="papers").discoveries == 0
    assert shop.sent == [("a", "fetch")]


def test_a_switched_off_job_sends_nothing(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), enabled=False))
    shop.add("a")
    assert sweep(shop.runtime).sent == 0


def test_any_number_of_sweeps_at_once_send_each_stage_once(open_workshop):
    shops = [open_workshop() for _ in range(3)]
    shops[0].add(*(f"k{number}" for number in range(20)))
    for shop in shops:
        sweep(shop.runtime)
    sent = [pair for shop in shops for pair in shop.sent]
    assert len(sent) == len(set(sent)) == 20


def test_everything_is_done_even_if_every_third_message_is_lost(shop, clock):
    shop.add(*(f"k{number}" for number in range(40)))
    shop.dispatch()
    number = 0
    for _ in range(200):
        while shop.publisher.waiting:
            number += 1
            shop.publisher.waiting.popleft() if number % 3 == 0 else shop.take()
        clock.shift(30)
        sweep(shop.runtime)
    assert tracker.get_job_stats(shop.conn, "papers")["done"] == 40
    assert shop.conn.execute("SELECT count(*) FROM results").fetchone()[0] == 120
