from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery import instants
from discovery.instants import (
    tell_datetime,
    tell_instant,
    tell_iso,
    tell_mail_date,
    tell_struct_time,
    tell_unix,
    tell_unix_milliseconds,
)

READERS = [value for name, value in vars(instants).items() if name.startswith("tell_")]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.tuples(*[st.integers()] * 9),
)


@pytest.mark.parametrize("reader", [reader for reader in READERS if reader is not tell_datetime])
@given(junk=JUNK)
def test_whatever_is_given_is_told_as_utc_or_not_at_all(reader, junk):
    told = reader(junk)
    assert told is None or datetime.fromisoformat(told).utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_written_in_iso_is_the_same_instant(instant):
    told = tell_iso(instant.isoformat())
    assert told == tell_datetime(instant)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("2026-01-02T02:04:05Z", "2026-01-02T02:04:05+00:00"),
        ("2026-01-02t02:04:05z", "2026-01-02T02:04:05+00:00"),
        ("2026-01-02 02:04:05", "2026-01-02T02:04:05+00:00"),
        ("  2026-01-02  ", "2026-01-02T00:00:00+00:00"),
        ("2026", "2026-01-01T00:00:00+00:00"),
        ("Fri, 2 Jan 2026 02:04:05 EST", "2026-01-02T07:04:05+00:00"),
        ("Fri, 2 Jan 2026 02:04:05 -0000", "2026-01-02T02:04:05+00:00"),
        (1767319445, "2026-01-02T02:04:05+00:00"),
        (datetime(2026, 1, 2, 4, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T02:00:00+00:00"),
    ],
)
def test_an_instant_is_told_in_whichever_form_it_comes(given, told):
    assert tell_instant(given) == told


@pytest.mark.parametrize(
    "given",
    [
        "70000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "Fri, 02 Jan 70000 02:04:05 GMT",
        "2026-02-30",
        "",
        "9" * 5000,
        10**30,
        float("nan"),
        float("inf"),
        None,
        True,
        [],
    ],
)
def test_an_instant_outside_the_calendar_is_not_told(given):
    assert tell_instant(given) is None


@pytest.mark.parametrize("year", [70_000, -5, 10**9])
def test_a_year_outside_the_calendar_is_not_told(year):
    assert tell_struct_time(time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0))) is None


def test_unix_seconds_may_be_a_text_and_a_fraction():
    assert tell_unix("1767319445") == tell_unix(1767319445.0) == "2026-01-02T02:04:05+00:00"
    assert tell_unix("٣") is tell_unix("1e9") is None


def test_unix_milliseconds_are_a_thousandth_of_seconds():
    assert tell_unix_milliseconds(1767319445500) == "2026-01-02T02:04:05.500000+00:00"
    assert tell_unix_milliseconds("1767319445500") is None


def test_a_text_in_one_form_is_not_read_in_another():
    assert tell_iso("Fri, 02 Jan 2026 02:04:05 GMT") is None
    assert tell_mail_date("2026-01-02") is None


def test_fractions_of_a_second_are_kept():
    assert (
        tell_datetime(datetime(2026, 1, 1, microsecond=5, tzinfo=UTC)) == "2026-01-01T00:00:00.000005+00:00"
    )


def test_what_python_alone_takes_for_a_blank_is_no_part_of_a_number():
    assert tell_unix("20\x1c") == "1970-01-01T00:00:20+00:00"
