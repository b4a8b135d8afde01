"""The version of what a handler makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.aside import printing_aside
from pipeline.sources import list_own_files
from pipeline.versions import hash_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from handlers.base import Handler


def handler_version(handler_class: type[Handler], params: Mapping[str, Any]) -> str:
    """
    Tell the version of what a handler makes with these parameters of jobs.yaml, variables unresolved.

    The declared `VERSION`, else a hash of the class's name, the source of the modules that it is written in,
    and the parameters; see `pipeline.versions`.
    """
    if handler_class.VERSION is not None:
        return str(handler_class.VERSION)  # `VERSION = 3` is natural, and the tracker holds texts
    with printing_aside(children=False):  # the handler `python` imports its function
        modules = handler_class.list_source_modules(params)
    return hash_version(handler_class.__qualname__, modules, params)


def list_handler_files(handler_class: type[Handler], params: Mapping[str, Any]) -> list[Path]:
    """List the files of a handler's source that its author may edit."""
    return list_own_files(handler_class.list_source_modules(params))
