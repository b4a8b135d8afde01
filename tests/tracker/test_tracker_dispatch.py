from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from tracker import claims, dispatch, messages, moves
from tracker.clock import now_ms, to_ms
from tracker.dispatch import Candidate, Message, Runway
from tracker.endings import Ending

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = to_ms(NOON)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def stamp(conn, clock):
    """Stamp stages in a transaction of their own."""

    def stamp(*candidates):
        with tracker.write(conn):
            return dispatch.stamp(conn, candidates)

    return stamp


@pytest.fixture
def ready(conn):
    def ready(stage="fetch", limit=100):
        return dispatch.list_ready(conn, "papers", stage, limit)

    return ready


def test_ready_stages_come_highest_priority_first_then_oldest(add_opened, ready):
    first, second = add_opened("a", "b")
    (urgent,) = add_opened("c", priority=9)
    assert [one.item_id for one in ready()] == [urgent, first, second]
    assert [one.item_id for one in ready(limit=1)] == [urgent]
    assert ready("store") == []


def test_unopened_items_are_candidates_for_the_root(conn, add_items):
    first, second = add_items("a", "b")
    found = dispatch.list_unopened(conn, "papers", "fetch", 10)
    assert found == [
        Candidate(0, 0, first, "fetch", unopened=True),
        Candidate(0, 0, second, "fetch", unopened=True),
    ]


def test_candidates_sort_by_priority_then_by_how_far_on_they_are_then_by_age():
    far = Candidate(0, -2, 9, "store")
    urgent = Candidate(-5, 0, 8, "fetch")
    assert sorted([Candidate(0, 0, 1, "fetch"), far, urgent]) == [urgent, far, Candidate(0, 0, 1, "fetch")]


def test_a_run_over_a_few_items_sees_only_those(conn, add_opened, add_items):
    opened, _ = add_opened("a", "b")
    unopened, _ = add_items("c", "d")
    chosen = json.dumps([opened, unopened])
    assert [one.item_id for one in dispatch.list_ready_among(conn, chosen, "fetch", 10)] == [opened]
    assert [one.item_id for one in dispatch.list_unopened_among(conn, "papers", chosen, "fetch", 10)] == [
        unopened
    ]
    assert dispatch.list_unopened_among(conn, "talks", chosen, "fetch", 10) == []


def test_a_stamped_stage_is_on_its_way_and_not_stamped_again(conn, opened_id, stamp, ready):
    (candidate,) = ready()
    assert stamp(candidate) == [Message(opened_id, "papers", "fetch", 1, "a")]
    assert stamp(candidate) == []
    assert ready() == []
    assert dispatch.read_runways(conn, "papers")["fetch"] == Runway(queued=1, running=0)


def test_a_claim_turns_what_is_on_its_way_into_what_runs(conn, opened_id, stamp, ready):
    stamp(*ready())
    claims.claim(conn, opened_id, "fetch", 1, worker="w")
    runway = dispatch.read_runways(conn, "papers")["fetch"]
    assert (runway, runway.outstanding) == (Runway(queued=0, running=1), 1)


def test_short_loads_are_counted_by_their_stamps_while_they_wait(conn, add_opened, ready):
    add_opened("a", "b", "c", "d")
    a, b, c, d = ready()
    with tracker.write(conn):
        dispatch.stamp(conn, [a, b, c, d], {a: NOON_MS, b: NOON_MS + 1, c: NOON_MS + 1})  # d has none: now
    assert dispatch.count_loads(conn, "papers", "fetch") == Runway(queued=3, running=0)
    assert dispatch.count_loads(conn, "papers", "store") == Runway(queued=0, running=0)


def test_short_loads_are_counted_by_who_claimed_them_and_when(conn, add_opened, stamp, ready):
    ids = add_opened("a", "b", "c", "d")
    stamp(*ready())
    for worker, at, chosen in [("w:1", 5, ids[:2]), ("w:1", 6, ids[2:3]), ("w:2", 6, ids[3:])]:
        attempts = [(item_id, "fetch", 1) for item_id in chosen]
        assert claims.claim_together(conn, attempts, worker=worker, started_at=at)
    assert dispatch.count_loads(conn, "papers", "fetch") == Runway(queued=0, running=3)


