"""Tracebacks as they are recorded and shown: from the author's own line on."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

_HOUSE = Path(__file__).parents[1]
_ON_THE_WAY = (
    f"{Path(asyncio.__file__).parent}/",
    *(
        f"{_HOUSE}/{one}"
        for one in ("runner/", "handlers/running.py", "handlers/python.py", "discovery/base.py")
    ),
)
"""The folders and files through which a handler or a strategy is called."""


def write_trace(error: BaseException) -> str:
    """Write the traceback of an error and of its causes, without the frames that led to the author's code."""
    told = traceback.TracebackException.from_exception(error)
    _leave_out_the_way(told)
    return "".join(told.format())


def _leave_out_the_way(told: traceback.TracebackException | None) -> None:
    if told is None:
        return
    _leave_out_the_way(told.__cause__)
    _leave_out_the_way(told.__context__)
    theirs = (number for number, frame in enumerate(told.stack) if not frame.filename.startswith(_ON_THE_WAY))
    del told.stack[: next(theirs, 0)]  # all of an error that is ours
