"""What may stand in a field of a model, in words: `list of text or {url, name}`, `whole number, 1 to 500`."""

from __future__ import annotations

import datetime as dt
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AnyUrl, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pipeline.durations import format_duration
from pipeline.fields import ScheduleField, Seconds

_WORDS: dict[Any, str] = {
    bool: "true or false",
    str: "text",
    int: "whole number",
    float: "number",
    PurePath: "path",
    AnyUrl: "address",
    SecretStr: "secret text",
    dt.datetime: "instant",
    dt.date: "date",
    dt.timedelta: "duration",
    dict: "mapping",
    Mapping: "mapping",
    list: "list",
    types.NoneType: "null",
    Any: "anything",
}
"""In the order in which a type is compared with them: the special ones before those that they derive from."""

_OWN = ((Seconds, "duration"), (ScheduleField, "schedule"))
_LISTS = (list, tuple, set, frozenset, Sequence, AbstractSet)
_MAPPINGS = (dict, Mapping)

Say = Callable[[Any], str]


def say_type(field: FieldInfo) -> str:
    """
    Say what may stand in a field, and within which bounds.

    Null is left out where it is the default: leaving the field out says the same.
    """
    metadata = list(_flatten(field.metadata))
    own = _name_own(field.annotation, metadata)
    said = own or say_annotation(field.annotation, without_null=field.default is None)
    say: Say = format_duration if own == "duration" else "{:,}".format
    return said + (_say_range(metadata, say) or _say_size(metadata, said))


def say_annotation(annotation: Any, *, without_null: bool = False) -> str:
    """
    Say what a type allows.

    >>> say_annotation(list[str | int]), say_annotation(Literal["top", "new"])
    ('list of text or whole number', 'top or new')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, *metadata = inner
        metadata = list(_flatten(metadata))
        said = _name_own(base, metadata) or say_annotation(base, without_null=without_null)
        return said + _say_range(metadata, "{:,}".format)
    if origin is Literal:
        return _say_one_of(inner)
    if origin in {Union, types.UnionType}:
        kept = [each for each in inner if not (without_null and each is types.NoneType)]
        return " or ".join(dict.fromkeys(say_annotation(each) for each in kept))
    if origin in _MAPPINGS:
        return "mapping" if inner[1] is Any else f"mapping of text to {say_annotation(inner[1])}"
    if origin in _LISTS:
        return f"list of {say_annotation(inner[0])}"
    return _say_class(annotation)


def list_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """List the models that a type is made of, the outermost only, in order."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from list_models(inner)


def say_form(model: type[BaseModel]) -> str:
    """Write the form of a nested model: its keys, in braces; with dots where it may have others."""
    more = ["…"] if model.model_config.get("extra") == "allow" else []
    return f"{{{', '.join([*(field.alias or name for name, field in model.model_fields.items()), *more])}}}"


def _say_class(annotation: Any) -> str:
    if not inspect.isclass(annotation):
        return _WORDS.get(annotation, str(annotation))
    if issubclass(annotation, BaseModel):
        return say_form(annotation)
    if issubclass(annotation, Enum):
        return _say_one_of([each.value for each in annotation])
    words = (
        word for known, word in _WORDS.items() if inspect.isclass(known) and issubclass(annotation, known)
    )
    return next(words, annotation.__name__)


def _say_one_of(values: Sequence[Any]) -> str:
    *first, last = map(_say_plain, values)
    return f"{', '.join(first)} or {last}" if first else last


def _say_plain(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _name_own(base: Any, metadata: Sequence[Any]) -> str | None:
    # pydantic takes the parts of Annotated apart: a type of ours is known again by its own validator
    for known, word in _OWN:
        known_base, validator = get_args(known)[:2]
        if known_base in {base, *get_args(base)} and validator in metadata:
            return word
    inner = (each for each in get_args(base) if get_origin(each) is Annotated)
    named = (_name_own(each.__origin__, each.__metadata__) for each in inner)
    return next((word for word in named if word), None)


# -- bounds -----------------------------------------------------------------------------------------------


def _say_range(metadata: Sequence[Any], say: Say) -> str:
    least, above = _find(metadata, "ge"), _find(metadata, "gt")
    most, below = _find(metadata, "le"), _find(metadata, "lt")
    if least is not None and most is not None:
        return f", {say(least)} to {say(most)}"
    low = (
        f"{say(least)} or more"
        if least is not None
        else f"more than {say(above)}"
        if above is not None
        else ""
    )
    high = (
        f"at most {say(most)}" if most is not None else f"less than {say(below)}" if below is not None else ""
    )
    return "".join(f", {each}" for each in (low, high) if each)


def _say_size(metadata: Sequence[Any], said: str) -> str:
    least, most = _find(metadata, "min_length") or 0, _find(metadata, "max_length")
    is_listed = said.startswith(("list", "mapping"))
    unit = "" if is_listed else " character" if most == 1 else " characters"
    if least <= (0 if is_listed else 1):  # every text that means anything has a character
        return f", at most {most:,}{unit}" if most is not None else ""
    return f", at least {least:,}{unit}" if most is None else f", {least:,} to {most:,}{unit}"


def _find(metadata: Sequence[Any], name: str) -> Any:
    return next((value for each in metadata if (value := getattr(each, name, None)) is not None), None)


def _flatten(metadata: Sequence[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from each.metadata
        else:
            yield each
