"""
Keep the full text of a job's items: one document each, made in small batches behind what happens.

`search_progress` says how far a job is read. A batch first takes the items that something happened to since, then
those that are new. A result that is stored by hand, without an event, is found when its item next moves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.choosing import LIST_JOB
from tracker.connection import write
from tracker.item_pages import LAST_EVENT, LAST_ITEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracker.connection import Connection

DOCUMENT_CHARACTERS = 200_000
"""So much of an item is read at most: its key, its data, then its results in their order."""

BATCH_CHARACTERS = 200_000
"""A batch ends when it has more than this: whoever wants to write waits for it."""

EVENTS_AT_ONCE = 2_000

TELLING = ("finish", "mark_done", "inject", "item_changed")
"""The kinds of events after which an item may say something else."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a job is read."""

    item_id: int
    event_id: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a batch writes: documents by their items, and how far the job is read then."""

    documents: Sequence[tuple[int, str]]
    position: Position


READ_POSITION = "SELECT item_id, event_id FROM search_progress WHERE job_id = :job_id"

BEGIN_READING = """
INSERT INTO search_progress (job_id, item_id, event_id) VALUES (:job_id, 0, :event_id)
    ON CONFLICT DO NOTHING
"""

MOVE_POSITION = """
UPDATE search_progress
   SET item_id = :item_id, event_id = :event_id
 WHERE job_id = :job_id AND item_id = :before_item AND event_id = :before_event
"""


def find_position(conn: Connection, job_id: str) -> Position | None:
    """Find how far a job is read; None when nothing of it is kept."""
    row = conn.execute(READ_POSITION, {"job_id": job_id}).fetchone()
    return Position(*row) if row else None


def is_behind(conn: Connection, job_id: str) -> bool:
    """Tell whether items of a job are still to be read for the first time."""
    position = find_position(conn, job_id)
    return position is not None and position.item_id < _find_last(conn, LAST_ITEM, job_id)


def _find_last(conn: Connection, sql: str, job_id: str) -> int:
    row = conn.execute(sql, {"job_id": job_id}).fetchone()
    return int(row[0]) if row else 0


# -- reading in -------------------------------------------------------------------------------------------


def read_in(conn: Connection, job_id: str, limit: int) -> int | None:
    """
    Read in what is new of a job, of at most `limit` items; how many. None when it is up to date.

    Commits once, and writes nothing when there is nothing new. Two who do so at once do nothing twice.
    """
    before = find_position(conn, job_id)
    if before is None:
        if not _find_last(conn, LAST_ITEM, job_id):
            return None
        before = Position(0, _find_last(conn, LAST_EVENT, job_id))
        with write(conn):
            conn.execute(BEGIN_READING, {"job_id": job_id, "event_id": before.event_id})
    batch = _read_changed(conn, job_id, before, limit) or _read_new(conn, job_id, before, limit)
    if batch is None:
        return None
    return _write(conn, job_id, before, batch)


SHOW_EVENTS = """
SELECT event_id, item_id, kind
  FROM events
 WHERE job_id = :job_id AND event_id > :after
 ORDER BY event_id
 LIMIT :limit
