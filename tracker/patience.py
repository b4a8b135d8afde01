"""A limit to how long a reader looks: what no index answers may have to look at very many rows."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TakesTooLongError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.connection import Connection

STEPS_BETWEEN_LOOKS = 10_000
"""Of SQLite's machine, between two looks at the clock: less than a millisecond."""


@contextmanager
def for_at_most(conn: Connection, seconds: float) -> Iterator[None]:
    """Let the statements of the block take no longer than this together. Raises `TakesTooLongError` when they would."""
    until = time.monotonic() + seconds
    conn.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    try:
        yield
    except apsw.InterruptError:
        raise TakesTooLongError(seconds) from None
    finally:
        conn.set_progress_handler(None)
