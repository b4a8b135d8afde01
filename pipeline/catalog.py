"""
The strategies and handlers that come with Celeriac: short names to dotted paths, imported on use.

A user's own `package.module:Class` works in jobs.yaml wherever a short name does. An extra that is not
installed breaks only the jobs that use it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from pipeline.errors import MissingExtraError, PluginImportError, UnknownNameError

STRATEGIES = {
    "hacker_news": "discovery.hacker_news:HackerNews",
    "local_files": "discovery.local_files:LocalFiles",
    "manual": "discovery.manual:Manual",
    "rss_feeds": "discovery.rss_feeds:RssFeeds",
    "tracker_query": "discovery.tracker_query:TrackerQuery",
}

HANDLERS = {
    "article": "handlers.article:Article",
    "fetch": "handlers.fetch:Fetch",
    "python": "handlers.python:Python",
    "python_outline": "handlers.python_outline:PythonOutline",
    "read_file": "handlers.read_file:ReadFile",
    "summarise_text": "handlers.summarise_text:SummariseText",
}

EXTRAS = {"article": "extract"}
"""Which extra brings the packages that a short name needs beyond the core."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One of the two kinds of plugin, and the table of those that come with Celeriac."""

    word: Literal["strategy", "handler"]
    table: dict[str, str]


STRATEGY = Kind("strategy", STRATEGIES)
HANDLER = Kind("handler", HANDLERS)


def find_nearest(name: str, known: list[str]) -> str | None:
    """Name the known word that was likeliest meant, or None."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


@cache
def load(kind: Kind, name: str) -> Any:
    """
    Import the class behind a short name or a `package.module:Class`.

    Raises `UnknownNameError` with the nearest known name, `MissingExtraError` with the line to install, or
    `PluginImportError` when the module does not import or has no such class.
    """
    path = name if ":" in name else kind.table.get(name)
    if path is None:
        raise UnknownNameError(kind.word, name, sorted(kind.table), find_nearest(name, sorted(kind.table)))
    module_name, _, attribute = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if name in EXTRAS and error.name:
            raise MissingExtraError(kind.word, name, EXTRAS[name], error.name) from error
        raise PluginImportError(f"{kind.word} {name!r}: {error}") from error
    except Exception as error:
        raise PluginImportError(f"{kind.word} {name!r}: importing {module_name} raised {error!r}") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise PluginImportError(f"{kind.word} {name!r}: {module_name} has no {attribute!r}") from error
