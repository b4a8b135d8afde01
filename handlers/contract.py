"""What a handler may return, checked where it returns it, so that the message can name the field."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

from pipeline.errors import HandlerContractError
from pipeline.outcomes import GiveUp, Outcome, RetryLater, Skip

MAX_DEPTH = 500
"""How deep a result may nest. SQLite's JSON functions refuse text beyond 1,000."""

MAX_INTEGER_BITS = 14_000
"""About 4,200 digits: Python refuses to write longer integers as text."""

MAX_SHOWN_STEPS = 20
"""Of a place that is deeper, the beginning is shown."""

ALLOWED = "a handler returns a result (a dict), Skip, RetryLater or GiveUp"


class _Place(NamedTuple):
    """Where a value stands in a result. Written out only when something is wrong with it."""

    parent: _Place | None
    step: str
    depth: int

    def inside(self, step: str) -> _Place:
        return _Place(self, step, self.depth + 1)

    def __str__(self) -> str:
        steps: list[str] = []
        place: _Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        steps.reverse()
        return "".join(steps if len(steps) <= MAX_SHOWN_STEPS else [*steps[:4], "…"])


def check_outcome(handler: object, outcome: object) -> Outcome:
    """Give back what the handler returned, or raise `HandlerContractError` saying what is wrong with it."""
    if isinstance(outcome, Skip | RetryLater | GiveUp):
        return outcome
    if not isinstance(outcome, dict):
        returned = "None" if outcome is None else f"{type(outcome).__name__}"
        raise HandlerContractError(f"{handler} returned {returned}; {ALLOWED}")
    if (fault := find_json_fault(outcome)) is not None:
        raise HandlerContractError(f"{handler} returned a result that is not JSON: {fault}")
    return cast("Outcome", outcome)


def find_json_fault(value: object) -> str | None:
    """
    Find the first thing in `value` that JSON in UTF-8 cannot hold, as `result.path: what`, or None.

    >>> find_json_fault({"pages": [{"score": float("nan")}]})
    'result.pages[0].score: nan is not a JSON number'
    """
    waiting = [(_Place(None, "result", 0), value)]
    while waiting:
        place, found = waiting.pop()
        if (fault := _find_own_fault(found, place.depth)) is not None:
            return f"{place}: {fault}"
        if isinstance(found, dict):
            waiting += [(place.inside(f".{key}"), inner) for key, inner in reversed(found.items())]
        elif isinstance(found, list | tuple):
            numbered = enumerate(found)
            waiting += reversed([(place.inside(f"[{index}]"), inner) for index, inner in numbered])
    return None


def _find_own_fault(value: object, depth: int) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return None if _is_unicode(value) else "text with half a surrogate pair"
    if isinstance(value, dict):
        return _find_key_fault(value) or _find_depth_fault(depth)
    if isinstance(value, list | tuple):
        return _find_depth_fault(depth)
    if isinstance(value, int | float):
        return _find_number_fault(value)
    return f"{type(value).__name__} is not a JSON type"


def _find_depth_fault(depth: int) -> str | None:
    return f"nested deeper than {MAX_DEPTH}, or within itself" if depth >= MAX_DEPTH else None


def _find_key_fault(value: dict[Any, object]) -> str | None:
    for key in value:
        if not isinstance(key, str):
            return f"the key {key!r} is {type(key).__name__}, not str"
        if not _is_unicode(key):
            return f"the key {key!r} has half a surrogate pair"
    return None


def _find_number_fault(value: float) -> str | None:
    if isinstance(value, int):
        return "an integer of thousands of digits" if value.bit_length() > MAX_INTEGER_BITS else None
    return None if math.isfinite(value) else f"{value} is not a JSON number"


def _is_unicode(text: str) -> bool:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True
