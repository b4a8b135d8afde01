"""The command line. It only renders: it reads `tracker.reports` and acts through `runner.operate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


def end_without_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Leave a Ctrl-C without a traceback: the process ends by it, as any does. All else is shown as ever."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = end_without_traceback  # here, as the first: `cli.main` hears Ctrl-C only once it is imported
