"""Pydantic's errors in the words of jobs.yaml: the value, what is wrong with it, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from pipeline.branches import choose_branches
from pipeline.catalog import find_nearest
from pipeline.forms import FORMS
from pipeline.problems import Finding, InvalidValueError, KeyPath, show_value, value_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

_MAPPING = ("{value} is not a mapping", "keys with values, one a line")
_LIST = ("{value} is not a list", "a list")
_WHOLE = ("{value} is not a whole number", "a whole number")
_NUMBER = ("{value} is not a number", "a number")
_TRUTH = ("{value} is neither true nor false", "true, false")

WORDS = {
    "greater_than": ("{value} is too small", "more than {gt}"),
    "greater_than_equal": ("{value} is too small", "{ge} or more"),
    "less_than": ("{value} is too large", "less than {lt}"),
    "less_than_equal": ("{value} is too large", "{le} or less"),
    "finite_number": ("{value} is not a finite number", "a finite number"),
    "literal_error": ("{value} is not allowed", "{expected}"),
    "enum": ("{value} is not allowed", "{expected}"),
    "string_type": ("{value} is not a text", "a text; quote it if it looks like something else"),
    "string_pattern_mismatch": ("{value} has the wrong form", "{pattern}"),
    "string_too_short": ("{value} is too short", "{min_length} characters or more"),
    "string_too_long": ("{value} is too long", "{max_length} characters or fewer"),
    "too_short": ("too few entries: {actual_length}", "{min_length} or more"),
    "too_long": ("too many entries: {actual_length}", "{max_length} or fewer"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _MAPPING),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), _LIST),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _TRUTH),
}
"""Pydantic's types of error, each with our message and what is allowed."""


def explain(error: ValidationError, model: type[BaseModel], base: KeyPath, data: Any) -> list[Finding]:
    """
    Turn a model's errors into findings below `base`.

    Values are quoted from `data`, the file as it was written, never from what was validated: in that,
    variables are resolved, and may be secrets.
    """
    details = error.errors(include_url=False, include_input=False)
    return [
        _explain_one(detail, path, model, base, data)
        for detail, path in choose_branches(details, model, base, data)
        if not _is_follow_up(detail, details)
    ]


def _is_follow_up(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    # Pydantic counts only the entries in which nothing is wrong
    loc = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in details
    )


def _explain_one(
    detail: ErrorDetails, place: KeyPath, model: type[BaseModel], base: KeyPath, data: Any
) -> Finding:
    path, context = base + place, detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        return explain_unknown_key(path, _known_keys(model, detail["loc"][:-1]))
    if detail["type"] == "missing":
        return Finding(path, f"{str(path[-1])!r} is missing")
    if isinstance(cause := context.get("error"), InvalidValueError):
        return Finding(path + cause.within, cause.message, cause.allowed)
    if cause is not None:
        return Finding(path, str(cause))
    value = show_value(value_at(data, path))
    if (pattern := context.get("pattern")) in FORMS:
        context["pattern"] = FORMS[pattern]
    message, allowed = WORDS.get(detail["type"], ("{value} " + detail["msg"].removeprefix("Input "), ""))
    return Finding(path, message.format(value=value, **context), allowed.format(**context))


def explain_unknown_key(path: KeyPath, known: list[str]) -> Finding:
    """Say that the last key of a path is not known, and which are."""
    key = str(path[-1])
    nearest = find_nearest(key, known)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return Finding(path, f"unknown key {key!r}{hint}", ", ".join(known) or "no keys", at_key=True)


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    found: type[BaseModel] | None = model
    for step in path:
        if found and isinstance(step, str) and step in found.model_fields:
            found = next(_models_in(found.model_fields[step].annotation), None)
    return sorted(field.alias or name for name, field in found.model_fields.items()) if found else []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
