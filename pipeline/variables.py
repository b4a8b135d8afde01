"""
`${NAME}` in the parameters of jobs.yaml: left as it is in every spec, and resolved where it is used.

So a secret is never in the database, in a log, in a message or on a page.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.catalog import find_nearest
from pipeline.errors import JobsFileError
from pipeline.settings import load_settings

VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")

BUILT_IN = {
    "CELERIAC_DATA": "the folder for the tracker and its artifacts, from the settings",
    "PYTHON_STDLIB": "the folder of the running Python's standard library",
}
"""Variables that are there without being in the environment."""


class UnsetVariableError(JobsFileError):
    """A `${NAME}` that is not in the environment; `nearest` is the likeliest one that was meant, or None."""

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name, self.nearest = name, nearest
        hint = f"did you mean {nearest!r}?" if nearest else f"set it, or write ${{{name}:-default}}"
        super().__init__(f"the variable {name!r} is not set; {hint}")


def current_environment() -> dict[str, str]:
    """Give the variables of this process: its environment, and the built-in ones."""
    built_in = {"PYTHON_STDLIB": sysconfig.get_path("stdlib")}
    return {**built_in, **os.environ, "CELERIAC_DATA": str(load_settings().data)}


def resolve_variables(value: Any, environment: Mapping[str, str]) -> Any:
    """
    Replace each `${NAME}` in a text, or in the texts inside a dict or list (keys are left alone).

    `${NAME:-default}` gives the default when NAME is not set or is empty; `$${` stands for `${` itself.
    Raises `UnsetVariableError` for a name without value and default.

    >>> resolve_variables(["${HOST}/x", "${PORT:-80}", "$${HOST}", 1], {"HOST": "h"})
    ['h/x', '80', '${HOST}', 1]
    """
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _replace(found, environment), value)
    if isinstance(value, Mapping):
        return {key: resolve_variables(inner, environment) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_variables(inner, environment) for inner in value]
    return value


def _replace(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default = found["name"], found["default"]
    if name is None:
        return "${"
    if default is not None:
        return environment.get(name) or default
    if name not in environment:
        raise UnsetVariableError(name, find_nearest(name, sorted(environment)))
    return environment[name]


def hide_variables(text: str, value: Any, environment: Mapping[str, str]) -> str:
    """Write the variables used in `value` back into a text that may hold what they stand for."""
    for name in _list_names(value):
        if secret := environment.get(name):
            text = text.replace(secret, f"${{{name}}}")
    return text


def _list_names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (found["name"] for found in VARIABLE.finditer(value) if found["name"])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _list_names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _list_names(inner)
