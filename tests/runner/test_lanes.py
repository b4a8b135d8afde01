"""The fresh lane: work asked for again has at most its share while fresh work waits, and never starves."""

from __future__ import annotations

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.jobs_file import JobsFileInvalidError
from runner.dispatch import refill
from runner.lanes import share_out
from runner.sweep import sweep
from tracker import write
from tracker.dispatch import Candidate
from tracker.lanes import find_oldest_fresh
from tracker.reports import get_job_report


def load(item_id, *, stage="fetch", backfill=False, priority=0):
    return [Candidate(-priority, 0, item_id, stage, backfill=backfill)]


def lanes_of(chosen):
    return "".join("b" if one[0].backfill else "f" for one in chosen)


def both(count):
    return [load(n) for n in range(count)] + [load(1000 + n, backfill=True) for n in range(count)]


def test_backfill_has_its_share_of_what_is_sent_while_fresh_work_waits():
    chosen, owed = share_out(both(40), {"fetch": 40}, 16, share=0.25, owed=0.0)
    assert lanes_of(chosen) == "fffbfffbfffbfffb"
    assert owed == 0.0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0])
def test_over_many_small_refills_backfill_has_just_its_share(share):
    sent, owed = "", 0.0
    for _ in range(300):
        chosen, owed = share_out(both(3), {"fetch": 3}, 1, share=share, owed=owed)
        sent += lanes_of(chosen)
        assert sent.count("b") <= share * len(sent) + 1e-6
    assert sent.count("b") >= int(300 * share - 1e-6)


def test_a_share_that_no_computer_writes_exactly_is_had_in_time():
    chosen, _ = share_out(
        both(40), {"fetch": 40}, 20, share=0.1, owed=0.0
    )  # ten times 0.1 is a little below 1
    assert lanes_of(chosen) == "fffffffffb" * 2


def test_with_nothing_fresh_waiting_backfill_has_all():
    chosen, owed = share_out(
        [load(n, backfill=True) for n in range(9)], {"fetch": 9}, 5, share=0.25, owed=0.0
    )
    assert (lanes_of(chosen), owed) == ("bbbbb", 0.0)


def test_fresh_work_that_is_at_its_limit_does_not_hold_up_backfill():
    loads = [load(1, stage="slow"), load(2, stage="slow"), *(load(n, backfill=True) for n in range(5, 9))]
    chosen, _ = share_out(loads, {"slow": 1, "fetch": 4}, 8, share=0.25, owed=0.0)
    assert lanes_of(chosen) == "fbbbb"


def test_a_higher_priority_does_not_let_backfill_have_more():
    loads = [load(n) for n in range(8)] + [load(100 + n, backfill=True, priority=9) for n in range(8)]
    chosen, _ = share_out(loads, {"fetch": 8}, 8, share=0.25, owed=0.0)
    assert lanes_of(chosen) == "fffbfffb"


def test_within_a_lane_the_higher_priority_goes_first():
    loads = [load(1), load(2, priority=5), load(3, backfill=True), load(4, backfill=True, priority=1)]
    chosen, _ = share_out(loads, {"fetch": 4}, 4, share=0.5, owed=0.0)
    assert [one[0].item_id for one in chosen] == [2, 4, 1, 3]


# -- in the tracker -----------------------------------------------------------------------------------------


def lanes_sent(shop, count=None):
    backfill = {row[0] for row in shop.conn.execute("SELECT item_id FROM item_stages WHERE backfill = 1")}
    return "".join("b" if one.item_id in backfill else "f" for one in shop.publisher.sent[:count])


def finish(shop, *keys):
    shop.run(*keys)
    shop.publisher.sent.clear()


def test_what_a_person_resets_shares_the_runway_with_what_is_found(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    finish(shop, *(f"old{n}" for n in range(40)))
    tracker.reset_stage(shop.conn, "papers", "fetch")
    shop.add(*(f"new{n}" for n in range(40)))
    shop.dispatch()
    shop.work()
    assert lanes_sent(shop, 40) == "fffb" * 10
    assert lanes_sent(shop).count("b") == 40


def test_the_share_is_kept_from_refill_to_refill_and_by_all_processes(open_workshop):
    jobs = {"papers": job(step("fetch", concurrency=1), backfill_share=0.2)}
    shop, other = open_workshop(**jobs), open_workshop(**jobs)
    finish(shop, *(f"old{n}" for n in range(20)))
    tracker.reset_stage(shop.conn, "papers", "fetch")
    shop.add(*(f"new{n}" for n in range(40)))
    for _ in range(25):
        shop.dispatch()
        shop.take()
        shop.publisher.waiting.clear()
        tracker.messages.take_back_vanished_messages(shop.conn)
        shop.conn.execute("UPDATE item_stages SET queued_at = NULL, resend_at = NULL")
        other.dispatch()
        other.take()
        other.publisher.waiting.clear()
        shop.conn.execute("UPDATE item_stages SET queued_at = NULL, resend_at = NULL")
    done = shop.conn.execute(
        "SELECT sum(backfill), count(*) FROM item_stages WHERE status = 'done'"
    ).fetchone()
    assert done[0] / done[1] == pytest.approx(0.2, abs=0.05)


def test_an_item_asked_for_again_is_backfill_in_all_that_is_still_to_do(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0), step("extract"), step("store")))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    assert [shop.row("a", stage)["backfill"] for stage in ("fetch", "extract", "store")] == [0, 0, 0]
    tracker.retry_failed(shop.conn, "papers")
    assert [shop.row("a", stage)["backfill"] for stage in ("fetch", "extract", "store")] == [1, 1, 1]


