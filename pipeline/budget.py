"""What a job, or everything together, may spend."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, model_validator

from pipeline.fields import Timezone
from pipeline.problems import InvalidValueError
from pipeline.spec import Spec

Cap = Literal["usd_per_day", "usd_per_item", "usd_total"]

CAPS: tuple[Cap, ...] = ("usd_per_day", "usd_per_item", "usd_total")

Usd = Annotated[float, Field(strict=True, gt=0, le=1_000_000_000, allow_inf_nan=False)]


class BudgetSpec(Spec):
    """What may be spent, in US dollars; at least one of the caps is given."""

    usd_per_day: Usd | None = Field(None, description="From midnight to midnight in `timezone`.")
    usd_per_item: Usd | None = Field(None, description="For one item, over all of its stages and attempts.")
    usd_total: Usd | None = Field(None, description="In all, for ever.")
    timezone: Timezone | None = Field(
        None, description="When a day begins; without it, the time zone of `defaults`."
    )

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        if all(getattr(self, cap) is None for cap in CAPS):
            raise InvalidValueError("a budget of nothing", f"at least one of {', '.join(CAPS)}")
        return self.within((info.context or {}).get("timezone"))

    def within(self, timezone: str | None) -> Self:
        """Give the budget with this time zone, unless it names its own."""
        if self.timezone is not None or timezone is None:
            return self
        return self.model_copy(update={"timezone": timezone})


def day_around(now: datetime, timezone: str) -> tuple[datetime, datetime]:
    """
    Give the day that an instant (aware) lies in, in a time zone: its beginning and its end, in UTC.

    A day is 23 or 25 hours long when the clocks change. One that begins with an hour that the clocks skip begins
    right after it.

    >>> begin, end = day_around(datetime(2026, 3, 29, 12, tzinfo=UTC), "Europe/Berlin")
    >>> str(begin), end - begin
    ('2026-03-28 23:00:00+00:00', datetime.timedelta(seconds=82800))
    """
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    begin, end = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (today, today + timedelta(days=1))
    )
    return begin, end
