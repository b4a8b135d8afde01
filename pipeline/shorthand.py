"""The short forms of jobs.yaml, written out: parameters beside a strategy's name, a stage as a bare word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def split_discovery(value: Any) -> Any:
    """
    Part the strategy's parameters from its name; what is no mapping, or is parted already, is given back.

    >>> split_discovery({"strategy": "manual", "note": "x"})
    {'strategy': 'manual', 'params': {'note': 'x'}}
    """
    if not isinstance(value, Mapping) or set(value) <= {"strategy", "params"}:
        return value
    head = {key: inner for key, inner in value.items() if key == "strategy"}
    return {**head, "params": {key: inner for key, inner in value.items() if key != "strategy"}}


def name_stage(value: Any) -> Any:
    """
    Give a stage both its name and its handler where one is left out; other things are given back.

    >>> name_stage("fetch"), name_stage({"name": "read", "handler": "read_file"})
    ({'handler': 'fetch', 'name': 'fetch'}, {'name': 'read', 'handler': 'read_file'})
    """
    if isinstance(value, str):
        value = {"handler": value}
    if not isinstance(value, Mapping):
        return value
    named = {"name": value["handler"]} if "name" not in value and _is_short(value.get("handler")) else {}
    handled = {"handler": value["name"]} if "handler" not in value and "name" in value else {}
    return {**value, **named, **handled}


def _is_short(handler: Any) -> bool:
    return isinstance(handler, str) and ":" not in handler
