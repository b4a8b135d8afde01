from __future__ import annotations

import time

import pytest

import tracker
from tracker.connection import write
from tracker.notes import SWEPT_AT, set_note
from tracker.workers import note_beat

STRANGER = ("192.0.2.7", 50000)


@pytest.fixture
def sweep(conn):
    """Note a sweep of so many seconds ago."""

    def note(seconds_ago):
        with write(conn):
            set_note(conn, SWEPT_AT, str(int((time.time() - seconds_ago) * 1000)))

    return note


def test_that_it_lives_is_said_to_everybody_without_asking_the_tracker(visit, accounts, settings):
    browser = visit(client=STRANGER)
    settings.db_path.unlink()
    assert (browser.get("/healthz").status_code, browser.get("/healthz").json()) == (200, {"alive": True})


def test_it_is_ready_when_the_last_sweep_is_fresh(visit, accounts, sweep):
    sweep(5)
    answer = visit(client=STRANGER).get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})


def test_it_is_not_ready_without_a_sweep_or_after_an_old_one(visit, accounts, sweep):
    answer = visit(client=STRANGER).get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
    sweep(600)
    assert visit(client=STRANGER).get("/readyz").status_code == 503


def test_it_is_ready_while_the_sweep_waits_for_what_takes_long(visit, accounts, conn, sweep):
    sweep(600)
    tracker.upsert_items(conn, "papers", [{"key": "long"}])
    (item_id,) = conn.execute("SELECT item_id FROM work_items WHERE key = 'long'").fetchone()
    tracker.mark_stage_in_progress(conn, item_id, "fetch", ["fetch"])
    assert visit(client=STRANGER).get("/readyz").status_code == 503
    note_beat(conn)
    assert visit(client=STRANGER).get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no database" * 100)]
)
def test_it_is_not_ready_when_the_tracker_cannot_be_read_and_says_no_more(visit, settings, spoil):
    spoil(settings.db_path)
    answer = visit(client=STRANGER).get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
