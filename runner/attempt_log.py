"""
What a handler logs is kept with its attempt: the first lines and the last ones, however many there are.

A line belongs to the attempt in whose context it was logged; of a thread that a handler started, to the one attempt
that runs in the process. What is kept of it costs bounded memory, and nothing is written before the attempt ends.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from pipeline.redaction import KNOWN
from tracker.attempt_logs import AttemptLog
from tracker.endings import make_storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import Token

FIRST_LINES, LAST_LINES = 20, 180
"""How many lines are kept from the beginning and from the end. A line is what is logged at once."""

LONGEST_LINE = 4_000
"""How many characters of one line are kept."""

MOST_BYTES = 65_536
MOST_FIRST_BYTES = MOST_BYTES // 4

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": None,
}
"""The levels of the setting `attempt_logs`."""

_UNSHOWABLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What would move a terminal's cursor, or colour it."""

_NOT_FIELDS = frozenset({"event", "level", "timestamp", "exc_info", "stack_info", "stack"})

Line = tuple[float, str | logging.LogRecord]
"""When it was logged (Unix seconds), and what; as a record as long as nobody knows whether it stays."""


class Lines:
    """The lines that an attempt logs while the block runs. `known` are fields that need not be on each line."""

    __slots__ = ("_before", "_is_over", "_token", "count", "first", "known", "last")

    def __init__(self, **known: Any) -> None:
        self.known = known
        self.count = 0
        self.first: list[Line] = []
        self.last: deque[Line] = deque(maxlen=LAST_LINES)
        self._is_over = False

    def __enter__(self) -> Self:
        self._is_over = False
        self._before = threading.enumerate()
        self._token: Token[Lines | None] = _here.set(self)
        _running.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):  # where it leads nowhere any more
            sys.stdout.flush()  # in a worker a line that was begun is logged by that
        self._is_over = True  # a thread that the handler left behind may go on logging
        _running.remove(self)
        _here.reset(self._token)

    def add(self, record: logging.LogRecord) -> None:
        """Keep a line, unless the attempt is over."""
        if self._is_over:
            return
        line = record.created, record if _is_plain(record) else _write(record, self.known)
        self.count += 1
        (self.first if len(self.first) < FIRST_LINES else self.last).append(line)

    def absorb(self, other: Lines) -> None:
        """Take over what was logged for several at once, in its place by time."""
        lines: list[Line] = [*self._list(), *other._list()]
        lines.sort(key=lambda line: line[0])
        self.count += other.count
        self.first, self.last = lines[:FIRST_LINES], deque(lines[FIRST_LINES:], LAST_LINES)

    def owns_thread(self) -> bool:
        """Tell whether the thread that asks was started while these are kept."""
        return threading.current_thread() not in self._before

    def write(self) -> AttemptLog | None:
        """Write what is kept, without secrets; None when nothing was logged."""
        if not self.count:
            return None
        texts = _finish([text for _, text in self._list()])
        first = _fit(texts[: len(self.first)], MOST_FIRST_BYTES)
        last = _fit(texts[len(first) :][::-1], MOST_BYTES - sum(map(_count_bytes, first)))[::-1]
        left_out = self.count - len(first) - len(last)
        between = [f"… {left_out:,} lines left out …"] if left_out else []
        return AttemptLog(self.count, left_out, "\n".join([*first, *between, *last]))

    def _list(self) -> list[tuple[float, str]]:
        kept = (*self.first, *self.last)
        return [(at, said if isinstance(said, str) else _write(said, self.known)) for at, said in kept]


class LinesOfBatch(Lines):
    """The lines of several attempts that run together: each has those that carry its key, and all the others."""

    __slots__ = ("_by_key", "_each")

    def __init__(self, each: Sequence[Lines]) -> None:
        super().__init__()
        self._each = each
        self._by_key = {one.known["key"]: one for one in each}

    def __exit__(self, *ended: object) -> None:
        super().__exit__(*ended)
        for one in self._each:
            one.absorb(self)

    def add(self, record: logging.LogRecord) -> None:
        """Keep a line, for the attempt that it is about or for all."""
        key = record.msg.get("key") if isinstance(record.msg, dict) else None
        one = self._by_key.get(key) if isinstance(key, str) else None
        super().add(record) if one is None else one.add(record)


