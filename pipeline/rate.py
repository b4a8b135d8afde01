"""Rates as people write them: `10/s`, `30/m`, `1/3s`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.durations import DURATION_UNITS
from pipeline.problems import InvalidValueError, show_value

MAX_PER_SECONDS = 30 * 86_400
_RATE = re.compile(r"(\d{1,7})\s*/\s*(\d{0,7})\s*([a-z]+)", re.ASCII)
_RATE_ALLOWED = "a count per time: 10/s, 30/m, 100/h, 1/3s"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in each `per_seconds`."""

    count: int
    per_seconds: float

    @classmethod
    def parse(cls, value: Any) -> Rate:
        """
        Read a rate; a Rate is given back as it is. Raises `InvalidValueError`.

        >>> Rate.parse("30/m"), str(Rate.parse("1/3s"))
        (Rate(count=30, per_seconds=60.0), '1/3s')
        """
        if isinstance(value, Rate):
            return value
        found = _RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if found is None or found[3] not in DURATION_UNITS:
            raise InvalidValueError(f"{show_value(value)} is no rate", _RATE_ALLOWED)
        rate = cls(int(found[1]), int(found[2] or 1) * DURATION_UNITS[found[3]])
        if not (rate.count and 0 < rate.per_seconds <= MAX_PER_SECONDS):
            raise InvalidValueError(f"{show_value(value)} is no rate", _RATE_ALLOWED)
        return rate

    @property
    def per_second(self) -> float:
        """The same as a number a second."""
        return self.count / self.per_seconds

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "m", 3600.0: "h", 86_400.0: "d"}.get(self.per_seconds)
        return f"{self.count}/{unit or f'{self.per_seconds:g}s'}"
