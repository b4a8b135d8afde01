"""Versions of handlers that declare none: a hash of what they would do."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def hash_version(handler: Any, params: Mapping[str, Any]) -> str:
    """
    Hash a handler's source and its parameters, as jobs.yaml has them: 12 hexadecimal digits.

    A comment or the layout makes no new version, a changed line of code or a changed parameter does. A
    handler whose source cannot be had is known by its name alone.
    """
    identity = {"source": _normalised_source(handler), "params": params}
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _normalised_source(handler: Any) -> str:
    try:
        return ast.dump(ast.parse(textwrap.dedent(inspect.getsource(handler))))
    except (OSError, TypeError, SyntaxError):
        return f"{getattr(handler, '__module__', '')}.{getattr(handler, '__qualname__', repr(handler))}"