_here: ContextVar[Lines | None] = ContextVar("attempt_log", default=None)
_running: list[Lines] = []


def find_lines() -> Lines | None:
    """Find where what is logged here belongs, None outside of an attempt."""
    lines = _here.get()
    if lines is None and len(_running) == 1:
        alone = _running[0]
        return alone if alone.owns_thread() else None
    return lines


class AttemptLogHandler(logging.Handler):
    """Hands each record to the attempt that it belongs to."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, if an attempt runs here."""
        lines = find_lines()
        if lines is not None:
            lines.add(record)


# -- one line ---------------------------------------------------------------------------------------------

_PLAIN = frozenset({str, int, float, bool, type(None)})


def _is_plain(record: logging.LogRecord) -> bool:
    """Tell whether a record is small and says the same whenever it is written: of a great many, most are forgotten."""
    if isinstance(record.msg, dict) and not record.msg.get("exc_info"):
        values: Any = record.msg.values()
    elif type(record.msg) is str and record.exc_info is None and isinstance(record.args, tuple):
        values = (record.msg, *record.args)
    else:
        return False
    characters = 0
    for value in values:
        kind = type(value)
        if kind not in _PLAIN:
            return False
        if kind is str:
            characters += len(value)
    return characters < LONGEST_LINE


_TRACEBACKS = logging.Formatter()


def _write(record: logging.LogRecord, known: dict[str, Any]) -> str:
    """Write a line as long as it is kept; a long one without secrets, before one of them could be cut in two."""
    at = time.strftime("%H:%M:%S", time.gmtime(record.created))
    try:
        said = _say(record, known)
    except Exception as error:  # noqa: BLE001 - whatever a handler's objects raise when they are written
        said = f"(a line that cannot be written: {type(error).__name__})"
    text = f"{at}.{int(record.msecs):03} {record.levelname:<7} {said}"
    if len(text) <= LONGEST_LINE:
        return text
    text = KNOWN.hide(text)
    more = len(text) - LONGEST_LINE
    return text if more <= 0 else f"{text[:LONGEST_LINE]}… {more:,} more characters"


def _say(record: logging.LogRecord, known: dict[str, Any]) -> str:
    if isinstance(record.msg, dict):  # of structlog, which hands over its fields
        fields = [
            f" {name}={value if type(value) is str and ' ' not in value else repr(value)}"
            for name, value in record.msg.items()
            if name not in _NOT_FIELDS and not (name in known and known[name] == value)
        ]
        said = f"{record.msg.get('event')}{''.join(fields)}"
        trace = _trace(record.msg.get("exc_info"))
    else:
        said, trace = record.getMessage(), _trace(record.exc_info)
    return f"{said}\n{trace}" if trace else said


def _trace(error: Any) -> str:
    if error is True:
        error = sys.exc_info()
    elif isinstance(error, BaseException):
        error = type(error), error, error.__traceback__
    return _TRACEBACKS.formatException(error) if isinstance(error, tuple) and error[0] else ""


def _finish(texts: list[str]) -> list[str]:
    """Write lines as they are stored: without secrets, and without what a terminal would act upon."""
    whole = "\0".join(text.translate(_UNSHOWABLE) for text in texts)  # which leaves no other \0
    return make_storable(KNOWN.hide(whole)).split("\0")


def _count_bytes(text: str) -> int:
    return len(text.encode()) + 1


def _fit(texts: list[str], most: int) -> list[str]:
    """Keep the first of them, as many as fit into so many bytes."""
    for number, text in enumerate(texts):
        most -= _count_bytes(text)
        if most < 0:
            return texts[:number]
    return texts
