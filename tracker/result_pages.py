"""Results page by page, in the order of their items; a page looks at a bounded number of items, and is not too big."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tracker.reports import ResultReport

if TYPE_CHECKING:
    from tracker.connection import Connection

LOOK_AT = 20_000
"""How many items one page looks at."""

MOST_CHARS = 8_000_000
"""A page ends with the result that goes beyond this."""


class Place(NamedTuple):
    """The place behind a result, or behind an item that was looked at."""

    item_id: int = 0
    result_id: int = 0

    def __str__(self) -> str:
        return f"{self.item_id}:{self.result_id}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """
        Read what `str` wrote; raises ValueError.

        >>> Place.parse("17:4")
        Place(item_id=17, result_id=4)
        """
        numbers = [int(part) for part in text.split(":")]
        if len(numbers) != 2 or not all(0 <= number < 2**62 for number in numbers):
            raise ValueError(f"{text!r} is no place among results")
        return cls(*numbers)


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some results; `next_after` is where they go on, None when that was all."""

    results: list[ResultReport]
    next_after: str | None


LIST_PAGE = """
SELECT i.item_id, r.result_id, i.key, r.stage, r.result, r.handler_version, r.attempt, r.stored_at
  FROM (SELECT item_id, key
          FROM work_items
         WHERE job_id = :job_id AND item_id >= :item_id
         ORDER BY item_id
         LIMIT :walk) i
  JOIN results r ON r.item_id = i.item_id
 WHERE (i.item_id > :item_id OR r.result_id > :result_id) AND (r.stage = :stage OR :stage IS NULL)
 ORDER BY i.item_id, r.result_id
 LIMIT :limit
"""

LOOKED_AT = """
SELECT max(item_id), count(*)
  FROM (SELECT item_id FROM work_items WHERE job_id = :job_id AND item_id >= :item_id ORDER BY item_id LIMIT :walk)
"""

BEHIND_ALL = 2**62 - 1


def list_result_page(
    conn: Connection, job_id: str, stage: str | None = None, *, after: Place | None = None, limit: int = 50
) -> ResultPage:
    """List at most `limit` results of a job, of one stage or of all; fewer when they are large, or rare."""
    start = after or Place()
    asked = {"job_id": job_id, "stage": stage, "walk": LOOK_AT, "limit": limit, **start._asdict()}
    found, chars, place = [], 0, start
    for item_id, result_id, key, name, text, *rest in conn.execute(LIST_PAGE, asked):
        found.append(ResultReport(key, name, json.loads(text), *rest))
        place, chars = Place(item_id, result_id), chars + len(text)
        if chars > MOST_CHARS:
            break
    if len(found) == limit or chars > MOST_CHARS:
        return ResultPage(found, str(place))
    furthest, count = conn.execute(LOOKED_AT, asked).fetchone()
    return ResultPage(found, str(Place(furthest, BEHIND_ALL)) if count == LOOK_AT else None)
