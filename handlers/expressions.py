"""JMESPath expressions in parameters, over the item and the results of the stages before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator

from pipeline.jmespaths import check_names, parse_jmespath
from pipeline.outcomes import GiveUp
from pipeline.stage_names import NamesStages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAMES = ("item", "results", "job")
"""What an expression may begin with, as `handlers.templates.describe` gives it."""


def check_expression(text: str, extra: Iterable[str] = ()) -> str:
    """
    Give an expression back, or raise ValueError for what is no JMESPath, or begins with an unknown name.

    Source: the JMESPath specification, jmespath.org.

    >>> check_expression("itme.title == 'Roots'")
    Traceback (most recent call last):
    ValueError: an expression knows no 'itme'; it may begin with item, results, job
    """
    check_names(parse_jmespath(text), (*NAMES, *extra))
    return text


def list_stages(expression: str) -> set[str]:
    """
    List the stages whose results an expression names.

    >>> sorted(list_stages("results.fetch.text && length(results.llm.answers[?x])"))
    ['fetch', 'llm']
    """
    return {*_list_stages(jmespath.compile(expression).parsed)}


def _list_stages(node: Mapping[str, Any]) -> Iterator[str]:
    children = [child for child in node["children"] if isinstance(child, dict)]
    is_step = node["type"] == "subexpression" and len(children) > 1
    if is_step and children[0].get("value") == "results" and children[1]["type"] == "field":
        yield children[1]["value"]
    for child in children:
        yield from _list_stages(child)


IS_EXPRESSION = NamesStages(list_stages)
"""Marks the type of a parameter that is an expression, so that the stages that it names are checked."""

Expression = Annotated[str, AfterValidator(check_expression), IS_EXPRESSION]
"""The type of a parameter that is a JMESPath: `celeriac check` refuses one that `check_expression` does."""


def evaluate(expression: str, view: Mapping[str, Any]) -> Any | GiveUp:
    """Evaluate over a view of an attempt: JSON, None for what is not there, GiveUp where it cannot be applied."""
    try:
        return jmespath.search(expression, view)
    except (JMESPathError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        return GiveUp(f"the expression cannot be applied: {error}")


def holds(condition: str, view: Mapping[str, Any]) -> bool | GiveUp:
    """Tell whether a condition holds, by JMESPath's own truth: false, null, `""`, `[]` and `{}` do not; 0 does."""
    answer: bool | GiveUp = evaluate(f"!!({condition})", view)
    return answer
