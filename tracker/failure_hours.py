"""How often each group of failures was seen in each of the last hours, from a counter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

HOUR_MS = 3_600_000

SHOWN_HOURS = 24

KEEP_HOURS = 7 * 24

READ_HOURS = """
SELECT g.name, h.hour, h.attempts
  FROM json_each(:names) asked
  JOIN failure_groups g ON g.name = asked.value
  JOIN failure_group_hours h ON h.group_id = g.group_id
 WHERE h.hour > :before
"""


def read_failure_hours(conn: Connection, names: Iterable[str]) -> dict[str, list[int]]:
    """Read for each group, by its id, how many attempts failed in each of the last 24 hours, the present one last."""
    before = now_ms() // HOUR_MS - SHOWN_HOURS
    counted = {name: [0] * SHOWN_HOURS for name in names}
    for name, hour, attempts in conn.execute(
        READ_HOURS, {"names": json.dumps(list(counted)), "before": before}
    ):
        place = hour - before - 1
        if place < SHOWN_HOURS:  # else a clock is ahead of ours
            counted[name][place] += attempts
    return counted


PRUNE_HOURS = "DELETE FROM failure_group_hours WHERE hour < :before"


def prune_failure_hours(conn: Connection) -> None:
    """Forget the hours of more than a week ago, in the caller's transaction."""
    conn.execute(PRUNE_HOURS, {"before": now_ms() // HOUR_MS - KEEP_HOURS})
