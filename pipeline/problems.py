"""
What is wrong in jobs.yaml: where it stands, what stands there, and what is allowed instead.

Checks make `Finding`s, which know a path of keys; the document turns each into a `Problem`, which knows a
line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import JobsFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the file, such as `("jobs", "hn", "stages", 1, "retries")`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, by its keys; with `at_key` it is the key and not its value that is wrong."""

    path: KeyPath
    message: str
    allowed: str = ""
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong, by its line and column (both from 1).

    `path` reads `jobs.hn.stages[1].retries`; `value` is what the file says there, variables unresolved;
    `allowed` says what may stand there, or is empty where the message says it all.
    """

    line: int
    column: int
    path: str
    message: str
    value: Any = None
    allowed: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text} (allowed: {self.allowed})" if self.allowed else text


class JobsFileInvalidError(JobsFileError):
    """A jobs.yaml that cannot be used, with every problem found in it, in the order of the lines."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(f"{path}:{problem.line}: {problem}" for problem in self.problems))


class InvalidValueError(JobsFileError, ValueError):
    """
    A value in jobs.yaml that is not allowed, and what is.

    It is a ValueError too, so that a model may raise it; `within` names the keys below the field at fault.
    """

    def __init__(self, message: str, allowed: str = "", within: KeyPath = ()) -> None:
        self.message, self.allowed, self.within = message, allowed, within
        super().__init__(f"{message} (allowed: {allowed})" if allowed else message)


def show_path(path: KeyPath) -> str:
    """
    Write a path as a person would.

    >>> show_path(("jobs", "hn", "stages", 1, "retries"))
    'jobs.hn.stages[1].retries'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def show_value(value: Any) -> str:
    """Write a value of the file for a message, at most 60 characters long."""
    if value is None:
        return "an empty value"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def value_at(data: Any, path: KeyPath) -> Any:
    """
    Find what stands at a path in plain data, or None.

    A path may go on below a plain value, because a stage may be a bare word: then it is that value.
    """
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list):
            data = data[step] if isinstance(step, int) and step < len(data) else None
    return data
