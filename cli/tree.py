"""Draw a few levels of something as a tree of lines, each short enough to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDTH, MEMBERS, DEPTH, FRAMES = 100, 12, 3, 3
"""How long a line is, how many members of an object or a list are shown, how deep, how many frames of a traceback."""


def draw(root: str, branches: Sequence[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """
    Draw a root with its branches, each with its lines below.

    >>> print(*draw("a", [("b", ["c"]), ("d", ["e"])]), sep=chr(10))
    a
    ├─ b
    │    c
    └─ d
         e
    """
    yield root
    for number, (name, lines) in enumerate(branches, 1):
        is_last = number == len(branches)
        yield f"{'└' if is_last else '├'}─ {name}"
        for line in lines:
            yield f"{' ' if is_last else '│'}    {line}".rstrip()


def list_lines(value: Any, depth: int = 0) -> Iterator[str]:
    """
    Write JSON by lines, what is deep or long cut short.

    >>> list(list_lines({"a": 1, "b": {"c": ["d", 2], "e": [{"f": 3}]}, "g": {}}))
    ['a: 1', 'b:', '  c: ["d", 2]', '  e:', '    -', '      f: 3', 'g: {}']
    """
    members = list(value.items()) if isinstance(value, dict) else [("-", one) for one in value]
    for name, member in members[:MEMBERS]:
        called = name if name == "-" and not isinstance(value, dict) else f"{name}:"
        if _is_deep(member) and depth < DEPTH:
            yield called
            yield from (f"  {line}" for line in list_lines(member, depth + 1))
        else:
            yield _shorten(f"{called} {_write(member)}")
    if len(members) > MEMBERS:
        yield f"… and {len(members) - MEMBERS} more"


def _is_deep(value: Any) -> bool:
    """Tell whether a value is better shown on lines of its own: a list of plain values has one."""
    if isinstance(value, list):
        return any(isinstance(one, dict | list) for one in value)
    return isinstance(value, dict) and bool(value)


def _write(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shorten(text: str) -> str:
    from cli.render import shorten

    return shorten(text, WIDTH)


def shorten_trace(trace: str) -> list[str]:
    """
    Keep the last frames of a traceback, the innermost last; its error is told elsewhere.

    >>> shorten_trace('Traceback (most recent call last):' + chr(10) + '  File "a.py", line 1, in f' + chr(10) + 'E: x')
    ['File "a.py", line 1, in f']
    """
    frames: list[list[str]] = []
    for line in trace.splitlines():
        if line.startswith('  File "'):
            frames.append([line[2:]])
        elif frames and line.startswith("    "):
            frames[-1].append(line[2:])
    return [line for frame in frames[-FRAMES:] for line in frame]
