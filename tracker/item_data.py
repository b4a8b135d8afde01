"""The data of items, as discovery found them and as they are completed later on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from tracker.connection import Connection

READ_DATA = "SELECT data FROM work_items WHERE item_id = :item_id"


def read_data_json(conn: Connection, item_id: int) -> str:
    """Read an item's data by its id, as the JSON text that is stored. Raises `NotFoundError`."""
    row = conn.execute(READ_DATA, {"item_id": item_id}).fetchone()
    if row is None:
        raise NotFoundError("item with id", str(item_id))
    return str(row[0])


def read_data(conn: Connection, item_id: int) -> dict[str, Any]:
    """Read an item's data by its id. Raises `NotFoundError`."""
    data: dict[str, Any] = json.loads(read_data_json(conn, item_id))
    return data


SET_DATA = "UPDATE work_items SET data = :data, host = :host WHERE item_id = :item_id"


def set_data(conn: Connection, item_id: int, data_json: str, host: str | None) -> None:
    """Put other data in an item's place, with the host that they name, in the caller's transaction."""
    conn.execute(SET_DATA, {"item_id": item_id, "data": data_json, "host": host})


def complete_data(known: Mapping[str, Any], learned: Mapping[str, Any]) -> dict[str, Any]:
    """Add what was learned to what is known, nested objects too; what is there already stays."""
    merged = dict(learned) | dict(known)
    for name in known.keys() & learned.keys():
        if isinstance(known[name], Mapping) and isinstance(learned[name], Mapping):
            merged[name] = complete_data(known[name], learned[name])
    return merged
