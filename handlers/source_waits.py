"""When a stage is tried again whose source could not be had, and said when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import HostPausedError
from pipeline.outcomes import RetryLater

if TYPE_CHECKING:
    from pipeline.errors import SourceUnavailableError

LONGEST_RETRY_AFTER_SECONDS = 86_400.0
"""A source may ask for any wait; nobody is served by one of a year."""


def wait_as_asked(error: SourceUnavailableError, reason: str | None = None) -> RetryLater | None:
    """
    Give the ending that waits for as long as a source, or the pause of its host, says; None when neither does.

    Of a paused host it names the host, so that the stage is tried as soon as somebody lifts the pause.
    """
    if error.retry_after_seconds is None:
        return None
    host = error.host if isinstance(error, HostPausedError) else None
    seconds = min(error.retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
    return RetryLater(seconds, str(error) if reason is None else reason, host=host)
