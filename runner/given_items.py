"""Items that people and programs give by hand: checked by the rules for what discovery finds."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from discovery.items import admit_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.items import ItemToStore

FIELDS = ("key", "data", "priority")


def parse(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError saying why it is none, or that it is nested too deeply."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_item(item: Mapping[str, Any]) -> ItemToStore:
    """Check one `{"key", "data"?, "priority"?}`. Raises ValueError saying what is wrong."""
    if unknown := sorted(set(item) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}; known: {', '.join(FIELDS)}")
    refused: Counter[str] = Counter()
    for admitted in admit_items([item], refused):
        return {"key": admitted.key, "data": admitted.data, "priority": admitted.priority}
    raise ValueError(next(iter(refused)))
