"""When a job looks for items: cron expressions in a time zone, or every so often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from pipeline.catalog import find_nearest
from pipeline.durations import format_duration, parse_duration
from pipeline.problems import InvalidValueError, show_value

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
ALLOWED = (
    "five fields (minute 0-59, hour 0-23, day 1-31 or L, month 1-12, weekday 0-7, MON#1 or 5L), "
    f"{', '.join(NICKNAMES)}, or every: 15m"
)
MAX_PERIOD_SECONDS = 366 * 86_400.0
_EVERY = "every "
SWEEP_SECONDS = 5.0
"""How often the sweep comes by."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The times at which a job is due.

    `text` is a cron expression, a nickname such as `@daily`, or `every 15m`. Slots of `every` count from the
    Unix epoch, so that each process finds the same ones; slots of cron are in `timezone` and follow Debian's
    rules: a time that the clocks skip in spring runs once, right after; one that they repeat in autumn runs
    once, the first time.

    Source: cronsim, github.com/cuu508/cronsim.
    """

    text: str
    timezone: str = "UTC"

    @classmethod
    def parse(cls, value: Any, timezone: str = "UTC") -> Schedule:
        """
        Read a schedule as jobs.yaml writes it: a text, `{cron: …, timezone: …}` or `{every: …}`.

        `timezone` holds for a cron expression that names none. Raises `InvalidValueError`.
        """
        if isinstance(value, Schedule):
            return value
        if isinstance(value, Mapping):
            return cls._parse_mapping(value, timezone)
        if isinstance(value, str):
            text = " ".join(value.split())
            is_period = text.lower().startswith(_EVERY)
            return _every(text[len(_EVERY) :]) if is_period else _cron(text, timezone)
        raise InvalidValueError(f"{show_value(value)} is no schedule", ALLOWED)

    @classmethod
    def _parse_mapping(cls, value: Mapping[Any, Any], timezone: str) -> Schedule:
        keys = set(value)
        if keys == {"every"}:
            return _every(value["every"], ("every",))
        if keys in ({"cron"}, {"cron", "timezone"}):
            zone = check_timezone(value.get("timezone", timezone), ("timezone",))
            return _cron(value["cron"], zone, ("cron",))
        raise InvalidValueError(
            f"a schedule with the keys {', '.join(map(str, value)) or '(none)'}",
            "either every, or cron with or without timezone",
        )

    @property
    def period_seconds(self) -> float | None:
        """How long from slot to slot, or None for cron."""
        return parse_duration(self.text[len(_EVERY) :]) if self.text.startswith(_EVERY) else None

    def next_slot(self, now: datetime) -> datetime:
        """Find the first slot after `now` (aware), in UTC."""
        if self.period_seconds:
            return self._period_start(now) + timedelta(seconds=self.period_seconds)
        # what the clocks repeat in autumn comes again here: only what is truly later counts
        return next(slot for slot in self._slots(now) if slot > now)

    def previous_slot(self, now: datetime) -> datetime:
        """Find the last slot at or before `now` (aware), in UTC."""
        if self.period_seconds:
            return self._period_start(now)
        slot = next(slot for slot in self._slots(now, reverse=True) if slot <= now)
        # backward, cronsim leaves out `now` itself, and what lies in the hour that the clocks repeat
        while (later := self.next_slot(slot)) <= now:
            slot = later
        return slot

    def describe(self) -> str:
        """Say the schedule in words."""
        if self.period_seconds:
            return f"every {format_duration(self.period_seconds)}"
        words = CronSim(self._expression, _EPOCH).explain()
        return f"{words} ({self.timezone})"

    @property
    def _expression(self) -> str:
        return NICKNAMES.get(self.text, self.text)

    def _slots(self, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
        local = start.astimezone(ZoneInfo(self.timezone) if self.timezone != "UTC" else UTC)
        return (slot.astimezone(UTC) for slot in CronSim(self._expression, local, reverse=reverse))

    def _period_start(self, now: datetime) -> datetime:
        period = timedelta(seconds=self.period_seconds or 0)
        return now.astimezone(UTC) - (now - _EPOCH) % period

    def __str__(self) -> str:
        return self.text if self.timezone == "UTC" else f"{self.text} ({self.timezone})"


def check_timezone(name: Any, within: tuple[str, ...] = ()) -> str:
    """Give a time zone's name back if the tz database knows it. Raises `InvalidValueError`."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, TypeError, AttributeError, OSError):
        nearest = find_nearest(str(name), sorted(available_timezones()))
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        message = f"no time zone named {show_value(name)}{hint}"
        raise InvalidValueError(message, "a name such as Europe/Berlin or UTC", within) from None
    return str(name)


def _every(value: Any, within: tuple[str, ...] = ()) -> Schedule:
    try:
        seconds = parse_duration(value)
    except (ValueError, OverflowError):
        seconds = 0.0
    if not 1 <= seconds <= MAX_PERIOD_SECONDS:
        raise InvalidValueError(f"{show_value(value)} is no period", "15m, 2h, 1d; from 1s to 366d", within)
    return Schedule(f"{_EVERY}{value}s" if isinstance(value, int | float) else f"{_EVERY}{value}")


def _cron(value: Any, timezone: str, within: tuple[str, ...] = ()) -> Schedule:
    text = " ".join(str(value).split()).lower() if str(value).strip().startswith("@") else str(value).strip()
    try:
        next(CronSim(NICKNAMES.get(text, text), _EPOCH))
    except (CronSimError, ValueError) as error:
        message = f"{show_value(value)} is no schedule ({str(error).lower()})"
        raise InvalidValueError(message, ALLOWED, within) from None
    except StopIteration:
        raise InvalidValueError(f"{show_value(value)} never comes", ALLOWED, within) from None
    return Schedule(text, timezone)
