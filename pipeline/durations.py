"""Durations as people write them: `90s`, `15m`, `1h30m`."""

from __future__ import annotations

import re

DURATION_UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_duration(text: str | float) -> float:
    """
    Read a duration in seconds: a number means seconds, a text is numbers with units.

    Raises ValueError with what is allowed.

    >>> parse_duration("1h30m"), parse_duration("250ms"), parse_duration(90)
    (5400.0, 0.25, 90.0)
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    total, rest = 0.0, str(text).strip()
    while rest and (part := _PART.match(rest)) and part[2].lower() in DURATION_UNITS:
        total += float(part[1]) * DURATION_UNITS[part[2].lower()]
        rest = rest[part.end() :]
    if rest or not str(text).strip():
        raise ValueError(f"{text!r} is not a duration; write 30s, 15m, 2h, 1d or 1h30m")
    return total


def format_duration(seconds: float) -> str:
    """
    Write a duration as a person would say it, in at most two units.

    >>> format_duration(0.25), format_duration(61), format_duration(90_000), format_duration(7.25)
    ('250 ms', '1 m 1 s', '1 d 1 h', '7.2 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    rest, parts = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
