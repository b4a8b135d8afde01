"""Whether this worker was told to stop, known to its parent process and to all its children."""

from __future__ import annotations

import mmap
from typing import Any

from celery import signals

_told = mmap.mmap(-1, 1)
"""One byte that parent and children share. There is no lock to it that a killed child could keep."""


def is_stopping() -> bool:
    """Tell whether this worker takes on nothing more, and ends when what runs has ended."""
    return _told[0] != 0


@signals.worker_shutting_down.connect
def note_stopping(**_: Any) -> None:
    """Take note of it. Celery calls this in the midst of whatever the parent does: nothing here may wait."""
    _told[0] = 1
