"""What there is to know of a strategy or handler: from its parameter model, its docstring and the catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from pipeline.catalog import EXTRAS, Kind, load
from pipeline.docstrings import ENTRIES, read_docstring
from pipeline.errors import MissingExtraError, PluginImportError
from pipeline.field_types import list_models, say_form, say_type
from pipeline.plugin_examples import show_example

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class ParameterDoc:
    """One parameter: what may stand there, in words, and what it is when left out."""

    name: str
    type: str
    required: bool
    default: Any
    description: str


@dataclass(frozen=True, slots=True)
class FormDoc:
    """The form of an object that stands inside of a parameter, such as `{url, name}`."""

    form: str
    about: str
    parameters: tuple[ParameterDoc, ...]


@dataclass(frozen=True, slots=True)
class VariableDoc:
    """A variable of the environment that stands in for a parameter that is left out."""

    variable: str
    parameter: str
    required: bool


@dataclass(frozen=True, slots=True)
class PluginDoc:
    """
    A strategy or a handler.

    `entries` are those of its docstring by their words (Key, Order, Data, Requests, Source, …), `example` is
    YAML that is ready to paste: a job for below `jobs:`, or a stage for below `stages:`. `extra` brings the
    packages that it needs beyond the core, if it does; `timeout` is a handler's own, as it writes it.
    """

    name: str
    summary: str
    about: str
    parameters: tuple[ParameterDoc, ...]
    forms: tuple[FormDoc, ...]
    environment: tuple[VariableDoc, ...]
    extra: str | None
    timeout: str | None
    entries: Mapping[str, str]
    example: str


@dataclass(frozen=True, slots=True)
class PluginLine:
    """A strategy or handler in a list; `lacks` says what it needs that this machine does not have."""

    name: str
    summary: str
    lacks: str | None = None


def list_plugins(kind: Kind, environment: Mapping[str, str]) -> list[PluginLine]:
    """List all that come with Celeriac, by name, those that this machine lacks something for included."""
    return [_describe_briefly(kind, name, environment) for name in sorted(kind.table)]


def _describe_briefly(kind: Kind, name: str, environment: Mapping[str, str]) -> PluginLine:
    try:
        plugin = load(kind, name)
    except MissingExtraError as error:
        return PluginLine(name, "", f"pip install 'celeriac[{error.extra}]'")
    except PluginImportError as error:
        return PluginLine(name, "", str(error))
    unset = [
        each.variable
        for each in _list_variables(plugin)
        if each.required and not environment.get(each.variable)
    ]
    return PluginLine(name, read_docstring(plugin).summary, f"set {', '.join(unset)}" if unset else None)


def describe_plugin(kind: Kind, name: str) -> PluginDoc:
    """Describe a strategy or handler, by its short name or its `package.module:Class`. Raises as `load` does."""
    plugin = load(kind, name)
    said = read_docstring(plugin)
    return PluginDoc(
        name=name,
        summary=said.summary,
        about=said.about,
        parameters=_list_parameters(plugin.Params, getattr(plugin, "from_environment", {})),
        forms=tuple(_list_forms(plugin.Params)),
        environment=tuple(_list_variables(plugin)),
        extra=EXTRAS.get(name),
        timeout=getattr(plugin, "TIMEOUT", None),
        entries={word: said.entries[word] for word in ENTRIES if word in said.entries and word != "Example"},
        example=show_example(kind, name, said),
    )


# -- parameters -------------------------------------------------------------------------------------------


def _list_parameters(
    model: type[BaseModel], from_environment: Mapping[str, str] | None = None
) -> tuple[ParameterDoc, ...]:
    listed = [_describe_field(name, field) for name, field in model.model_fields.items()]
    filled = [_fill_in(each, (from_environment or {}).get(each.name)) for each in listed]
    return tuple(sorted(filled, key=lambda each: not each.required))


def _fill_in(parameter: ParameterDoc, variable: str | None) -> ParameterDoc:
    return parameter if variable is None else replace(parameter, required=False, default=f"${{{variable}}}")


_AS_JSON = TypeAdapter[Any](Any)


def _describe_field(name: str, field: FieldInfo) -> ParameterDoc:
    required = field.is_required()
    default = (
        None
        if required
        else _AS_JSON.dump_python(field.get_default(call_default_factory=True), mode="json", fallback=str)
    )
    return ParameterDoc(field.alias or name, say_type(field), required, default, field.description or "")


def _list_forms(model: type[BaseModel]) -> Iterator[FormDoc]:
    met = {model}
    waiting = [model]
    while waiting:
        for field in waiting.pop(0).model_fields.values():
            for inner in list_models(field.annotation):
                if inner not in met:
                    met.add(inner)
                    waiting.append(inner)
                    yield FormDoc(say_form(inner), read_docstring(inner).summary, _list_parameters(inner))


def show_default(parameter: ParameterDoc) -> str:
    """
    Write what a parameter is when it is left out, as YAML; nothing for none.

    >>> show_default(ParameterDoc("include", "list of text", False, ["*.pdf"], "Which files."))
    '["*.pdf"]'
    """
    if parameter.required:
        return "required"
    if parameter.default is None:
        return ""
    is_word = isinstance(parameter.default, str) and parameter.default.strip()
    return str(parameter.default) if is_word else json.dumps(parameter.default, ensure_ascii=False)


def _list_variables(plugin: Any) -> Iterator[VariableDoc]:
    named: Mapping[str, str] = getattr(plugin, "from_environment", {})
    for parameter, variable in named.items():
        name, has_default, _ = variable.partition(":-")
        yield VariableDoc(name, parameter, required=not has_default)
