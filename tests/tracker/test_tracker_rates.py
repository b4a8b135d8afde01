from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from tracker import rates

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def test_a_rate_lets_go_what_has_fallen_due_and_saves_up_no_more_than_a_burst(conn, clock):
    second, burst = 1_000_000, 5

    def allowed():
        return rates.count_allowed(conn, "papers", "fetch", second, burst)

    def take(count):
        with tracker.write(conn):
            rates.take_allowed(conn, "papers", "fetch", second, burst, count)

    assert allowed() == 5
    take(5)
    assert allowed() == 0
    clock.shift(2)
    assert allowed() == 2
    take(1)
    assert allowed() == 1
    clock.shift(3600)
    assert allowed() == 5


def test_over_a_minute_a_rate_lets_go_just_what_it_says(conn, clock):
    sent = 0
    for _ in range(600):
        count = rates.count_allowed(conn, "papers", "fetch", 500_000, 1)
        if count:
            with tracker.write(conn):
                rates.take_allowed(conn, "papers", "fetch", 500_000, 1, count)
        sent += count
        clock.shift(0.1)
    assert sent == 120


def test_a_rate_holds_nothing_up_after_the_clock_was_set_back(conn, clock):
    clock.shift(3600)
    with tracker.write(conn):
        rates.take_allowed(conn, "papers", "fetch", 1_000_000, 1, 1)
    clock.shift(-3600)
    for _ in range(3):
        assert rates.count_allowed(conn, "papers", "fetch", 1_000_000, 1) == 1
        with tracker.write(conn):
            rates.take_allowed(conn, "papers", "fetch", 1_000_000, 1, 1)
        assert rates.count_allowed(conn, "papers", "fetch", 1_000_000, 1) == 0
        clock.shift(1)
