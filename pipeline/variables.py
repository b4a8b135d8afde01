"""
`${NAME}` in the parameters of jobs.yaml: left as it is in every spec, and resolved where it is used.

So a secret is never in the database, in a log, in a message or on a page. `NAME_FILE` in the environment may name
a file that holds it.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.catalog import find_nearest
from pipeline.errors import JobsFileError
from pipeline.redaction import KNOWN, has_password, is_secret_name, strike_out
from pipeline.settings import load_settings, read_environment

VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")

BUILT_IN = {
    "CELERIAC_CONTACT": "your mail address or web page, from the settings; empty without one",
    "CELERIAC_DATA": "the folder for the tracker and its artifacts, from the settings",
    "PYTHON_STDLIB": "the folder of the running Python's standard library",
}
"""Variables that are there without being in the environment."""

MAX_FILE_CHARS = 100_000
"""A file that `NAME_FILE` names is a secret or a key, not a document."""


class UnsetVariableError(JobsFileError):
    """A `${NAME}` that is not in the environment; `nearest` is the likeliest one that was meant, or None."""

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name, self.nearest = name, nearest
        hint = f"did you mean {nearest!r}?" if nearest else f"set it, or write ${{{name}:-default}}"
        super().__init__(f"the variable {name!r} is not set; {hint}")


class UnreadableVariableError(UnsetVariableError):
    """A `${NAME}` whose file, which `NAME_FILE` names, cannot be read."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name)
        self.why = why
        self.args = (f"the variable {name!r} cannot be had: {name}_FILE names a file that {why}",)

    def __reduce__(self) -> tuple[type[UnreadableVariableError], tuple[str, str]]:
        return type(self), (self.name, self.why)


def current_environment() -> dict[str, str]:
    """Give the variables of this process: its environment, the lines of `.env`, and the built-in ones."""
    built_in = {"PYTHON_STDLIB": sysconfig.get_path("stdlib")}
    environment = read_environment()
    settings = load_settings(environment)
    set_up = {
        "CELERIAC_ALLOW_HOSTS": ",".join(settings.allow_hosts),
        "CELERIAC_CONTACT": settings.contact or "",
        "CELERIAC_DATA": str(settings.data),
    }
    return {**built_in, **environment, **set_up}


def resolve_variables(value: Any, environment: Mapping[str, str]) -> Any:
    """
    Replace each `${NAME}` in a text, or in the texts inside a dict or list (keys are left alone).

    `${NAME:-default}` gives the default when NAME is not set or is empty; `$${` stands for `${` itself. When NAME
    is not set or empty and NAME_FILE is set, the value is the text of that file, without the line end.
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


def fill_from_environment(plugin: object, params: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add the parameters that a plugin takes from the environment when jobs.yaml does not give them, unresolved.

    Its `from_environment` names them: `{"api_key": "SERPER_API_KEY"}`; `"GITHUB_TOKEN:-"` may be missing. Its
    `belongs_to` (`{"api_key": "base_url"}`) names what is not taken when jobs.yaml gives the other: the key of
    the environment is for the address of the environment, and goes to no other.
    """
    named: Mapping[str, str] = getattr(plugin, "from_environment", {})
    belongs_to: Mapping[str, str] = getattr(plugin, "belongs_to", {})
    taken = {name: variable for name, variable in named.items() if belongs_to.get(name) not in params}
    return {name: f"${{{variable}}}" for name, variable in taken.items()} | dict(params)


def _replace(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default = found["name"], found["default"]
    if name is None:
        return "${"
    value = find_value(name, environment)
    if default is not None:
        return value or default
    if value is None:
        raise UnsetVariableError(name, find_nearest(name, sorted(environment)))
    return value


def find_value(name: str, environment: Mapping[str, str]) -> str | None:
    """Find what a variable stands for, or None. Raises `UnreadableVariableError`."""
    value, file = environment.get(name), environment.get(f"{name}_FILE")
    return _read_secret(name, file) if not value and file else value


def _read_secret(name: str, file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8") as opened:
            text = opened.read(MAX_FILE_CHARS + 1)
    except OSError as error:
        raise UnreadableVariableError(name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableVariableError(name, "is not text in UTF-8") from None
    if len(text) > MAX_FILE_CHARS:
        raise UnreadableVariableError(name, f"has more than {MAX_FILE_CHARS:,} characters")
    return text.rstrip("\r\n")


def resolve_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """
    Resolve the parameters of a strategy or handler that is about to run in this process.

    From here on what their variables stand for is kept out of errors, logs and results; see `pipeline.redaction`.
    """
    environment = current_environment()
    for place, name in _list_uses(params):
        if name not in BUILT_IN and (value := find_value(name, environment)):
            from_file = not environment.get(name)
            is_secret = from_file or is_secret_name(name) or is_secret_name(place) or has_password(value)
            KNOWN.learn(name, value, is_secret=is_secret)
    resolved: dict[str, Any] = resolve_variables(dict(params), environment)
    return resolved


def hide_variables(text: str, value: Any, environment: Mapping[str, str]) -> str:
    """Write the variables used in `value` back into a text that may hold what they stand for."""
    for _, name in _list_uses(value):
        with suppress(UnreadableVariableError):
            text = strike_out(text, find_value(name, environment) or "", f"${{{name}}}")
    return text


def _list_uses(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """List the variables in a value, each with the nearest key above it."""
    if isinstance(value, str):
        yield from ((place, found["name"]) for found in VARIABLE.finditer(value) if found["name"])
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _list_uses(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _list_uses(inner, place)