"""


def _read_changed(conn: Connection, job_id: str, before: Position, limit: int) -> _Batch | None:
    """Read anew the items that are read and that something happened to since, of each what it says now."""
    asked = {"job_id": job_id, "after": before.event_id, "limit": EVENTS_AT_ONCE}
    until, characters, documents = before.event_id, 0, dict[int, str]()
    for event_id, item_id, kind in conn.execute(SHOW_EVENTS, asked).fetchall():
        if len(documents) >= limit or characters > BATCH_CHARACTERS:
            break
        until = event_id
        is_read = item_id is not None and item_id <= before.item_id and item_id not in documents
        if is_read and kind in TELLING:
            documents |= _make_documents(conn, [item_id])
            characters += len(documents.get(item_id, ""))
    if until == before.event_id:
        return None
    return _Batch(list(documents.items()), Position(before.item_id, until))


def _read_new(conn: Connection, job_id: str, before: Position, limit: int) -> _Batch | None:
    asked = {"job_id": job_id, "after": before.item_id, "limit": limit}
    documents, characters = list[tuple[int, str]](), 0
    for item_id, words in _make_documents(conn, [row[0] for row in conn.execute(LIST_JOB, asked)]):
        documents.append((item_id, words))
        characters += len(words)
        if characters > BATCH_CHARACTERS:
            break
    return _Batch(documents, Position(documents[-1][0], before.event_id)) if documents else None


# Not of an item that was taken out since it was read.
PUT_DOCUMENT = """
INSERT OR REPLACE INTO search_documents (rowid, words)
SELECT item_id, :words FROM work_items WHERE item_id = :item_id
"""


def _write(conn: Connection, job_id: str, before: Position, batch: _Batch) -> int:
    with write(conn):
        if not _move(conn, job_id, before, batch.position):
            return 0  # somebody else was quicker
        for item_id, words in batch.documents:
            conn.execute(PUT_DOCUMENT, {"item_id": item_id, "words": words})
    return len(batch.documents)


def _move(conn: Connection, job_id: str, before: Position, after: Position) -> bool:
    asked = {
        "job_id": job_id,
        "item_id": after.item_id,
        "event_id": after.event_id,
        "before_item": before.item_id,
        "before_event": before.event_id,
    }
    conn.execute(MOVE_POSITION, asked)
    return conn.changes() == 1


# -- what an item says ------------------------------------------------------------------------------------

READ_TEXTS = """
SELECT i.item_id, '' AS stage, i.key, i.data AS said
  FROM work_items i
 WHERE i.item_id = :item_id
 UNION ALL
SELECT item_id, stage, NULL, result
  FROM (SELECT item_id, stage, result FROM results WHERE item_id = :item_id ORDER BY result_id)
"""


def _make_documents(conn: Connection, item_ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    for item_id in item_ids:
        texts = [text for _, text in list_texts(conn, item_id)]
        if texts:  # else it was removed meanwhile
            yield item_id, "\n".join(texts)


def list_texts(conn: Connection, item_id: int) -> list[tuple[str, str]]:
    """List what an item says, as (stage, text), its key and data first as of the stage ''; cut where it is long."""
    found: list[tuple[str, str]] = []
    left = DOCUMENT_CHARACTERS
    for _, stage, key, said in conn.execute(READ_TEXTS, {"item_id": item_id}).fetchall():
        pieces = ([key] if key is not None else []) + list(_list_words(json.loads(said)))
        text = "\n".join(pieces)[:left]
        left -= len(text)
        if text:
            found.append((stage, text))
    return found


def _list_words(value: Any) -> Iterator[str]:
    """List the texts and numbers within a JSON value, in their order."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            yield found.replace("\0", " ")  # SQLite would read no further
        elif isinstance(found, dict):
            waiting += reversed(found.values())
        elif isinstance(found, list):
            waiting += reversed(found)
        elif isinstance(found, int | float) and not isinstance(found, bool):
            yield str(found)


# -- forgetting -------------------------------------------------------------------------------------------

LIST_READ_BACKWARDS = """
SELECT item_id
  FROM work_items INDEXED BY idx_work_items_job
 WHERE job_id = :job_id AND item_id <= :upto
 ORDER BY item_id DESC
 LIMIT :limit
"""

FORGET_DOCUMENT = "DELETE FROM search_documents WHERE rowid = :item_id"

FORGET_PROGRESS = "DELETE FROM search_progress WHERE job_id = :job_id"


def forget(conn: Connection, job_id: str, limit: int) -> int | None:
    """
    Forget documents of a job that is searched no longer, at most `limit`; how many. None when nothing is left.

    Commits once. It goes backwards, so that a job that is searched again goes on where this came to.
    """
    before = find_position(conn, job_id)
    if before is None:
        return None
    asked = {"job_id": job_id, "upto": before.item_id, "limit": limit}
    item_ids = [row[0] for row in conn.execute(LIST_READ_BACKWARDS, asked)]
    with write(conn):
        after = Position(item_ids[-1] - 1 if item_ids else 0, before.event_id)
        if not _move(conn, job_id, before, after):
            return 0
        for item_id in item_ids:
            conn.execute(FORGET_DOCUMENT, {"item_id": item_id})
        if not item_ids:
            conn.execute(FORGET_PROGRESS, {"job_id": job_id})
    return len(item_ids)
