"""Pydantic's errors where a field may be one of several types: those of the type that was meant, without its name."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from pipeline.problems import KeyPath, value_at

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_VALIDATED = re.compile(r"function-\w+\[[^,]*, (.*)\]")
"""How Pydantic names a type that has a validator, such as `function-after[check(), str]`."""


def choose_branches(
    details: Sequence[ErrorDetails], model: type[BaseModel], base: KeyPath, data: Any
) -> Iterator[tuple[ErrorDetails, KeyPath]]:
    """
    Give each error that concerns what was written, with its path in the file; `data` is the file, below `base`.

    Where a text or a mapping may stand, Pydantic tells of both what is wrong, at paths with `str` or the name of
    the mapping's model in them. Of what is neither, the first type is told of.
    """
    chosen: dict[KeyPath, str] = {}
    for detail in details:
        path, branches = _part(model, detail["loc"])
        fits = True
        for place, kind, kinds in branches:
            written = _name_kind(value_at(data, base + place))
            meant = chosen.setdefault(place, written if written in kinds else kind)
            fits = fits and kind == meant
        if fits:
            yield detail, path


def _part(model: Any, loc: KeyPath) -> tuple[KeyPath, list[tuple[KeyPath, str, set[str]]]]:
    """Part a path from the names of types in it: at which place, of which kind, and of which kinds it might be."""
    path: list[str | int] = []
    branches: list[tuple[KeyPath, str, set[str]]] = []
    inner = model
    for step in loc:
        types_here = _list_types(inner)
        if len(types_here) > 1:
            inner = next((each for each in types_here if _is_named(each, step)), None)
            branches.append((tuple(path), _kind_of(inner), set(map(_kind_of, types_here))))
        else:
            path.append(step)
            inner = _step_into(types_here[0], step)
    return tuple(path), branches


def _list_types(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _list_types(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        kept = (each for each in get_args(annotation) if each is not types.NoneType)
        return [one for each in kept for one in _list_types(each)]
    return [annotation]


def _is_named(annotation: Any, step: str | int) -> bool:
    origin, step = get_origin(annotation), str(step)
    while validated := _VALIDATED.fullmatch(step):
        step = validated[1]
    name = getattr(origin or annotation, "__name__", "")
    return step.startswith(f"{name}[") if origin else step == name


def _step_into(annotation: Any, step: str | int) -> Any:
    if _is_model(annotation):
        fields = annotation.model_fields.items()
        return next((field.annotation for name, field in fields if step in {name, field.alias}), None)
    inner = get_args(annotation)
    return inner[-1] if inner and _kind_of(annotation) != "plain" else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kind_of(annotation: Any) -> str:
    if _is_model(annotation) or get_origin(annotation) in {dict, Mapping}:
        return "mapping"
    return "list" if get_origin(annotation) in {list, tuple, set, frozenset, Sequence} else "plain"


def _name_kind(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping) else "list" if isinstance(value, list) else "plain"
