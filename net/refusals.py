"""What an answer that is no success means: try later, or never again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from pipeline.durations import parse_duration
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
_THROTTLES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


_LIMITS = ("", "-requests", "-tokens")
"""What `X-RateLimit-Remaining` and `X-RateLimit-Reset` end in, by what is counted; model endpoints count two things."""

_EPOCH_SINCE = 1e9
"""From this on, a time in `X-RateLimit-Reset` is an instant in Unix seconds, not a wait."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """A host asked to slow down: in which words, and for how long, if it said so."""

    reason: str
    wait_seconds: float | None


def read_throttle(status: int, headers: Mapping[str, str]) -> Throttle | None:
    """
    Tell whether an answer asks to slow down: 429 and 503 do, and a 403 that says when to come back.

    Source: RFC 6585 4, RFC 9110 15.6.4; for 403, GitHub's "Rate limits for the REST API", docs.github.com; for the
    headers of `_LIMITS`, OpenAI's "Rate limits", platform.openai.com.
    """
    wait_seconds = read_retry_after(headers.get("retry-after", ""))
    if wait_seconds is None:
        resets = [_read_reset(headers.get(f"x-ratelimit-reset{of}", "")) for of in _list_used_up(headers)]
        wait_seconds = max((seconds for seconds in resets if seconds is not None), default=None)
    if status in _THROTTLES or (status == HTTPStatus.FORBIDDEN and wait_seconds is not None):
        return Throttle(f"{status}{_phrase(status)}", wait_seconds)
    return None


def explain_refusal(
    address: str, status: int, headers: Mapping[str, str], throttle: Throttle | None = None
) -> SourceError:
    """
    Make the error for an answer outside 200 to 299.

    `SourceUnavailableError` for 5xx, 408, 425, 429 and a 403 that is a throttle, with the `Retry-After` it came
    with, or the wait of `throttle` where that is known, else `SourceRejectedError`.
    """
    message = f"{address} answered {status}{_phrase(status)}"
    if (throttle := throttle or read_throttle(status, headers)) is not None:
        return SourceUnavailableError(message, throttle.wait_seconds)
    if status >= 500 or status in _PASSING:
        return SourceUnavailableError(message, read_retry_after(headers.get("retry-after", "")))
    return SourceRejectedError(message)


def read_retry_after(text: str, now: datetime | None = None) -> float | None:
    """
    Read a `Retry-After` header: seconds from now, never negative, or None when it says nothing.

    Source: RFC 9110 10.2.3: a number of seconds, or a date.

    >>> read_retry_after("120"), read_retry_after("soon")
    (120.0, None)
    """
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, now or datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        instant = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # no date, or one of no calendar
        return None
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _list_used_up(headers: Mapping[str, str]) -> list[str]:
    return [of for of in _LIMITS if headers.get(f"x-ratelimit-remaining{of}", "").strip() in {"0", "0.0"}]


def _read_reset(text: str) -> float | None:
    try:
        reset = float(text)
    except ValueError:
        return _read_duration(text)
    seconds = reset - datetime.now(UTC).timestamp() if reset >= _EPOCH_SINCE else reset
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _read_duration(text: str) -> float | None:
    try:
        return max(1.0, parse_duration(text))  # "6m0s"; "20ms" does say something, and a second is little
    except ValueError:
        return None


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
