"""What is remembered of each source of a job, and how it is doing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.rows import Row

KEPT_YIELDS = 20
"""How many looks a source's medians are made of."""

SILENT_AFTER = 3
"""How many looks in a row must find nothing, where things used to be, for a source to count as gone silent."""

FAILING_AFTER = 3
"""How many looks in a row must fail for a source to count as failing."""

SURGE_FACTOR, SURGE_LEAST, SURGE_AFTER = 10, 20, 5
"""New things are a surge above so many times the source's own median, from so many on, after so many looks."""


@dataclass(frozen=True, slots=True)
class SourceMemory:
    """What a source is known by: the cursor of its strategy (any JSON value), and its validators."""

    cursor: Any = None
    etag: str | None = None
    last_modified: str | None = None


READ_MEMORY = """
SELECT cursor, etag, last_modified FROM source_state WHERE job_id = :job_id AND source = :source
"""


def read_memory(conn: Connection, job_id: str, source: str) -> SourceMemory:
    """Read what is known of a source; blank for a new one."""
    row = conn.execute(READ_MEMORY, {"job_id": job_id, "source": source}).fetchone()
    if row is None:
        return SourceMemory()
    return SourceMemory(None if row[0] is None else json.loads(row[0]), row[1], row[2])


SAVE_CURSOR = """
INSERT INTO source_state (job_id, source, cursor) VALUES (:job_id, :source, :cursor)
    ON CONFLICT (job_id, source) DO UPDATE SET cursor = excluded.cursor
"""


def save_cursor(conn: Connection, job_id: str, source: str, cursor: Any) -> None:
    """Remember where a strategy goes on at a source, None for its beginning. Joins the transaction, else commits."""
    with write(conn):
        text = None if cursor is None else json.dumps(cursor)
        conn.execute(SAVE_CURSOR, {"job_id": job_id, "source": source, "cursor": text})


@dataclass(frozen=True, slots=True)
class SourceLook:
    """
    What one discovery came to at one source.

    `found` and `new` count its items. `unchanged` says that the source itself had nothing newer. With an
    `error` the look failed, and its validators stay as they were.
    """

    source: str
    requests: int = 0
    found: int = 0
    new: int = 0
    changed: int = 0
    unchanged: bool = False
    error: str | None = None
    etag: str | None = None
    last_modified: str | None = None


READ_STATE = """
SELECT source, etag, last_modified, looked_at, success_at, changed_at, error, failures, empty_looks, yields
  FROM source_state
 WHERE job_id = :job_id AND source = :source
"""

RECORD_LOOK = """
INSERT INTO source_state (job_id, source, etag, last_modified, looked_at, success_at, changed_at, error, failures,
                          empty_looks, yields)
VALUES (:job_id, :source, :etag, :last_modified, :now, :success_at, :changed_at, :error, :failures, :empty_looks,
        :yields)
    ON CONFLICT (job_id, source) DO UPDATE
   SET etag = excluded.etag, last_modified = excluded.last_modified, looked_at = excluded.looked_at,
       success_at = excluded.success_at, changed_at = excluded.changed_at, error = excluded.error,
       failures = excluded.failures, empty_looks = excluded.empty_looks, yields = excluded.yields
"""


def record_looks(conn: Connection, job_id: str, looks: Sequence[SourceLook]) -> None:
    """Record what came of each source, in the caller's transaction; a source gone silent or wild is an event."""
    now = now_ms()
    for look in looks:
        asked = {"job_id": job_id, "source": look.source, "now": now}
        state = _State.read(conn.execute(READ_STATE, asked).fetchone())
        after = state.failed(look) if look.error is not None else state.succeeded(look, now)
        conn.execute(RECORD_LOOK, asked | after.as_row())
        for kind, detail in state.alarms(look, after):
            append_event(conn, job_id, kind, None, None, None, None, {"source": look.source, **detail})


