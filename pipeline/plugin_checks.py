"""Whether the strategies and handlers that jobs.yaml names exist, and take the parameters it gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pipeline.catalog import Kind, load
from pipeline.errors import CeleriacError, MissingExtraError, UnknownNameError
from pipeline.model_errors import explain
from pipeline.problems import Finding, KeyPath
from pipeline.variables import UnsetVariableError, hide_variables, resolve_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENTRY_POINTS = {"strategy": "discover", "handler": "run"}
"""The method that makes a class a plugin of its kind."""


@dataclass(frozen=True, slots=True)
class PluginUse:
    """One place in jobs.yaml that names a plugin: where the name stands, and where its parameters do."""

    kind: Kind
    name: str
    name_path: KeyPath
    params: Mapping[str, Any]
    params_path: KeyPath


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that this machine lacks: the file is right, but the job cannot run here."""

    finding: Finding


def check_plugin(use: PluginUse, environment: Mapping[str, str], data: Any) -> Iterator[Finding | Lack]:
    """
    Import what is named and validate its parameters, variables resolved.

    `data` is the whole file as written, from which values are quoted.
    """
    try:
        plugin = load(use.kind, use.name)
    except UnknownNameError as error:
        hint = f"; did you mean {error.nearest!r}?" if error.nearest else ""
        allowed = f"{', '.join(error.known)}, or package.module:Class"
        yield Finding(use.name_path, f"no {error.what} named {error.name!r}{hint}", allowed)
    except MissingExtraError as error:
        yield Lack(Finding(use.name_path, str(error)))
    except CeleriacError as error:
        finding = Finding(use.name_path, str(error))
        # what comes with Celeriac and does not import is installed badly; the file is right
        yield Lack(finding) if use.name in use.kind.table else finding
    else:
        yield from _check_class(plugin, use, environment, data)


def _check_class(
    plugin: Any, use: PluginUse, environment: Mapping[str, str], data: Any
) -> Iterator[Finding | Lack]:
    entry, model = ENTRY_POINTS[use.kind.word], getattr(plugin, "Params", None)
    if not (
        isinstance(model, type) and issubclass(model, BaseModel) and callable(getattr(plugin, entry, None))
    ):
        allowed = f"a class with {entry}() and a Params model"
        yield Finding(use.name_path, f"{use.name!r} is no {use.kind.word}", allowed)
        return
    resolved, unset = _resolve(use, environment)
    yield from unset.values()
    for finding in _validate(model, resolved, use, data):
        key = finding.path[len(use.params_path) : len(use.params_path) + 1]
        if not unset or (
            key and key[0] not in unset
        ):  # with a variable missing, only the others can be judged
            message = hide_variables(finding.message, use.params, environment)
            yield Finding(finding.path, message, finding.allowed, finding.at_key)


def _resolve(use: PluginUse, environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str | int, Lack]]:
    resolved: dict[str, Any] = {}
    unset: dict[str | int, Lack] = {}
    for key, value in use.params.items():
        try:
            resolved[key] = resolve_variables(value, environment)
        except UnsetVariableError as error:
            resolved[key] = value
            unset[key] = Lack(Finding((*use.params_path, key), str(error)))
    return resolved, unset


def _validate(model: type[BaseModel], params: dict[str, Any], use: PluginUse, data: Any) -> list[Finding]:
    try:
        model.model_validate(params)
    except ValidationError as error:
        return explain(error, model, use.params_path, data)
    except Exception as error:  # noqa: BLE001 - a plugin's own validator may raise anything
        return [Finding(use.params_path, f"the parameters of {use.name!r} cannot be checked: {error!r}")]
    return []
