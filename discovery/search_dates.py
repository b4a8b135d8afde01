"""Dates as web searches show them to people, in English: `3 hours ago`, `Nov 20, 2026`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from discovery.instants import tell_datetime

_AGO = re.compile(r"(\d{1,4}|an?) (min|minute|hr|hour|day|week)s? ago", re.IGNORECASE)
_MONTH_DAY = re.compile(r"(?P<month>[a-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})", re.IGNORECASE)
_DAY_MONTH = re.compile(r"(?P<day>\d{1,2}) (?P<month>[a-z]{3,9})\.?,? (?P<year>\d{4})", re.IGNORECASE)
_ISO_DAY = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})")
_SECONDS = {"min": 60, "minute": 60, "hr": 3600, "hour": 3600, "day": 86_400, "week": 604_800}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def tell_search_date(shown: object, now: datetime) -> str | None:
    """
    Tell the instant that a search result shows, ISO in UTC; None when it is not sure.

    A day is its first moment in UTC. Months and years ago, and other languages, are not sure.

    >>> now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    >>> tell_search_date("3 hours ago", now), tell_search_date("Nov 20, 2026", now)
    ('2026-11-25T09:00:00+00:00', '2026-11-20T00:00:00+00:00')
    """
    text = " ".join(shown[:100].split()) if isinstance(shown, str) else ""
    if ago := _AGO.fullmatch(text):
        return _tell_ago(ago[1], ago[2], now)
    for form in (_MONTH_DAY, _DAY_MONTH, _ISO_DAY):
        if found := form.fullmatch(text):
            return _tell_day(found["year"], found["month"], found["day"])
    return None


def _tell_ago(count: str, unit: str, now: datetime) -> str | None:
    many = int(count) if count.isdecimal() else 1
    return tell_datetime((now - timedelta(seconds=many * _SECONDS[unit.lower()])).replace(microsecond=0))


def _tell_day(year: str, month: str, day: str) -> str | None:
    number = int(month) if month.isdecimal() else _number_month(month)
    try:
        found = date(int(year), number, int(day))
    except ValueError:  # no such day
        return None
    return tell_datetime(datetime(found.year, found.month, found.day, tzinfo=UTC))


def _number_month(name: str) -> int:
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0