def test_what_is_reset_while_it_runs_is_backfill_too(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    a, *_ = shop.add("a")
    shop.dispatch()
    assert tracker.claims.claim(shop.conn, a, "fetch", 1, worker="w")
    tracker.reset_stage(shop.conn, "papers", "fetch")
    assert (shop.status("a", "fetch"), shop.row("a", "fetch")["backfill"]) == ("pending", 1)


def test_an_automatic_retry_keeps_its_lane(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=2, backoff=1)))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"], row["backfill"]) == ("pending", 1, 0)


def test_a_finished_item_that_is_reopened_for_a_new_stage_is_backfill_and_one_under_way_stays_fresh(
    open_workshop,
):
    shop = open_workshop(papers=job(step("fetch")))
    finish(shop, "through")
    shop.add("under way")
    shop.dispatch()
    shop.edit(papers=job(step("fetch"), step("extract")))
    sweep(shop.runtime)
    assert shop.row("through", "extract")["backfill"] == 1
    assert shop.row("under way", "extract")["backfill"] == 0


def test_a_batch_is_of_one_lane(open_workshop):
    bulk = {"name": "bulk", "handler": "workshop_plugins:Together", "params": {"do": "bulk"}, "batch": 4}
    shop = open_workshop(papers=job(bulk))
    finish(shop, *(f"old{n}" for n in range(8)))
    tracker.reset_stage(shop.conn, "papers", "bulk")
    shop.add(*(f"new{n}" for n in range(8)))
    with write(shop.conn):
        refill(shop.runtime, shop.conn, shop.spec(), "celery")
    shop.publisher.sent.clear()
    messages = shop.conn.execute("SELECT backfill FROM item_stages WHERE queued_at IS NOT NULL").fetchall()
    assert len(messages) == 16


def test_a_share_that_is_none_is_refused_with_its_line(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), backfill_share=25))
    with pytest.raises(
        JobsFileInvalidError, match=r"jobs\.yaml:1: jobs\.papers\.backfill_share: 25 is too large"
    ):
        assert shop.runtime.jobs


def test_the_share_of_defaults_holds_for_jobs_that_name_none(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    text = shop.runtime.settings.jobs.read_text().replace(
        '{"version": 1,', '{"version": 1, "defaults": {"backfill_share": 0.5},'
    )
    shop.runtime.settings.jobs.write_text(text)
    assert shop.spec().backfill_share == 0.5


def test_a_concurrency_counts_both_lanes_together(open_workshop):
    shop = open_workshop(papers=job(step("fetch", concurrency=3)))
    finish(shop, *(f"old{n}" for n in range(20)))
    tracker.reset_stage(shop.conn, "papers", "fetch")
    shop.add(*(f"new{n}" for n in range(20)))
    assert shop.dispatch() == 3
    assert shop.dispatch() == 0


def test_a_rate_counts_both_lanes_together(open_workshop):
    shop = open_workshop(papers=job(step("fetch", rate="1/s")))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add("old0", "old1")
        shop.dispatch()
        shop.work()
        tracker.reset_stage(shop.conn, "papers", "fetch")
        shop.add(*(f"new{n}" for n in range(20)))
        clock.shift(3600)
        assert shop.dispatch() == 5


def test_a_priority_that_is_changed_counts_at_once_in_either_lane(open_workshop):
    shop = open_workshop(papers=job(step("fetch", concurrency=4)))
    finish(shop, *(f"old{n}" for n in range(9)))
    tracker.reset_stage(shop.conn, "papers", "fetch")
    shop.add(*(f"new{n}" for n in range(9)))
    for key in ("old7", "new5"):
        tracker.update_item_priority(shop.conn, "papers", key, 10)
    shop.dispatch()
    assert [key for key, _ in shop.sent] == ["new5", "new0", "new1", "old7"]


# -- the oldest fresh item ----------------------------------------------------------------------------------


def test_the_oldest_fresh_item_is_the_one_found_first_that_is_not_through(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0)))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add("a")
        clock.shift(60)
        shop.add("b")
        first = find_oldest_fresh(shop.conn, "papers")
        assert get_job_report(shop.conn, "papers").oldest_fresh_at == first
        shop.dispatch()
        shop.take()
        assert find_oldest_fresh(shop.conn, "papers") == first + 60_000
        shop.acts["fetch"] = lambda _: 1 / 0
        shop.take()
        assert find_oldest_fresh(shop.conn, "papers") is None
        tracker.retry_failed(shop.conn, "papers")
        tracker.reset_stage(shop.conn, "papers", "fetch")
        assert find_oldest_fresh(shop.conn, "papers") is None
