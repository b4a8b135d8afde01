"""JMESPath expressions in parameters, and what they find in the JSON of strangers."""

from __future__ import annotations

import math
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator

from pipeline.jmespaths import parse_jmespath

MAX_POSITION_CHARACTERS = 4096


def _compiles(expression: str) -> str:
    parse_jmespath(expression)
    return expression


JsonPath = Annotated[str, AfterValidator(_compiles)]
"""A JMESPath, checked when jobs.yaml is read."""


def look_up(expression: str | None, value: Any) -> Any:
    """
    Find what an expression names in a value; None when it names nothing, or cannot be applied to it.

    Source: the JMESPath specification, jmespath.org.

    >>> look_up("a.b", {"a": {"b": 1}}), look_up("length(@)", 1), look_up(None, {})
    (1, None, None)
    """
    if expression is None:
        return None
    try:
        return jmespath.search(expression, value)
    except (JMESPathError, ValueError, TypeError, RecursionError):  # JSON of another shape than was meant
        return None


def as_word(value: object) -> str:
    """
    Write a JSON text or number as one word, such as a key; empty for anything else.

    >>> as_word(" a "), as_word(7), as_word(True), as_word(["a"])
    ('a', '7', '', '')
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return str(value)


def as_position(value: object) -> str | int | None:
    """
    Read where the next page of a source is, as its answer says; None when it says nothing that could be sent.

    >>> as_position("abc"), as_position(12), as_position(""), as_position(False), as_position("x" * 5000)
    ('abc', 12, None, None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value or len(value) > MAX_POSITION_CHARACTERS:
        return None
    return value if value.isprintable() else None
