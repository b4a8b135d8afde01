"""The stages whose results the parameters of another name, so that a wrong name is told before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class NamesStages:
    """Marks the type of a parameter whose text names stages; `list_names` lists them."""

    list_names: Callable[[str], Iterable[str]]


def list_stage_names(params: BaseModel) -> Iterator[tuple[str, str]]:
    """
    List each name of a stage in a handler's parameters, as the parameter and the name.

    Names stand in templates and expressions, and in every parameter that is called `…_from`.
    """
    for field, about in type(params).model_fields.items():
        value = getattr(params, field)
        if field.endswith("_from") and isinstance(value, str):
            yield field, value
        for mark in _list_marks(about):
            yield from (
                (field, name) for text in _list_texts(value) for name in sorted({*mark.list_names(text)})
            )
        for inner in _list_models(value):
            yield from ((field, name) for _, name in list_stage_names(inner))


def _list_marks(about: FieldInfo) -> Iterator[NamesStages]:
    waiting: list[Any] = [*about.metadata, about.annotation]
    while waiting:
        each = waiting.pop()
        if isinstance(each, NamesStages):
            yield each
        waiting += [*get_args(each), *getattr(each, "__metadata__", ())]


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str | SecretStr):
        yield value if isinstance(value, str) else value.get_secret_value()
    elif isinstance(value, Mapping):
        yield from (text for inner in value.values() for text in _list_texts(inner))
    elif isinstance(value, list | tuple):
        yield from (text for inner in value for text in _list_texts(inner))


def _list_models(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
    elif isinstance(value, Mapping):
        yield from (model for inner in value.values() for model in _list_models(inner))
    elif isinstance(value, list | tuple):
        yield from (model for inner in value for model in _list_models(inner))
