from __future__ import annotations

import re
import time

import pytest
from filled import STAGES, fill, find_item_id

import tracker
from dashboard.house import Served
from dashboard.workers_page import describe_workers
from tracker.workers import WorkerWord, note_worker

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def filled(conn):
    fill(conn)


@pytest.mark.usefixtures("filled")
def test_each_worker_is_shown_with_its_queues_and_its_code(visit):
    page = visit().get("/workers").text
    assert "worker@box" in page
    assert "box:1" in page
    assert "celery" in page
    assert "1+abc" in page
    assert "other code than here" in page


def test_what_a_worker_runs_is_shown_with_for_how_long_and_how_far(visit, conn):
    fill(conn)
    conn.execute(
        "UPDATE item_stages SET worker = 'box:2', started_at = started_at - 65000 WHERE status = 'in_progress'"
    )
    conn.execute(
        "INSERT INTO progress (item_id, stage, job_id, done, total, note, told_at) "
        "VALUES (?, 'read', 'papers', 3, 10, ?, 1)",
        (find_item_id(conn, "d"), HOSTILE),
    )
    page = visit().get("/workers").text
    assert 'href="/items?job=papers&amp;key=d"' in page
    assert re.search(r">[1-9] m( \d+ s)? ago<", page)
    assert "3 of 10" in page
    assert HOSTILE not in page


def test_a_worker_that_is_silent_is_told(visit, conn):
    now = int(time.time() * 1000)
    note_worker(conn, WorkerWord("box", 1, HOSTILE, [2], ["celery"], "1", False, False, now, now))
    conn.execute("UPDATE workers SET seen_at = seen_at - 120000")
    page = visit().get("/workers").text
    assert '<td class="problem">silent; other code than here</td>' in page
    assert HOSTILE not in page


def test_a_queue_that_nobody_serves_is_told(visit, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "a"), "read", STAGES)
    assert "nobody serves it" in visit().get("/workers").text


def test_items_of_which_nothing_was_sent_yet_wait_in_the_queue_of_the_first_stage(open_house, conn):
    tracker.upsert_items(conn, "papers", [{"key": key} for key in "abc"])
    queues = {one.name: one for one in describe_workers(open_house().state.house)["queues"]}
    assert {name: one.waiting for name, one in queues.items()} == {"celery": 3}


def test_stages_behind_one_that_failed_do_not_wait_in_their_queue(open_house, conn):
    tracker.upsert_items(conn, "papers", [{"key": key} for key in "ab"])
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "a"), "read", STAGES)
    tracker.mark_stage_failed(conn, find_item_id(conn, "a"), "read", STAGES, OSError("torn"))
    (queue,) = describe_workers(open_house().state.house)["queues"]
    assert (queue.waiting, queue.to_come) == (1, 2)  # b, and what comes after the failed stage of a


def test_flower_is_linked_when_it_is_known_where_it_is(visit, open_house):
    assert "Flower" not in visit().get("/workers").text
    page = visit(open_house(Served(flower_url="https://flower.example/"))).get("/workers").text
    assert (
        '<a role="button" class="secondary outline" href="https://flower.example/" rel="noreferrer">Flower</a>'
        in page
    )


def test_without_workers_it_is_said_how_to_start_one(visit):
    assert "celeriac up" in visit().get("/workers").text


@pytest.mark.usefixtures("filled")
def test_it_says_when_beat_and_the_sweep_were_last(visit):
    page = visit().get("/workers").text
    assert "last ticked <time" in page
    assert "the last <time" in page
