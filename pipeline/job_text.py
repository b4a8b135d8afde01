"""The lines of jobs.yaml that say what a job is, with what is wrong in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.problems import Problem, show_path
from pipeline.redaction import is_secret_name
from pipeline.yaml_document import YamlDocument, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

AROUND_LINES = 8
"""How many lines before and after a fault are shown when the job itself cannot be found."""

MOST_LINES = 2000
MOST_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, by its number from 1, and what is wrong in it."""

    number: int
    text: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class JobText:
    """
    A job's lines in the file, and the faults that stand elsewhere in it, each with a line of its own.

    Without lines the file has no such job.
    """

    lines: tuple[Line, ...]
    elsewhere: tuple[Problem, ...] = ()


def read_job_text(path: Path, job: str, problems: Iterable[Problem] = ()) -> JobText:
    """
    Read the lines of a job, with the `problems` of the file by their lines.

    Of a file that is no YAML, what stands around its faults is given. Variables stay as they are written; what looks
    like a secret written out is hidden. Raises OSError for a file that cannot be read.
    """
    with path.open("rb") as file:
        source = file.read(MOST_BYTES)
    document = parse_yaml(source)
    texts = source.decode("utf-8", "replace").splitlines()
    found = tuple(problems) or document.problems
    found = tuple(
        replace(one, line=min(one.line, max(1, len(texts)))) for one in found
    )  # some are at the very end
    begin, end = _find_lines(document, job, len(texts)) or _find_around(document, found, len(texts))
    end = min(end, begin + MOST_LINES - 1)
    while end > begin and not texts[end - 1].strip():
        end -= 1
    lines = tuple(
        Line(number, hide_secrets(texts[number - 1]), tuple(one for one in found if one.line == number))
        for number in range(begin, end + 1)
    )
    return JobText(lines, tuple(one for one in found if not begin <= one.line <= end))


def _find_lines(document: YamlDocument, job: str, count: int) -> tuple[int, int] | None:
    """Find the first and the last line of a job: up to the next key that stands as high as its own, or higher."""
    place = document.keys.get(("jobs", job))
    if place is None:
        return None
    later = [line for path, (line, _) in document.keys.items() if len(path) <= 2 and line > place[0]]
    return place[0], min(later, default=count + 1) - 1


def _find_around(document: YamlDocument, problems: tuple[Problem, ...], count: int) -> tuple[int, int]:
    if document.data is not None or not problems:
        return 1, 0
    first, last = min(one.line for one in problems), max(one.line for one in problems)
    return max(1, first - AROUND_LINES), min(count, last + AROUND_LINES)


_ENTRY = re.compile(
    r"""([\w.-]+)(["']?\s*:\s+)"""
    r"""(?!\$\{|[\d.]+\s*(?:[,}#]|$)|true|false|null|[{\[|>])"""  # neither a variable, nor a number, nor what has parts
    r"""("[^"]*"|'[^']*'|[^,{}\[\]]+)"""
)
_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@$]+@")


def hide_secrets(line: str) -> str:
    """
    Hide what looks like a secret in a line of YAML: by the name of its key, or as the password in a URL.

    >>> hide_secrets("  - {key: a, api_key: abc, token: ${TOKEN}, max_tokens: 50}")
    '  - {key: a, api_key: ***, token: ${TOKEN}, max_tokens: 50}'
    >>> hide_secrets("url: https://ann:secret@example.org/feed")
    'url: https://***@example.org/feed'
    """

    def hide(found: re.Match[str]) -> str:
        is_secret = found[1] != "key" and is_secret_name(found[1])
        return f"{found[1]}{found[2]}***" if is_secret else found[0]

    return _PASSWORD.sub("://***@", _ENTRY.sub(hide, line))


def is_of_job(problem: Problem, job: str) -> bool:
    """
    Tell whether a problem is one of a job.

    >>> is_of_job(Problem(3, 1, "jobs.hn.stages[1].retries", "no number"), "hn")
    True
    """
    path = show_path(("jobs", job))
    return problem.path == path or problem.path.startswith((f"{path}.", f"{path}["))
