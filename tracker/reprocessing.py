"""Results that are made again: how many are meant, and those of a canary, which count once they are approved."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.versions import hash_input
from tracker.cancels import lift_cancels
from tracker.choosing import Choice, choose_page
from tracker.claims import claim
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.cutoff import release_waiting
from tracker.endings import Ending
from tracker.moves import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

PAGE_ITEMS = 1000

LIST_DONE = """
SELECT s.item_id, s.stage, s.attempt
  FROM json_each(:places) place
 CROSS JOIN item_stages s ON s.item_id = place.value ->> 0 AND s.stage = place.value ->> 1
 WHERE s.status = 'done' AND s.again IS NULL
 ORDER BY s.item_id, s.position
"""


def _list_pages(conn: Connection, choice: Choice, size: int) -> Iterator[list[tuple[int, str, int]]]:
    cursor = None
    while page := choose_page(conn, choice, cursor, size):
        cursor = page.cursor
        rows = conn.execute(LIST_DONE, {"places": json.dumps([list(place) for place in page.places or ()])})
        yield [(item_id, stage, attempt) for item_id, stage, attempt in rows]


@dataclass(frozen=True, slots=True)
class Meant:
    """How many items are meant, and how many results of each stage."""

    items: int
    stages: dict[str, int]


def count_meant(conn: Connection, job_id: str, how: Mapping[str, Any]) -> Meant:
    """Count what a choice of results means, by going through it: what is done, and will not be again. It reads only."""
    items, stages = set[int](), Counter[str]()
    for places in _list_pages(conn, Choice(job_id, None, how, now_ms()), PAGE_ITEMS):
        items.update(item_id for item_id, _, _ in places)
        stages.update(stage for _, stage, _ in places)
    return Meant(len(items), dict(stages))


@dataclass(frozen=True, slots=True)
class Basis:
    """What results of an item are made on: the last attempt of each stage that is meant, and a hash of its data."""

    attempts: Mapping[str, int]
    data_hash: str


@dataclass(frozen=True, slots=True)
class MeantItem:
    """An item of which results are meant, its data as the tracker holds it, and each stage's attempt, in order."""

    item_id: int
    key: str
    data_json: str
    attempts: Mapping[str, int]

    @property
    def basis(self) -> Basis:
        """What is made of it now is made on."""
        return Basis(self.attempts, _hash_data(self.data_json))


def list_first(conn: Connection, job_id: str, how: Mapping[str, Any], limit: int) -> list[MeantItem]:
    """List the first `limit` items that a choice of results means."""
    found: dict[int, dict[str, int]] = {}
    for places in _list_pages(conn, Choice(job_id, None, how, now_ms()), max(limit, 1)):
        for item_id, stage, attempt in places:
            if item_id in found or len(found) < limit:
                found.setdefault(item_id, {})[stage] = attempt
        if len(found) >= limit:
            break
    return [_read_meant(conn, item_id, attempts) for item_id, attempts in found.items()]


READ_ITEM = "SELECT key, data FROM work_items WHERE item_id = :item_id"


def _read_meant(conn: Connection, item_id: int, attempts: Mapping[str, int]) -> MeantItem:
    key, data_json = conn.execute(READ_ITEM, {"item_id": item_id}).fetchone()
    return MeantItem(item_id, key, data_json, attempts)


def _hash_data(data_json: str) -> str:
    return hash_input(data_json, {})


# -- a canary's results, once they are approved -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A result that was made aside, and how long that took."""

    result_json: str
    version: str
    input_hash: str
    output_hash: str
    seconds: float


LIST_ATTEMPTS = "SELECT stage, attempt FROM item_stages WHERE item_id = :item_id AND status = 'done'"

MARK_MEANT = """
UPDATE item_stages
   SET again = 'waits'
 WHERE item_id = :item_id AND status = 'done' AND stage IN (SELECT value FROM json_each(:stages))
"""

LIST_TO_RUN = """
SELECT stage, attempt
  FROM item_stages
 WHERE item_id = :item_id AND status = 'pending' AND needs_left = 0 AND again = 'runs'
 ORDER BY position
"""

BACKDATE = "UPDATE item_stages SET started_at = started_at - :ms WHERE item_id = :item_id AND stage = :stage"


def count_as_done(
    conn: Connection, item_id: int, basis: Basis, made: Mapping[str, Made], *, by: str, worker: str
) -> list[str] | None:
    """
    Have what is meant of an item done again, the stages of which a result was made with that; which these were.

    The others, and all that follows from another result, are left for workers, as is everything while it is paused.
    None when the item has moved on from what the results were made on: they may be older than what it has, and nothing
    is changed. Commits.
    """
    with write(conn):
        if _has_moved_on(conn, item_id, basis):
            return None
        conn.execute(MARK_MEANT, {"item_id": item_id, "stages": json.dumps(list(basis.attempts))})
        lift_cancels(conn, [item_id], by)
        release_waiting(conn, [item_id], by)
        settled: list[str] = []
        while found := _find_made(conn, item_id, made, settled):
            stage, attempt = found
            if claim(conn, item_id, stage, attempt, worker=worker) is None:
                break
            one = made[stage]
            conn.execute(BACKDATE, {"item_id": item_id, "stage": stage, "ms": round(one.seconds * 1000)})
            ending = Ending.finished(
                one.result_json, one.version, input_hash=one.input_hash, output_hash=one.output_hash
            )
            settle(conn, item_id, stage, attempt, ending, by=by)
            settled.append(stage)
    return settled


def _has_moved_on(conn: Connection, item_id: int, basis: Basis) -> bool:
    item = conn.execute(READ_ITEM, {"item_id": item_id}).fetchone()
    if item is None or _hash_data(item[1]) != basis.data_hash:
        return True
    done = {row["stage"]: row["attempt"] for row in conn.execute(LIST_ATTEMPTS, {"item_id": item_id})}
    return any(done.get(stage) != attempt for stage, attempt in basis.attempts.items())


def _find_made(
    conn: Connection, item_id: int, made: Mapping[str, Made], settled: Sequence[str]
) -> tuple[str, int] | None:
    rows = conn.execute(LIST_TO_RUN, {"item_id": item_id}).fetchall()
    return next(((stage, last + 1) for stage, last in rows if stage in made and stage not in settled), None)
