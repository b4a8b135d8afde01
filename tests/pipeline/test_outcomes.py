from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.outcomes import DEFAULT_RETRY_DELAY_SECONDS, RetryLater, RetryLaterError

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ending", "seconds"),
    [
        (RetryLater(90), 90),
        (RetryLater(timedelta(minutes=2)), 120),
        (RetryLater(at=NOON + timedelta(hours=1)), 3600),
        (RetryLater(at=NOON - timedelta(hours=1)), 0),
        (RetryLater(-5), 0),
        (RetryLater(float("inf")), timedelta.max.total_seconds()),
    ],
)
def test_a_later_time_is_a_delay_from_now_and_never_negative(ending, seconds):
    assert ending.delay_seconds(NOON) == seconds


def test_an_ending_without_a_time_or_with_two_is_refused():
    for times in ({}, {"delay": 5, "at": NOON}):
        with pytest.raises(ValueError, match="either a delay or an instant"):
            RetryLater(**times)


def test_a_delay_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="is a number"):
        RetryLater(float("nan"))


def test_an_instant_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        RetryLater(at=datetime(2026, 11, 25, 12))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("quota used up, retry in 5m", 300),
        ("Retry in 1.5 hours please", 5400),
        ("retry in 200ms", 0.2),
        ("retry in 3 weeks", 1_814_400),
        ("no time named", DEFAULT_RETRY_DELAY_SECONDS),
        ("retry in 5 parsecs", DEFAULT_RETRY_DELAY_SECONDS),
    ],
)
def test_the_older_words_name_the_delay_in_the_text(text, seconds):
    ending = RetryLaterError(text).as_outcome()
    assert ending.delay_seconds() == seconds
    assert ending.reason == text
