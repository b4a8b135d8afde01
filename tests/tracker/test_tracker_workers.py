from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import time_machine

from tracker import workers
from tracker.clock import now_ms
from tracker.workers import WorkerWord, as_word, forget_worker, list_workers, note_worker


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2026-11-25T12:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def word():
    return WorkerWord(
        "here", 7, "w1@here", [8, 9], ["slow", "celery"], "1+ab", False, False, now_ms(), now_ms()
    )


def test_a_worker_is_on_the_list_with_what_it_said_last(conn, word, clock):
    note_worker(conn, word)
    clock.shift(15)
    note_worker(conn, replace(word, processes=[8, 10], at=now_ms()))
    (report,) = list_workers(conn)
    assert (report.name, report.processes, report.queues) == ("w1@here", [8, 10], ["celery", "slow"])
    assert (report.started_at, report.seen_at, report.is_silent) == (now_ms() - 15_000, now_ms(), False)


def test_a_worker_that_stopped_is_struck_off_and_only_that_one(conn, word):
    note_worker(conn, word)
    note_worker(conn, replace(word, pid=17))
    forget_worker(conn, "here", 7)
    assert [one.pid for one in list_workers(conn)] == [17]


def test_a_worker_without_a_word_is_silent_after_a_minute_and_forgotten_after_an_hour(conn, word, clock):
    note_worker(conn, word)
    clock.shift(61)
    assert list_workers(conn)[0].is_silent
    clock.shift(3600)
    assert workers.forget_silent_workers(conn) == 1
    assert list_workers(conn) == []


def test_a_worker_that_was_killed_is_struck_off_by_the_next_one_of_its_name(conn, word, clock):
    note_worker(conn, word)
    note_worker(conn, replace(word, pid=8, name="w2@here"))
    clock.shift(10)
    again = replace(word, pid=17, started_at=now_ms())
    note_worker(conn, again)
    assert [one.pid for one in list_workers(conn)] == [7, 17, 8]  # it may live still
    clock.shift(15)
    note_worker(conn, again)
    assert [(one.pid, one.name) for one in list_workers(conn)] == [(17, "w1@here"), (8, "w2@here")]
    clock.shift(61)
    assert [one.pid for one in list_workers(conn) if one.is_silent] == [17, 8]


def test_two_workers_of_one_name_that_live_are_both_on_the_list(conn, word, clock):
    other = replace(word, pid=17, started_at=now_ms() + 5000)
    for _ in range(10):
        note_worker(conn, word)
        clock.shift(7)
        note_worker(conn, other)
        assert [one.pid for one in list_workers(conn)] == [7, 17]
        clock.shift(8)


def test_the_worker_of_one_run_strikes_off_none_of_its_name(conn, word, clock):
    note_worker(conn, word)
    clock.shift(61)
    note_worker(conn, replace(word, pid=17, started_at=now_ms(), scoped=True))
    assert [one.pid for one in list_workers(conn)] == [7, 17]


def test_with_nobody_to_forget_nothing_is_written(conn, word):
    note_worker(conn, word)
    before = conn.total_changes()
    assert workers.forget_silent_workers(conn) == 0
    assert conn.total_changes() == before


def test_a_worker_runs_what_its_processes_have_claimed(conn, word, opened_id):
    from tracker.claims import claim

    note_worker(conn, word)
    note_worker(conn, replace(word, pid=17, processes=[18]))
    assert claim(conn, opened_id, "fetch", 1, worker="here:9")
    first, second = list_workers(conn)
    assert [(one.key, one.stage, one.attempt, one.worker) for one in first.running] == [
        ("a", "fetch", 1, "here:9")
    ]
    assert second.running == []


def test_what_a_process_runs_is_told_once_though_two_workers_name_it(conn, word, opened_id, clock):
    from tracker.claims import claim

    note_worker(conn, replace(word, pid=17))
    clock.shift(5)
    note_worker(conn, replace(word, started_at=now_ms()))
    assert claim(conn, opened_id, "fetch", 1, worker="here:9")
    assert [(one.pid, len(one.running)) for one in list_workers(conn)] == [(7, 1), (17, 0)]


def test_a_pool_of_threads_runs_in_the_parent(conn, word, opened_id):
    from tracker.claims import claim

    note_worker(conn, replace(word, processes=[]))
    claim(conn, opened_id, "fetch", 1, worker="here:7")
    assert [one.key for one in list_workers(conn)[0].running] == ["a"]


def test_the_clock_of_a_far_worker_is_compared_with_ours(conn, word):
    note_worker(conn, replace(word, remote=True, at=now_ms() + 90_000))
    (report,) = list_workers(conn)
    assert (report.is_remote, report.skew_seconds, report.seen_at) == (True, 90.0, now_ms())


def test_queues_are_served_by_the_living_only(conn, word, clock):
    note_worker(conn, replace(word, queues=["old"]))
    clock.shift(61)
    note_worker(conn, replace(word, pid=17, queues=["celery", "slow"]))
    note_worker(conn, replace(word, pid=18, queues=["celery"]))
    note_worker(conn, replace(word, pid=19, queues=["own"], scoped=True))
    assert workers.count_serving(conn) == {"celery": 2, "slow": 1}


def test_a_word_survives_the_way_as_json(word):
    assert as_word(asdict(word)) == word


def test_beats_last_tick_is_kept(conn):
    assert workers.find_beat(conn) is None
    workers.note_beat(conn)
    assert workers.find_beat(conn) == now_ms()
