"""Results as they are exported: page by page in the order in which their items were found, and then as they arrive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.selecting import select_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.filters import Filter
    from tracker.connection import Connection

AT_ONCE = 500
"""How many items are looked at between two looks at the file: whoever reads long holds up no checkpoint."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A result with its item: its key and data. `stored_at` is in Unix ms."""

    item_id: int
    key: str
    stage: str
    stored_at: int
    version: str | None
    attempt: int
    data: dict[str, Any]
    result: dict[str, Any]

    @property
    def made_by(self) -> tuple[int, str, int]:
        """The attempt that made it."""
        return self.item_id, self.stage, self.attempt


@dataclass(frozen=True, slots=True)
class Wish:
    """What is exported: of a job, of one stage or of all, stored since an instant (Unix ms), as a filter selects."""

    job: str
    stage: str | None = None
    since: int = 0
    wanted: Filter | None = None


NEXT_ITEMS = """
SELECT item_id FROM work_items WHERE job_id = :job_id AND item_id > :after ORDER BY item_id LIMIT :limit
"""

READ_RESULTS = """
SELECT i.item_id, i.key, r.stage, r.stored_at, r.handler_version, r.attempt, i.data, r.result
  FROM json_each(:item_ids) asked
 CROSS JOIN work_items i ON i.item_id = asked.value
  JOIN results r ON r.item_id = i.item_id
 WHERE (r.stage = :stage OR :stage IS NULL) AND r.stored_at >= :since
 ORDER BY asked.key, r.result_id
"""


def stream_results(conn: Connection, wish: Wish) -> Iterator[Exported]:
    """Stream the results that there are, each once; what is stored meanwhile may be among them."""
    for item_ids, stages in _list_items(conn, wish):
        for one in _read(conn, wish, item_ids):
            if stages is None or (one.item_id, one.stage) in stages:
                yield one


def _list_items(
    conn: Connection, wish: Wish
) -> Iterator[tuple[list[int], set[tuple[int, str | None]] | None]]:
    if wish.wanted is not None:
        for batch in select_batches(conn, wish.wanted.narrow("job", wish.job), AT_ONCE):
            stages = {(one.item_id, one.stage) for one in batch}
            item_ids = list(dict.fromkeys(one.item_id for one in batch))
            yield item_ids, stages if wish.wanted.selects_stages else None
        return
    after = 0
    while rows := conn.execute(NEXT_ITEMS, {"job_id": wish.job, "after": after, "limit": AT_ONCE}).fetchall():
        yield [row[0] for row in rows], None
        after = rows[-1][0]


def _read(conn: Connection, wish: Wish, item_ids: Iterable[int]) -> Iterator[Exported]:
    asked = {"item_ids": json.dumps(list(item_ids)), "stage": wish.stage, "since": wish.since}
    for item_id, key, stage, stored_at, version, attempt, data, result in conn.execute(
        READ_RESULTS, asked
    ).fetchall():
        yield Exported(item_id, key, stage, stored_at, version, attempt, json.loads(data), json.loads(result))


LAST_EVENT_ID = "SELECT coalesce(max(event_id), 0) FROM events"

NEW_FINISHES = """
SELECT event_id, item_id, stage, attempt
  FROM events INDEXED BY idx_events_job
 WHERE job_id = :job_id AND event_id > :after AND kind = 'finish'
 ORDER BY event_id
 LIMIT :limit
"""


class Follower:
    """Gives the results that arrive from its making on, each once; also those that a stream of all meets before."""

    def __init__(self, conn: Connection, wish: Wish) -> None:
        self._conn, self._wish = conn, wish
        self._after = int(conn.execute(LAST_EVENT_ID).fetchone()[0])
        self._met: set[tuple[int, str, int]] = set()

    def meet(self, stream: Iterable[Exported], began_at: int) -> Iterator[Exported]:
        """Pass a stream on, and note what in it is as new (Unix ms) as what arrives."""
        for one in stream:
            if one.stored_at >= began_at:
                self._met.add(one.made_by)
            yield one

    def read_new(self) -> list[Exported]:
        """Read what has arrived since the last look; an empty list when nothing has."""
        asked = {"job_id": self._wish.job, "after": self._after, "limit": AT_ONCE}
        events = self._conn.execute(NEW_FINISHES, asked).fetchall()
        if not events:
            self._met.clear()  # all that a stream met before is behind us
            return []
        self._after = events[-1][0]
        made = {(item_id, stage, attempt) for _, item_id, stage, attempt in events} - self._met
        item_ids = {item_id for item_id, _, _ in made}
        fits = self._select(item_ids)
        found = _read(self._conn, self._wish, sorted(item_ids))
        return [one for one in found if one.made_by in made and fits(one)]

    def _select(self, item_ids: set[int]) -> Any:
        wanted = self._wish.wanted
        if wanted is None or not item_ids:
            return lambda _: True
        keys = [self._conn.execute(READ_KEY, {"item_id": one}).fetchone()[0] for one in item_ids]
        narrowed = wanted.narrow("job", self._wish.job).narrow("key", *keys)
        selected = {
            (one.item_id, one.stage)
            for batch in select_batches(self._conn, narrowed, AT_ONCE)
            for one in batch
        }
        if wanted.selects_stages:
            return lambda one: (one.item_id, one.stage) in selected
        return lambda one: (one.item_id, None) in selected


READ_KEY = "SELECT key FROM work_items WHERE item_id = :item_id"
