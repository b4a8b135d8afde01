"""
Instants as sources write them, read without trust, told as ISO text in UTC.

Each gives None for what is missing, of another type, unreadable, or outside the calendar (years 1 to 9999). An
instant without an offset is taken to be in UTC. Fractions of a second are kept.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARACTERS = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH_OR_YEAR = re.compile(r"\d{4}(-\d\d)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)


def tell_instant(given: object) -> str | None:
    """
    Tell an instant in whichever of the forms below it comes: a text in ISO or as in mails, else Unix seconds.

    >>> tell_instant("2026-01-02T03:04:05+01:00"), tell_instant("Fri, 02 Jan 2026 02:04:05 GMT")
    ('2026-01-02T02:04:05+00:00', '2026-01-02T02:04:05+00:00')
    """
    if isinstance(given, datetime):
        return tell_datetime(given)
    if isinstance(given, str):
        return tell_iso(given) or tell_mail_date(given)
    return tell_unix(given)


def tell_unix(seconds: object) -> str | None:
    """
    Tell an instant given as Unix seconds: a number, or a text of one.

    >>> tell_unix(1767319445), tell_unix("1767319445.5"), tell_unix(70_000 * 31_557_600), tell_unix(True)
    ('2026-01-02T02:04:05+00:00', '2026-01-02T02:04:05.500000+00:00', None, None)
    """
    if isinstance(seconds, str) and _NUMBER.fullmatch(seconds := seconds.strip()):
        seconds = float(seconds) if "." in seconds else int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return _tell(lambda: _EPOCH + timedelta(seconds=seconds))


def tell_unix_milliseconds(milliseconds: object) -> str | None:
    """
    Tell an instant given as Unix milliseconds, a number.

    >>> tell_unix_milliseconds(1767319445000)
    '2026-01-02T02:04:05+00:00'
    """
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    return _tell(lambda: _EPOCH + timedelta(milliseconds=milliseconds))


def tell_struct_time(parsed: object) -> str | None:
    """
    Tell an instant given as a `time.struct_time` in UTC, or any tuple that begins as one.

    >>> tell_struct_time((2026, 1, 2, 2, 4, 5)), tell_struct_time((70000, 1, 2, 2, 4, 5))
    ('2026-01-02T02:04:05+00:00', None)
    """
    if not isinstance(parsed, tuple) or len(parsed) < 6:
        return None
    return _tell(lambda: _EPOCH + timedelta(seconds=timegm(parsed)))


def tell_iso(text: object) -> str | None:
    """
    Tell an instant given in ISO 8601, as RFC 3339 and the W3C narrow it; a bare day, month or year begins it.

    >>> tell_iso("2026-01-02T03:04:05.5+01:00"), tell_iso("2026-01"), tell_iso("2026-13-01")
    ('2026-01-02T02:04:05.500000+00:00', '2026-01-01T00:00:00+00:00', None)
    """
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return None
    text = text.strip().upper()
    if _MONTH_OR_YEAR.fullmatch(text):
        text = (text + "-01-01")[:10]
    return _tell(lambda: datetime.fromisoformat(text))


def tell_mail_date(text: object) -> str | None:
    """
    Tell an instant given as in mails and HTTP headers (RFC 822, 2822, 5322, 9110).

    >>> tell_mail_date("Fri, 02 Jan 2026 03:04:05 +0100"), tell_mail_date("soon")
    ('2026-01-02T02:04:05+00:00', None)
    """
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return None
    return _tell(lambda: parsedate_to_datetime(text))


def tell_datetime(instant: datetime) -> str | None:
    """
    Tell an instant given as a datetime.

    >>> tell_datetime(datetime(2026, 1, 2)), tell_datetime(datetime.min.replace(tzinfo=UTC))
    ('2026-01-02T00:00:00+00:00', '0001-01-01T00:00:00+00:00')
    """
    return _tell(lambda: instant)


def _tell(read: Callable[[], datetime]) -> str | None:
    try:
        instant = read()
        aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):  # the readers' words for: not in the calendar
        return None
    return aware.isoformat()
