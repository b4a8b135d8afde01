"""JSON of strangers, read only when it cannot unfold into more than fits into memory."""

from __future__ import annotations

import json
from typing import Any

MAX_JSON_BYTES = 32 * 1024 * 1024
MAX_JSON_VALUES = 1_000_000
"""How many values a body may hold; each takes up to a hundred bytes once it is read, three as it is written."""


def load_json(body: bytes) -> Any:
    """
    Read JSON. Raises `ValueError` for what is none, or is too much; nothing of it is read then.

    Commas and brackets are counted for the values, wherever they stand.

    >>> load_json(b'{"a": [1]}')
    {'a': [1]}
    """
    if len(body) > MAX_JSON_BYTES:
        raise ValueError(f"it is over {MAX_JSON_BYTES:,} bytes")
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ValueError(f"it may hold over {MAX_JSON_VALUES:,} values")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
