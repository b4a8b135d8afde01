from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from cli.pausing import parse_until

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC).astimezone()


@pytest.mark.parametrize(("text", "hours"), [("2h", 2), ("90m", 1.5), ("1d12h", 36)])
def test_a_duration_counts_from_now(text, hours):
    assert parse_until(text, NOW) == NOW + timedelta(hours=hours)


def test_a_time_of_day_is_the_next_one():
    earlier, later = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
    assert parse_until(f"{later:%H:%M}", NOW) == later
    assert parse_until(f"{earlier:%H:%M}", NOW) == earlier + timedelta(days=1)


def test_a_date_and_time_is_in_this_machines_zone():
    assert parse_until("2026-12-01T08:00", NOW) == datetime(2026, 12, 1, 8, tzinfo=NOW.tzinfo)


def test_a_zone_that_is_given_counts():
    assert parse_until("2026-12-01T08:00+05:00", NOW) == datetime(2026, 12, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-11-24", "2020-01-01T00:00", "0s", "25:00", "", "99999999999d"]
)
def test_anything_else_and_the_past_are_refused(text):
    with pytest.raises(click.UsageError, match="--until"):
        parse_until(text, NOW)
