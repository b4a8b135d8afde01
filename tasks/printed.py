"""What handlers print, as log lines: one for each line, however it was written."""

from __future__ import annotations

import logging
import sys
import threading

from celery.utils.log import LoggingProxy, get_logger

LONGEST = 100_000
"""So many characters without an end of line are logged as they are."""


class PrintedLines(LoggingProxy):
    """
    Logs what is written to it, line by line; the beginning of a line waits for its end, or for `flush`.

    Celery's own logs each call of `write`, of which `print` makes one for each argument and each blank between.
    """

    def __init__(self, logger: logging.Logger, level: str) -> None:
        super().__init__(logger, logging.getLevelNamesMapping()[level])
        self._begun = threading.local()

    def write(self, data: str) -> int:  # type: ignore[override]  # as a file does
        """Log the lines that end here; how many characters were taken."""
        *lines, rest = (getattr(self._begun, "text", "") + str(data)).split("\n")
        self._begun.text = rest
        for line in lines:
            super().write(line)
        if len(rest) > LONGEST:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Log the line that has begun in this thread."""
        text, self._begun.text = getattr(self._begun, "text", ""), ""
        super().write(text)


def log_what_is_printed(level: str) -> None:
    """From now on log what this process, and those that it forks, print."""
    sys.stdout = sys.stderr = PrintedLines(get_logger("celery.redirected"), level)
