"""Instants, spans, counts and what is missing, as explanations, checks and pages say them; times in UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.durations import format_duration
from tracker.clock import format_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.item_attempts import AttemptOfItem


def say_no_log(attempt: AttemptOfItem) -> str:
    """Say why there is no log of an attempt."""
    if attempt.log_is_lost:
        return "What it logged is lost: its process died, or was cut off, before it could be kept."
    if attempt.ended is None and attempt.began_at is not None:
        return "What it logs is kept when it ends."
    return "It logged nothing that is kept."


def say_count(number: int, noun: str, plural: str = "s") -> str:
    """
    Say so many of something; `plural` is the ending of more than one.

    >>> say_count(1, "item"), say_count(2000, "process", "es")
    ('1 item', '2,000 processes')
    """
    return f"{number:,} {noun}{'' if number == 1 else plural}"


_BOTH = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")


def agree(words: str, *, with_one: bool) -> str:
    """
    Let words that follow a number agree with it: of each `[one|several]` keep what does.

    >>> agree("[stage is|stages are] tried again.", with_one=True)
    'stage is tried again.'
    """
    return _BOTH.sub(r"\1" if with_one else r"\2", words)


def say_counted(number: int, words: str) -> str:
    """
    Say so many, before words that agree with it as in `agree`.

    >>> say_counted(1, "[message waits|messages wait]"), say_counted(2000, "[message waits|messages wait]")
    ('1 message waits', '2,000 messages wait')
    """
    return f"{number:,} {agree(words, with_one=number == 1)}"


def say_moved_on(passed: int) -> str:
    """
    Say how many an action left alone, behind what it changed; nothing where there are none.

    >>> say_moved_on(0), say_moved_on(1)
    ('', '; 1 had moved on and stays as it is')
    """
    return f"; {say_counted(passed, 'had moved on and [stays as it is|stay as they are]')}" if passed else ""


SHOWN_REASONS = 3
"""How many of the reasons for which something was refused are said, the most frequent first."""


def say_reasons(refused_for: Mapping[str, int]) -> str:
    """
    Say for which reasons things were refused, and how many for each.

    >>> say_reasons({"no key": 1, "older than since": 4})
    'older than since: 4, no key: 1'
    """
    most = sorted(refused_for.items(), key=lambda each: -each[1])
    said = [f"{reason}: {count}" for reason, count in most[:SHOWN_REASONS]]
    return ", ".join([*said, *(["…"] if len(most) > SHOWN_REASONS else [])])


def say_until(at: int, now: int) -> str:
    """
    Say a time to come and how far off it is.

    >>> say_until(1_767_225_600_000, 1_767_218_400_000)
    '2026-01-01 00:00:00 UTC (in 2 h)'
    """
    return f"{format_ms(at)} UTC ({say_distance(at, now)})"


def say_distance(at: int, now: int) -> str:
    """
    Say how far off an instant is, or how long ago it was.

    >>> say_distance(0, 5_000), say_distance(61_000, 0), say_distance(0, 0)
    ('5 s ago', 'in 1 m 1 s', 'now')
    """
    if abs(at - now) < 1000:
        return "now"
    return f"in {say_span(at - now)}" if at > now else f"{say_span(now - at)} ago"


def say_span(milliseconds: int) -> str:
    """
    Say how long a span is, to the second.

    >>> say_span(400), say_span(7_250), say_span(3_600_000)
    ('0 s', '7 s', '1 h')
    """
    seconds = max(0, milliseconds) // 1000
    return format_duration(seconds) if seconds else "0 s"


def shorten(text: str, width: int = 200) -> str:
    """Write a text on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def say_bytes(count: int) -> str:
    """
    Write a size as people read it.

    >>> say_bytes(999), say_bytes(1_500_000), say_bytes(20_000_000_000)
    ('999 B', '1.5 MB', '20 GB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
