"""Statements that change stages told by their places, (item, stage): one of them, or many at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.connection import Connection

Place = tuple[int, str]
"""An item's id, and the name of a stage of it."""

AT_ONE = """
 WHERE item_id = :item_id AND item_stages.stage = :stage
"""

AT_MANY = """
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND item_stages.stage = place.value ->> 1
"""


class AtPlaces:
    """
    An UPDATE of stages, for one place and for many; what stands after its SET is added. `only` narrows it.

    A hundred in one statement take half the time of a hundred statements; for one it takes half as long again, since
    SQLite builds a table of what it is about to change.
    """

    def __init__(self, update: str, only: str = "") -> None:
        self.one, self.many = update.rstrip() + AT_ONE + only, update.rstrip() + AT_MANY + only

    def run(self, conn: Connection, places: Sequence[Place], values: Mapping[str, Any] | None = None) -> None:
        """Change the stages at these places alike, in the caller's transaction; each is named once."""
        if len(places) == 1:
            ((item_id, stage),) = places
            conn.execute(self.one, {**(values or {}), "item_id": item_id, "stage": stage})
        elif places:
            conn.execute(self.many, {**(values or {}), "places": json.dumps(places)})