def test_the_next_load_is_stamped_after_all_that_wait(conn, clock, add_opened, ready):
    add_opened("a", "b")
    assert dispatch.next_instant(conn, "papers", "fetch") == NOON_MS
    a, b = ready()
    with tracker.write(conn):
        dispatch.stamp(conn, [a, b], {a: NOON_MS, b: NOON_MS + 1})
    assert dispatch.next_instant(conn, "papers", "fetch") == NOON_MS + 2
    assert dispatch.next_instant(conn, "papers", "store") == NOON_MS
    clock.shift(1)
    assert dispatch.next_instant(conn, "papers", "fetch") == NOON_MS + 1000


def test_a_stamp_from_before_the_clock_was_set_back_moves_no_other(conn, clock, opened_id, stamp, ready):
    stamp(*ready())
    clock.shift(-3600)
    assert dispatch.next_instant(conn, "papers", "fetch") == now_ms()


def test_the_larger_count_of_two_runways_is_taken_one_by_one():
    assert Runway(3, 1).at_least(Runway(2, 2)) == Runway(3, 2)


def test_stamps_of_messages_that_could_not_be_published_are_taken_back(conn, add_opened, stamp, ready):
    add_opened("a", "b")
    messages = stamp(*ready())
    with tracker.write(conn):
        dispatch.take_back_stamps(conn, [messages[0].attempt_key])
    assert [one.item_id for one in ready()] == [messages[0].item_id]


def test_taking_back_an_old_message_leaves_a_later_attempts_stamp(conn, opened_id, stamp, ready, read_stage):
    (message,) = stamp(*ready())
    claims.claim(conn, opened_id, "fetch", 1, worker="w")
    moves.settle(conn, opened_id, "fetch", 1, Ending.released("stopping"))
    stamp(*ready())
    with tracker.write(conn):
        dispatch.take_back_stamps(conn, [message.attempt_key])
    assert read_stage(opened_id, "fetch")["queued_at"] == NOON_MS


def test_a_message_that_nobody_claimed_is_sent_again_each_time_with_double_the_patience(
    conn, opened_id, stamp, ready, clock
):
    for patience in (60, 120, 240):
        stamp(*ready())
        clock.shift(patience - 1)
        assert messages.take_back_lost_messages(conn) == 0
        clock.shift(1)
        assert messages.take_back_lost_messages(conn) == 1


def test_with_an_empty_broker_a_message_is_missed_after_seconds_each_time_twice_as_many(
    conn, opened_id, stamp, ready, clock
):
    for patience in (5, 10, 20):
        stamp(*ready())
        clock.shift(patience - 1)
        assert messages.take_back_vanished_messages(conn) == 0
        clock.shift(1)
        assert messages.take_back_vanished_messages(conn) == 1
    assert [one.item_id for one in ready()] == [opened_id]


def test_with_an_empty_broker_a_message_that_was_sent_before_the_clock_was_set_back_is_missed_at_once(
    conn, opened_id, stamp, ready, clock
):
    clock.shift(3600)
    stamp(*ready())
    clock.shift(-3600)
    assert messages.take_back_vanished_messages(conn) == 1
    assert [one.item_id for one in ready()] == [opened_id]


def test_a_countdown_is_not_missed_before_its_time(conn, opened_id, clock, ready):
    claims.claim(conn, opened_id, "fetch", 1, worker="w")
    moves.settle(conn, opened_id, "fetch", 1, Ending.later("quota", NOON_MS + 200_000))
    clock.shift(259)
    assert messages.take_back_vanished_messages(conn) + messages.take_back_lost_messages(conn) == 0
    clock.shift(1)
    assert messages.take_back_lost_messages(conn) == 1
    assert [one.item_id for one in ready()] == [opened_id]


def test_a_parked_stage_wakes_at_its_time_and_not_before(conn, opened_id, clock, ready):
    claims.claim(conn, opened_id, "fetch", 1, worker="w")
    moves.settle(conn, opened_id, "fetch", 1, Ending.later("quota", NOON_MS + 3_600_000))
    clock.shift(3599)
    assert messages.wake_parked_stages(conn) == 0
    clock.shift(1)
    assert messages.wake_parked_stages(conn) == 1
    assert [one.item_id for one in ready()] == [opened_id]
    assert messages.wake_parked_stages(conn) == 0
