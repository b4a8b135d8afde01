"""How far back a job looks: a span of time before now, or a fixed instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.durations import parse_duration
from pipeline.problems import InvalidValueError, show_value

ALLOWED = "a span such as 30d or 12h, a date such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True)
class Since:
    """The instant before which nothing is wanted: `span` before now, or `fixed`, an aware time in UTC."""

    span: timedelta | None = None
    fixed: datetime | None = None

    @classmethod
    def parse(cls, value: Any) -> Since:
        """
        Read a span, a date or an instant; one without a time zone is in UTC. Raises `InvalidValueError`.

        >>> Since.parse("2026-01-31").instant(), str(Since.parse("1h30m"))
        (datetime.datetime(2026, 1, 31, 0, 0, tzinfo=datetime.timezone.utc), '1:30:00')
        """
        if isinstance(value, Since):
            return value
        try:
            instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            instant = None
        if instant is not None:
            aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            try:
                return cls(fixed=aware.astimezone(UTC))
            except OverflowError:  # at the edge of the years that there are
                raise InvalidValueError(f"{show_value(value)} is no time to look back to", ALLOWED) from None
        try:
            span = timedelta(seconds=parse_duration(value))
        except (ValueError, OverflowError):
            raise InvalidValueError(f"{show_value(value)} is no time to look back to", ALLOWED) from None
        if not timedelta(0) < span < timedelta(days=36_500):
            raise InvalidValueError(f"{show_value(value)} is no time to look back to", ALLOWED)
        return cls(span=span)

    def instant(self, now: datetime | None = None) -> datetime:
        """Tell the instant, in UTC; a span counts back from `now`."""
        if self.fixed is not None:
            return self.fixed
        assert self.span is not None  # noqa: S101  one of the two is set
        return (now or datetime.now(UTC)) - self.span

    def __str__(self) -> str:
        return str(self.span) if self.fixed is None else self.fixed.isoformat()
