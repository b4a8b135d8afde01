"""Versions of handlers that declare none, a hash of what they would do; and hashes of what goes in and comes out."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pipeline.sources import spell_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType


def hash_version(name: str, modules: Sequence[ModuleType], params: Mapping[str, Any]) -> str:
    """
    Hash a handler's name, the source of the modules that it is written in, and its parameters: 12 hex digits.

    The source of the modules beside these that they import from counts as well; see `pipeline.sources`. The
    parameters are as jobs.yaml has them, variables unresolved, so that a changed prompt counts and a secret does
    not. A comment, a docstring or the layout makes no new version. The source is that of the moment when this
    process loaded the handler, or first asked.
    """
    spelled = json.dumps(dict(params), sort_keys=True, default=str)
    parts = [name, *spell_sources(modules), spelled]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:12]


_CANONICAL = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def hash_result(result: Mapping[str, Any]) -> str:
    """
    Hash a result, whatever the order of its keys: 32 hexadecimal digits.

    >>> hash_result({"a": 1, "b": [2]}) == hash_result({"b": [2], "a": 1})
    True
    """
    return _hash(_CANONICAL.encode(result))


def hash_input(data_json: str, output_hashes: Mapping[str, str]) -> str:
    """
    Hash what a handler worked on: 32 hexadecimal digits.

    That is the item's data, as the tracker holds it, and by stage the hashes of the needed results that it read.
    """
    return _hash("\0".join((data_json, *(f"{stage}={known}" for stage, known in output_hashes.items()))))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
