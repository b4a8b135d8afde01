"""The example in the docstring of a strategy or handler, as YAML that is ready to paste."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.catalog import STRATEGY, Kind
from pipeline.yaml_document import parse_yaml

if TYPE_CHECKING:
    from pipeline.docstrings import Docstring

UNSCHEDULED = ("manual", "stdin_lines")
"""The strategies that have nothing new of themselves, however often they are asked."""


def show_example(kind: Kind, name: str, said: Docstring) -> str:
    """Write a job for below `jobs:`, or a stage for below `stages:`."""
    given = parse_yaml(said.entries.get("Example", "").encode()).data
    if kind is not STRATEGY:
        return _write_yaml([_name_stage(name, given)])
    job = {
        "discovery": given or {"strategy": name},
        **({} if name in UNSCHEDULED else {"schedule": "@hourly"}),
        "stages": [_choose_stage(said.entries.get("Data", ""))],
    }
    return textwrap.indent(_write_yaml({_name_job(name): job}), "  ")


def _choose_stage(data: str) -> str:
    """Choose a stage that can work on what is found, so that the example does something."""
    for field, handler in (('"url"', "fetch"), ('"path"', "read_file")):
        if field in data:
            return handler
    return "summarise_text"


def _name_stage(handler: str, given: Any) -> Any:
    """Name the stage of a handler of one's own, as jobs.yaml wants it; a stage of ours has the handler's name."""
    if ":" not in handler:
        return given or handler
    return {"name": _name_job(handler), **(given or {"handler": handler})}


def _name_job(name: str) -> str:
    return name.rpartition(":")[2].replace("_", "-").lower()


def _write_yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
