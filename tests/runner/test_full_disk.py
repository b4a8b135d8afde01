"""A full disk: wait, say so once, go on when there is room, lose nothing."""

from __future__ import annotations

import time

import pytest
import structlog
from workshop import job, step

import tracker
from pipeline.errors import TrackerFullError
from runner.discover import discover
from runner.sweep import Swept, sweep


def use_up(conn):
    """Write until there is no room left in the last page."""
    while True:
        tracker.log_event(conn, "papers", "ballast", detail={"text": "x" * 300})


@pytest.fixture
def full_disk(monkeypatch):
    """Let a tracker grow no further; the second time that somebody waits for room, there is some."""
    waits = []

    def fill(conn, after_waits=2):
        pages = conn.execute("PRAGMA page_count").fetchone()[0]
        conn.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        with pytest.raises(TrackerFullError):
            use_up(conn)

        def wait(seconds):
            waits.append(seconds)
            if len(waits) >= after_waits:
                conn.execute("PRAGMA max_page_count = 1000000").fetchall()

        monkeypatch.setattr(time, "sleep", wait)
        return waits

    return fill


def grown(shop, count=40):
    """Add and send items; there are so many that no write fits into what is left of a page."""
    shop.add(*(f"{number}-{'k' * 200}" for number in range(count)))
    shop.dispatch()
    return shop


def test_a_result_for_which_there_is_no_room_waits_and_is_kept(shop, full_disk):
    shop.add("a")
    shop.dispatch()

    def act(context):
        waits.extend(full_disk(shop.conn))
        return {"text": "x" * 100_000}

    waits = []
    shop.acts["fetch"] = act
    shop.take()
    assert len(shop.result("a", "fetch")["text"]) == 100_000
    assert shop.status("a", "fetch") == "done"


def test_nothing_is_claimed_until_there_is_room(shop, full_disk):
    grown(shop)
    waits = full_disk(shop.conn)
    for _ in range(len(shop.publisher.waiting)):
        shop.take()
    assert len(waits) >= 2
    assert {stage for stage, _ in shop.plugins.seen} >= {"fetch"}
    assert tracker.stage_stats(shop.conn, "papers")["fetch"]["failed"] == 0


def test_a_full_disk_is_told_once_and_so_is_the_room(shop, full_disk):
    grown(shop)
    full_disk(shop.conn, after_waits=5)
    with structlog.testing.capture_logs() as logs:
        for _ in range(len(shop.publisher.waiting)):
            shop.take()
    said = [line["event"] for line in logs if "disk" in line["event"]]
    assert said == ["the disk is full; waiting for room", "there is room on the disk again"]


def test_found_items_wait_for_room(open_workshop, full_disk):
    shop = open_workshop(papers=job(step("fetch"), first_run_max=None))
    shop.plugins.find = lambda: [{"key": f"k{number}", "data": {"text": "x" * 500}} for number in range(2500)]
    full_disk(shop.conn)
    ended = discover(shop.runtime, "papers")
    assert (ended.found, ended.new, ended.error) == (2500, 2500, None)


def test_a_sweep_that_cannot_write_says_so_and_the_next_one_goes_on(shop, full_disk):
    shop.add(*(f"{number}-{'k' * 200}" for number in range(200)))
    full_disk(shop.conn, after_waits=1000)
    with structlog.testing.capture_logs() as logs:
        assert sweep(shop.runtime) == Swept()
    assert logs[-1]["event"] == "the sweep could not write"
    shop.conn.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert sweep(shop.runtime).sent > 0
