"""A time to come as people write it: `18:00`, `2026-12-01T08:00`, or for how long, `2h`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.durations import parse_duration

LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def parse_until(text: str, present: datetime) -> datetime:
    """
    Read a time to come: `18:00` (today, or tomorrow if it has passed), an ISO date and time, or a duration.

    A time without a zone is in that of `present`. Raises ValueError for anything else, the past, or the year 9999.
    """
    try:
        return require_future(present + timedelta(seconds=parse_duration(text)), present, repr(text))
    except (ValueError, OverflowError):
        pass  # not a duration: a time, then
    try:
        clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - only its hour and minute are used
        found = present.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return found if found > present else found + timedelta(days=1)
    except ValueError:
        pass  # not a time of day: a date and time, then
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r}: write 18:00, 2026-12-01T08:00 or 2h") from None
    return require_future(
        found if found.tzinfo else found.replace(tzinfo=present.tzinfo), present, repr(text)
    )


def require_future(found: datetime, present: datetime, said: str) -> datetime:
    """Give an instant back that is to come, and that can be told in every time zone. Raises ValueError."""
    if found <= present:
        raise ValueError(f"{said} is not in the future")
    if found >= LATEST:
        raise ValueError(f"{said} is too far away; leave the end open")
    return found
