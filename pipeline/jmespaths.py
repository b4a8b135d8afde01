"""JMESPath expressions in jobs.yaml: read, with the functions that they call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from pipeline.catalog import find_nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ELSEWHERE = frozenset(
    (
        "subexpression",
        "index_expression",
        "pipe",
        "projection",
        "value_projection",
        "filter_projection",
        "flatten",
    )
)
"""The parts of an expression of which only the first is looked up at the top; the others in what that found."""


def parse_jmespath(text: str) -> Mapping[str, Any]:
    """
    Parse an expression. Raises ValueError for what is none, and for a function that cannot be called so.

    Source: the JMESPath specification, jmespath.org.

    >>> parse_jmespath("lenght(item.tags)")
    Traceback (most recent call last):
    ValueError: not a JMESPath: there is no function 'lenght'; did you mean 'length'?
    """
    try:
        parsed: dict[str, Any] = jmespath.compile(text).parsed
        _check_calls(parsed)
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath: {error}") from None
    except RecursionError:
        raise ValueError("not a JMESPath: nested too deep") from None
    return parsed


def check_names(parsed: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise ValueError for a parsed expression that begins with a name that is none of these."""
    if unknown := sorted({*_list_roots(parsed)} - {*known}):
        named = ", ".join(repr(name) for name in unknown)
        raise ValueError(f"an expression knows no {named}; it may begin with {', '.join(known)}")


def _list_roots(node: Mapping[str, Any]) -> Iterator[str]:
    """List the names that an expression looks up at the top."""
    if node["type"] == "field":
        yield node["value"]
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "expref":  # what a function looks up in each element
        return
    for child in children[:1] if node["type"] in _ELSEWHERE else children:
        yield from _list_roots(child)


def _check_calls(node: Mapping[str, Any]) -> None:
    if node["type"] == "function_expression":
        _check_call(node["value"], len(node["children"]))
    for child in node["children"]:
        if isinstance(child, dict):  # and no number of a slice
            _check_calls(child)


def _check_call(name: str, given: int) -> None:
    known = Functions.FUNCTION_TABLE
    if name not in known:
        nearest = find_nearest(name, sorted(known))
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise ValueError(f"not a JMESPath: there is no function {name!r}{hint}")
    signature = known[name]["signature"]
    takes, or_more = len(signature), bool(signature) and signature[-1].get("variadic", False)
    if given < takes or (given > takes and not or_more):
        more = " or more" if or_more else ""
        raise ValueError(f"not a JMESPath: {name}() takes {takes}{more}, and is given {given}")
