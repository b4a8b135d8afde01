"""Versions of handlers that declare none: a hash of what they would do."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType


def hash_version(name: str, modules: Sequence[ModuleType], params: Mapping[str, Any]) -> str:
    """
    Hash a handler's name, the source of the modules that it is written in, and its parameters: 12 hex digits.

    The parameters are as jobs.yaml has them, variables unresolved, so that a changed prompt counts. A comment
    or the layout makes no new version. The source is that of the moment when this process first asked.
    """
    spelled = json.dumps(dict(params), sort_keys=True, default=str)
    parts = [name, *(_read_source(module) for module in modules), spelled]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:12]


@cache
def _read_source(module: ModuleType) -> str:
    try:
        return ast.dump(ast.parse(inspect.getsource(module)))
    except (OSError, TypeError, SyntaxError):
        return module.__name__  # typed at a prompt, or shipped compiled: only its name is known
