from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.problems import InvalidValueError
from pipeline.schedule import NICKNAMES, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
FIELDS = st.one_of(
    st.sampled_from(
        [
            *NICKNAMES,
            "*/7 * * * *",
            "30 2 * * *",
            "0,30 1-2 * * *",
            "15 */2 * * *",
            "0 7 L * *",
            "0 9 * * MON#1",
        ]
    ),
    st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23)),
)
SCHEDULES = st.one_of(
    st.builds(Schedule.parse, FIELDS, st.sampled_from(ZONES)),
    st.builds(lambda seconds: Schedule.parse({"every": seconds}), st.integers(1, 90_000)),
)
# the days around the changes of the clocks, where mistakes live, and any other
INSTANTS = st.one_of(
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds),
        st.sampled_from(
            [
                datetime(2026, 3, 29, tzinfo=UTC),
                datetime(2026, 10, 25, tzinfo=UTC),
                datetime(2026, 11, 1, tzinfo=UTC),
            ]
        ),
        st.floats(-10_000, 40_000),
    ),
    st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
)


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@given(SCHEDULES, INSTANTS)
def test_now_is_always_between_two_slots_that_follow_each_other(schedule, now):
    previous, following = schedule.previous_slot(now), schedule.next_slot(now)
    assert previous <= now < following
    assert previous.tzinfo is following.tzinfo is UTC
    assert schedule.next_slot(previous) == following
    assert schedule.previous_slot(following) == following
    assert schedule.previous_slot(following - timedelta(microseconds=1)) == previous


def test_a_slot_counts_as_previous_from_its_very_second():
    daily = Schedule.parse("0 7 * * *")
    assert daily.previous_slot(at("2026-11-25T07:00:00")) == at("2026-11-25T07:00:00")
    assert daily.previous_slot(at("2026-11-25T06:59:59.999999")) == at("2026-11-24T07:00:00")
    assert daily.next_slot(at("2026-11-25T07:00:00")) == at("2026-11-26T07:00:00")


def test_a_time_that_the_clocks_skip_in_spring_comes_once_right_after():
    nightly = Schedule.parse({"cron": "30 2 * * *", "timezone": "Europe/Berlin"})
    assert nightly.next_slot(at("2026-03-28T12:00", BERLIN)) == at("2026-03-29T03:00", BERLIN)
    assert nightly.next_slot(at("2026-03-29T03:00", BERLIN)) == at("2026-03-30T02:30", BERLIN)


def test_a_time_that_the_clocks_repeat_in_autumn_comes_once():
    nightly = Schedule.parse("30 2 * * *", "Europe/Berlin")
    first = at("2026-10-25T00:30")  # 02:30 in summer time; an hour later it is 02:30 again
    assert nightly.next_slot(at("2026-10-25T00:00")) == first
    assert nightly.next_slot(first) == at("2026-10-26T02:30", BERLIN)
    assert nightly.previous_slot(at("2026-10-25T01:10")) == first
    assert nightly.next_slot(at("2026-10-25T01:10")) == at("2026-10-26T02:30", BERLIN)


def test_the_first_monday_is_not_every_monday():
    first_monday = Schedule.parse("0 9 * * MON#1")
    assert first_monday.next_slot(at("2026-11-03T00:00")) == at("2026-12-07T09:00")


def test_every_so_often_counts_from_the_epoch_so_that_all_processes_agree():
    often = Schedule.parse({"every": "15m"})
    assert often.next_slot(at("2026-11-25T10:07:03.5")) == at("2026-11-25T10:15")
    assert often.previous_slot(at("2026-11-25T10:07:03.5")) == at("2026-11-25T10:00")
    slots = [often.next_slot(at("2026-11-25T23:00") + timedelta(minutes=15 * n)) for n in range(8)]
    assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(minutes=15)}


@pytest.mark.parametrize("text", NICKNAMES)
def test_a_nickname_is_kept_as_written_and_means_its_expression(text):
    nickname, spelled_out = Schedule.parse(text.upper()), Schedule.parse(NICKNAMES[text])
    assert nickname.text == text
    assert nickname.next_slot(at("2026-11-25T10:07")) == spelled_out.next_slot(at("2026-11-25T10:07"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("@daily", "At 00:00 every day (UTC)"),
        ({"cron": "0 7 * * MON", "timezone": "Europe/Berlin"}, "At 07:00 on Monday (Europe/Berlin)"),
        ({"every": "90m"}, "every 1 h 30 m"),
        ("every 15m", "every 15 m"),
        ({"every": 60}, "every 1 m"),
    ],
)
def test_a_schedule_is_described_in_words(value, words):
    assert Schedule.parse(value).describe() == words


def test_a_time_zone_of_its_own_goes_before_the_default():
    assert (
        Schedule.parse({"cron": "@daily", "timezone": "Asia/Tokyo"}, "Europe/Berlin").timezone == "Asia/Tokyo"
    )
    assert Schedule.parse({"cron": "@daily"}, "Europe/Berlin").timezone == "Europe/Berlin"


def test_a_schedule_is_given_back_as_it_is():
    schedule = Schedule.parse("every 5m")
    assert Schedule.parse(schedule) is schedule


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("61 * * * *", "is no schedule (bad minute)"),
        ("0 7 * *", "wrong number of fields"),
        ("@sometimes", "is no schedule"),
        (f"{'9' * 5000} * * * *", "is no schedule"),
        ("", "is no schedule"),
        ("0 0 30 2 *", "is no schedule (bad day-of-month)"),
        ("0 0 * 2 MON#6", "is no schedule (bad day-of-week)"),
        ("0 0 * 2 MON#5", None),  # once in 28 years, but it comes
        (15, "15 is no schedule"),
        (None, "an empty value is no schedule"),
        (["@daily"], "is no schedule"),
        ({}, "the keys (none)"),
        ({"cron": "@daily", "every": "5m"}, "the keys cron, every"),
        ({"every": "5m", "timezone": "UTC"}, "the keys every, timezone"),
        ({"every": "soon"}, "'soon' is no period"),
        ({"every": 0}, "0 is no period"),
        ({"every": "-5m"}, "'-5m' is no period"),
        ({"every": "10ms"}, "'10ms' is no period"),
        ({"every": "400d"}, "'400d' is no period"),
        ({"every": 10**400}, "is no period"),
        ({"every": True}, "True is no period"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'?"),
        ({"cron": "@daily", "timezone": "Europe"}, "no time zone named 'Europe'"),
        ({"cron": "@daily", "timezone": "../../etc/passwd"}, "no time zone named"),
        ({"cron": "@daily", "timezone": 1}, "no time zone named 1"),
        ({"cron": None}, "an empty value is no schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_is_allowed(value, message):
    if message is None:
        assert Schedule.parse(value)
        return
    with pytest.raises(InvalidValueError) as caught:
        Schedule.parse(value)
    assert message in caught.value.message
    assert caught.value.allowed


@given(st.one_of(st.text(max_size=20), st.text("0123456789*/-,#L? MONW", max_size=20)))
def test_no_text_does_worse_than_being_refused(text):
    try:
        schedule = Schedule.parse(text)
    except InvalidValueError:
        return
    assert schedule.next_slot(at("2026-11-25T10:07"))
    assert schedule.describe()
