from __future__ import annotations

from datetime import UTC, datetime

import pytest

from discovery.search_dates import tell_search_date

NOW = datetime(2026, 11, 25, 12, 0, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "instant"),
    [
        ("3 hours ago", "2026-11-25T09:00:00+00:00"),
        ("1 hour ago", "2026-11-25T11:00:00+00:00"),
        ("an hour ago", "2026-11-25T11:00:00+00:00"),
        ("5 mins ago", "2026-11-25T11:55:00+00:00"),
        ("2 days ago", "2026-11-23T12:00:00+00:00"),
        ("1 week ago", "2026-11-18T12:00:00+00:00"),
        ("Nov 20, 2026", "2026-11-20T00:00:00+00:00"),
        ("  November  3,  2026 ", "2026-11-03T00:00:00+00:00"),
        ("20 Nov 2026", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
    ],
)
def test_a_date_that_is_sure_is_told(shown, instant):
    assert tell_search_date(shown, NOW) == instant


@pytest.mark.parametrize(
    "shown",
    ["", None, 7, "2 months ago", "1 year ago", "yesterday", "vor 3 Stunden", "Feb 30, 2026", "Foo 3, 2026"],
)
def test_a_date_that_is_not_sure_is_none(shown):
    assert tell_search_date(shown, NOW) is None


@pytest.mark.parametrize(
    "shown", ["Nov 20, 0000", "1" * 5000 + " hours ago", "20 Nov 70000", "9999 weeks ago!"]
)
def test_a_date_that_cannot_be_is_none(shown):
    assert tell_search_date(shown, NOW) is None
