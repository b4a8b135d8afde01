"""What an answer that is no success means: try later, or never again."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def explain_refusal(address: str, status: int, headers: Mapping[str, str]) -> SourceError:
    """
    Make the error for an answer outside 200 to 299.

    `SourceUnavailableError` for 5xx, 408, 425 and 429, with the `Retry-After` it came with, else
    `SourceRejectedError`.
    """
    message = f"{address} answered {status}{_phrase(status)}"
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
    except ValueError:
        return None
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
