"""Patterns for paths, with `**` for any number of folders."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """
    Tell whether a POSIX path, relative to the root, matches one of the patterns.

    `*`, `?` and `[a-z]` stay within one folder, `**` spans any number of them, none included. A pattern
    without a slash matches the name at any depth, one that begins with a slash from the root, as in
    .gitignore. Upper and lower case differ.

    >>> matches_any("a/b/c.py", ["*.py"]), matches_any("a/b/c.py", ["/*.py"]), matches_any("a", ["a/**"])
    (True, False, True)
    """
    parts = path.split("/")
    return any(_match(_split(pattern), parts) for pattern in patterns)


def _split(pattern: str) -> list[str]:
    stripped = pattern.rstrip("/")
    return stripped.strip("/").split("/") if "/" in stripped else ["**", stripped]


def _match(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _match(pattern[1:], parts) or (bool(parts) and _match(pattern, parts[1:]))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _match(pattern[1:], parts[1:])
