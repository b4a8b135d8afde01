"""How far a query that is ordered by a column was read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from operator import le
from typing import TYPE_CHECKING, Any

from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAGGED: dict[str, tuple[type, Any, Any]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}


def write_value(value: Any) -> Any:
    """
    Write a column's value as JSON, so that `read_value` gives it back as it was.

    Raises `SourceRejectedError` for one of a kind that has no order to go on by.

    >>> write_value(7), write_value(date(2026, 1, 2))
    (7, {'date': '2026-01-02'})
    """
    if type(value) in {int, float, str}:
        return value
    for name, (kind, write, _) in _TAGGED.items():
        if isinstance(value, kind):
            return {name: write(value)}
    raise SourceRejectedError(f"cursor_column holds {value!r:.80}, by which one cannot go on")


def read_value(written: Any) -> Any:
    """
    Read what `write_value` wrote; None for anything else.

    >>> read_value({"date": "2026-01-02"}), read_value([])
    (datetime.date(2026, 1, 2), None)
    """
    if type(written) in {int, float, str}:
        return written
    if isinstance(written, dict) and len(written) == 1:
        ((name, text),) = written.items()
        if name in _TAGGED and isinstance(text, str):
            try:
                return _TAGGED[name][2](text)
            except (ValueError, ArithmeticError):
                return None
    return None


@dataclass(slots=True)
class Keyset:
    """
    The progress of a reading in the order of a column.

    `latest` is the last value that was seen; `settled` the last of which every row was seen: several rows may
    have one value, and a batch may end between them.
    """

    settled: Any
    latest: Any = None

    def advance(self, values: Sequence[Any], *, ended: bool) -> str | None:
        """
        Take some more rows into account, after which the query has `ended` or not.

        Gives why one cannot go on by their values, or None.
        """
        known = self.settled if self.latest is None else self.latest
        seen = [*([] if known is None else [known]), *values]
        try:
            wrong = next((pair for pair in pairwise(seen) if not le(*pair)), None)
        except TypeError:
            return "cursor_column holds values that have no order, such as NULL beside others"
        if wrong is not None:
            return f"the query goes back from {wrong[0]!r:.80} to {wrong[1]!r:.80}: order it by cursor_column"
        self._settle(seen, ended=ended)
        return None

    def _settle(self, seen: Sequence[Any], *, ended: bool) -> None:
        self.latest = seen[-1] if seen else None
        if ended:
            self.settled = self.latest
            return
        complete = next((value for value in reversed(seen) if value != self.latest), None)
        if complete is not None:
            self.settled = complete