@dataclass(frozen=True, slots=True)
class _State:
    """A source's row."""

    etag: str | None = None
    last_modified: str | None = None
    success_at: int | None = None
    changed_at: int | None = None
    error: str | None = None
    failures: int = 0
    empty_looks: int = 0
    yields: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, row: Row | None) -> _State:
        if row is None:
            return cls()
        kept = {name: row[name] for name in cls.__slots__ if name != "yields"}
        return cls(**kept, yields=tuple((found, new) for found, new in json.loads(row["yields"])))

    def as_row(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__slots__}
        return row | {"yields": json.dumps(self.yields)}

    def failed(self, look: SourceLook) -> _State:
        return _State(
            self.etag,
            self.last_modified,
            self.success_at,
            self.changed_at,
            look.error,
            self.failures + 1,
            self.empty_looks,
            self.yields,
        )

    def succeeded(self, look: SourceLook, now: int) -> _State:
        """Count a look that worked; one at a source that had nothing newer says nothing of its yield."""
        brought = look.new or look.changed
        empty = self.empty_looks if look.unchanged else 0 if look.found else self.empty_looks + 1
        yields = self.yields if look.unchanged else (*self.yields, (look.found, look.new))[-KEPT_YIELDS:]
        return _State(
            self.etag if look.unchanged else look.etag,
            self.last_modified if look.unchanged else look.last_modified,
            now,
            now if brought else self.changed_at,
            None,
            0,
            empty,
            yields,
        )

    def alarms(self, look: SourceLook, after: _State) -> list[tuple[str, dict[str, Any]]]:
        """List what has just become remarkable at this source, judged by what it used to bring."""
        found: list[tuple[str, dict[str, Any]]] = []
        usual = median(count for count, _ in self.yields) if self.yields else 0
        if after.empty_looks == SILENT_AFTER > self.empty_looks and self.used_to_find():
            found.append(("source_silent", {"empty_looks": after.empty_looks, "median_found": usual}))
        news = [new for _, new in self.yields if new]
        if (
            len(self.yields) >= SURGE_AFTER
            and news
            and look.new >= max(SURGE_LEAST, SURGE_FACTOR * median(news))
        ):
            found.append(("source_surged", {"new": look.new, "median_new": median(news)}))
        return found

    def used_to_find(self) -> bool:
        """Tell whether it had something before it had nothing."""
        before = self.yields[: len(self.yields) - self.empty_looks]
        return bool(before) and median(count for count, _ in before) > 0


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """
    How one source of a job is doing; instants in Unix milliseconds.

    `source` is empty for a strategy that has but one. `last_found` and `last_new` are of the last look that
    read it, the medians of the last 20. `share_new` is the part of what was found in these that was new.
    `empty_looks` and `failures` count in a row.
    """

    source: str
    looked_at: int | None
    success_at: int | None
    changed_at: int | None
    error: str | None
    failures: int
    empty_looks: int
    last_found: int | None
    last_new: int | None
    median_found: float | None
    median_new: float | None
    share_new: float | None


LIST_EMPTY = """
SELECT source, etag, last_modified, looked_at, success_at, changed_at, error, failures, empty_looks, yields
  FROM source_state
 WHERE job_id = :job_id AND empty_looks >= :silent_after AND looked_at >= :since
 ORDER BY source
 LIMIT 1000
"""


def list_silent(conn: Connection, job_id: str, since: int) -> list[tuple[str, int]]:
    """
    List the sources of a job that have gone silent, at most 1,000, each with how many looks in a row were empty.

    One that was not looked at since an instant (Unix ms) is left out.
    """
    rows = conn.execute(
        LIST_EMPTY, {"job_id": job_id, "silent_after": SILENT_AFTER, "since": since}
    ).fetchall()
    return [(row["source"], row["empty_looks"]) for row in rows if _State.read(row).used_to_find()]


LIST_FAILING = """
SELECT source, failures, error
  FROM source_state
 WHERE job_id = :job_id AND failures >= :failing_after AND looked_at >= :since
 ORDER BY source
 LIMIT 1000
"""


def list_failing(conn: Connection, job_id: str, since: int) -> list[tuple[str, int, str]]:
    """List the sources that fail, like `list_silent`, each with how often in a row, and how it failed last."""
    asked = {"job_id": job_id, "failing_after": FAILING_AFTER, "since": since}
    return [tuple(row) for row in conn.execute(LIST_FAILING, asked).fetchall()]


_AS_STORED = ("source", "looked_at", "success_at", "changed_at", "error", "failures", "empty_looks")

LIST_SOURCES = """
SELECT source, looked_at, success_at, changed_at, error, failures, empty_looks, yields
  FROM source_state
 WHERE job_id = :job_id
 ORDER BY failures DESC, empty_looks DESC, source
 LIMIT :limit
"""


def list_sources(conn: Connection, job_id: str, limit: int = 1000) -> list[SourceHealth]:
    """List how at most `limit` sources of a job are doing, those in trouble first."""
    rows = conn.execute(LIST_SOURCES, {"job_id": job_id, "limit": limit})
    return [_judge(row) for row in rows]


def _judge(row: Row) -> SourceHealth:
    yields: list[tuple[int, int]] = json.loads(row["yields"])
    found, new = sum(count for count, _ in yields), sum(count for _, count in yields)
    return SourceHealth(
        **{name: row[name] for name in _AS_STORED},
        last_found=yields[-1][0] if yields else None,
        last_new=yields[-1][1] if yields else None,
        median_found=median(count for count, _ in yields) if yields else None,
        median_new=median(count for _, count in yields) if yields else None,
        share_new=new / found if found else None,
    )
