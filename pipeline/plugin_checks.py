"""Whether the strategies and handlers that jobs.yaml names exist, and take the parameters it gives them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline.aside import printing_aside
from pipeline.catalog import HANDLER, OFFLINE, ONLINE_WITH, Kind, load
from pipeline.errors import CeleriacError, MissingExtraError, NoContactError, UnknownNameError
from pipeline.fields import Seconds
from pipeline.model_errors import explain
from pipeline.problems import Finding, KeyPath
from pipeline.stage_names import list_stage_names
from pipeline.variables import UnsetVariableError, fill_from_environment, hide_variables, resolve_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENTRY_POINTS = {"strategy": "discover", "handler": "run"}
"""The method that makes a class a plugin of its kind."""


_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


@dataclass(frozen=True, slots=True)
class PluginUse:
    """One place in jobs.yaml that names a plugin: where the name stands, and where its parameters do."""

    kind: Kind
    name: str
    name_path: KeyPath
    params: Mapping[str, Any]
    params_path: KeyPath
    batch_path: KeyPath | None = None
    """Where its stage asks for several items together, if it does."""
    needs: tuple[str, ...] | None = None
    """The stages that this one needs, if it is a stage."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that this machine lacks: the file is right, but the job cannot run here."""

    finding: Finding


def find_timeout(handler: object) -> float | None:
    """Find how long a handler says that one attempt may take, in seconds; None where it says nothing."""
    if not isinstance(handler, str):
        return None
    try:
        return _read_timeout(getattr(load(HANDLER, handler), "TIMEOUT", None))
    except CeleriacError:  # `check_plugin` says what is wrong with it
        return None


def _read_timeout(written: Any) -> float | None:
    try:
        return _SECONDS.validate_python(written)
    except ValidationError:
        return None


def check_plugin(
    use: PluginUse, environment: Mapping[str, str], data: Any, *, make: bool = False
) -> Iterator[Finding | Lack]:
    """
    Import what is named and validate its parameters, variables resolved.

    `data` is the whole file as written, from which values are quoted. With `make` a handler is also made, as a worker
    makes it.
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
        yield from _check_contact(use, environment)
        found = list(_check_class(plugin, use, environment, data))
        if make and not found and use.kind is HANDLER:
            found += _make(plugin, use, environment)
        yield from found


def _check_contact(use: PluginUse, environment: Mapping[str, str]) -> Iterator[Lack]:
    # with neither a contact nor an allow-list, no request at all can be made
    goes_out = use.name in use.kind.table and use.name not in OFFLINE
    goes_out = goes_out and (use.name not in ONLINE_WITH or ONLINE_WITH[use.name] in use.params)
    if goes_out and not (environment.get("CELERIAC_CONTACT") or environment.get("CELERIAC_ALLOW_HOSTS")):
        yield Lack(Finding(use.name_path, str(NoContactError(f"{use.kind.word} {use.name!r}"))))


def _check_class(
    plugin: Any, use: PluginUse, environment: Mapping[str, str], data: Any
) -> Iterator[Finding | Lack]:
    entry, model = ENTRY_POINTS[use.kind.word], getattr(plugin, "Params", None)
    if not isinstance(plugin, type) or not (
        isinstance(model, type) and issubclass(model, BaseModel) and callable(getattr(plugin, entry, None))
    ):
        allowed = f"a class with {entry}() and a Params model"
        yield Finding(use.name_path, f"{use.name!r} is no {use.kind.word}", allowed)
        return
    yield from _check_methods(plugin, use)
    if (timeout := getattr(plugin, "TIMEOUT", None)) is not None and _read_timeout(timeout) is None:
        yield Finding(
            use.name_path, f"the TIMEOUT of {use.name!r} is no duration: {timeout!r}", "30s, 15m, 2h"
        )
    use = replace(use, params=fill_from_environment(plugin, use.params))
    resolved, unset = _resolve(use, environment)
    yield from unset.values()
    try:
        with printing_aside(children=False):  # the handler `python` imports its function
            findings = _validate(model, resolved, use, data)
    except MissingExtraError as error:  # which some values of its parameters need, and others do not
        yield Lack(Finding(use.name_path, str(error)))
        return
    for finding in findings:
        key = finding.path[len(use.params_path) : len(use.params_path) + 1]
        if not unset or (
            key and key[0] not in unset
        ):  # with a variable missing, only the others can be judged
            message = hide_variables(finding.message, use.params, environment)
            yield Finding(finding.path, message, finding.allowed, finding.at_key)


def _check_methods(plugin: Any, use: PluginUse) -> Iterator[Finding]:
    # a class need not be of our base
    takes_batches, find_missing = (
        getattr(plugin, name, None) for name in ("takes_batches", "find_missing_method")
    )
    if use.batch_path is not None:
        if not (takes_batches and takes_batches()):
            message = f"{use.name!r} works on one item at a time"
            yield Finding(use.batch_path, message, "no `batch`", at_key=True)
    elif find_missing and (missing := find_missing()):
        allowed = "a stage with `batch`" if takes_batches and takes_batches() else ""
        yield Finding(use.name_path, f"{use.name!r} has no {missing}", allowed)


def _make(plugin: Any, use: PluginUse, environment: Mapping[str, str]) -> Iterator[Lack]:
    resolved, _ = _resolve(replace(use, params=fill_from_environment(plugin, use.params)), environment)
    try:
        with printing_aside(children=False):
            plugin(resolved)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own constructor may raise anything
        why = " ".join(f"{type(error).__name__}: {error}".split())
        message = hide_variables(f"{use.name!r} cannot be made: {why}", use.params, environment)
        yield Lack(Finding(use.name_path, message))


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
        checked = model.model_validate(params)
    except ValidationError as error:
        return explain(error, model, use.params_path, data)
    except MissingExtraError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin's own validator may raise anything
        return [Finding(use.params_path, f"the parameters of {use.name!r} cannot be checked: {error!r}")]
    return list(_check_stage_names(checked, use)) if use.needs is not None else []


def _check_stage_names(params: BaseModel, use: PluginUse) -> Iterator[Finding]:
    for parameter, name in list_stage_names(params):
        if name not in (use.needs or ()):
            allowed = f"{', '.join(use.needs or ()) or 'none, as it needs none'}; see `needs`"
            yield Finding(
                (*use.params_path, parameter), f"{name!r} is no stage whose result this one is given", allowed
            )
