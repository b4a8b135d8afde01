"""Records as JSON: the same text from the command line and from the dashboard."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any


def as_data(record: Any) -> Any:
    """Turn what JSON does not know into what it does: a record into an object, anything else into text."""
    return asdict(record) if is_dataclass(record) and not isinstance(record, type) else str(record)


def as_json(records: Any, indent: int | None = None) -> str:
    """Write a record, a list of them, or an object that holds some, as one JSON text."""
    return json.dumps(records, ensure_ascii=False, indent=indent, default=as_data)
