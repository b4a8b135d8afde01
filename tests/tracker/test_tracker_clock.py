from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.clock import AHEAD_MS, OwnInstants, format_ms, now_ms, to_datetime, to_ms

YEAR_9000_MS = 221_845_392_000_000


@given(st.integers(min_value=0, max_value=YEAR_9000_MS))
@example(2_158_222_176_002)  # a float of seconds falls just short of it
def test_an_instant_survives_the_way_to_a_datetime_and_back(at_ms):
    assert to_ms(to_datetime(at_ms)) == at_ms


def test_an_instant_is_the_same_in_every_time_zone():
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert to_ms(noon) == to_ms(noon.astimezone(timezone(timedelta(hours=9)))) == 1_772_366_400_000


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="has no time zone"):
        to_ms(datetime(2026, 3, 1))  # noqa: DTZ001 - a naive one is the point


@time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False)
def test_now_is_in_milliseconds():
    assert now_ms() == 1_772_366_400_000


def test_no_two_ask_for_an_instant_of_their_own_and_are_told_the_same():
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        instants = OwnInstants()
        assert [instants.next() - now_ms() for _ in range(3)] == [0, 1, 2]
        clock.shift(10)
        assert instants.next() == now_ms()


def test_an_instant_of_ones_own_is_not_that_of_a_clock_that_was_set_back():
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        instants = OwnInstants()
        instants.next()
        clock.shift(-(AHEAD_MS + 1) / 1000)
        assert instants.next() == now_ms()


def test_an_instant_is_written_in_utc_to_the_second_and_an_absent_one_not_at_all():
    assert (format_ms(1_772_366_400_999), format_ms(None)) == ("2026-03-01 12:00:00", "")
