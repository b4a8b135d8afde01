"""Store what a discovery finds: new things let in or held, changed ones as the job wants it, in one transaction."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pipeline.on_change import OnChange
from pipeline.url_hosts import find_host_of_data, find_host_of_json
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.held import count_held
from tracker.item_data import complete_data, read_data, set_data
from tracker.items import INSERT_ITEM
from tracker.lanes import take_as_fresh
from tracker.recovery import reset_items
from tracker.run_counts import Counts, add_to_run
from tracker.sources import save_cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracker.discoveries import RunLease


class Found(Protocol):
    """A found thing as it comes from a strategy, checked; its data is JSON text."""

    @property
    def key(self) -> str:
        """The text by which the job knows it again."""

    @property
    def data_text(self) -> str:
        """What is known of it: the text of a JSON object."""

    @property
    def priority(self) -> int | None:
        """Higher goes first; None leaves it to the job."""

    @property
    def version(self) -> str | None:
        """Another text when the thing has changed; None when the source says nothing of that."""

    @property
    def source(self) -> str | None:
        """The source that it came from, or None for the batch's."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a job takes in what is found: the priority of its items, and what a changed one means."""

    priority: int = 0
    on_change: OnChange = OnChange.IGNORE


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a strategy goes on at a source: any JSON value, None for the beginning."""

    source: str
    value: Any


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch, in all and by source."""

    counts: Counts
    new_by_source: Counter[str] = field(default_factory=Counter)
    changed_by_source: Counter[str] = field(default_factory=Counter)


class _Known(NamedTuple):
    item_id: int
    version: str | None


def store_found(
    conn: Connection,
    run: RunLease,
    found: Sequence[Found],
    terms: Terms,
    *,
    room: int | None = None,
    source: str = "",
    cursor: Cursor | None = None,
) -> Stored:
    """
    Store a batch: at most `room` new items are let in (None: all), the rest are held for approval.

    A known item whose version differs is dealt with as the terms say. One transaction, with the cursor and the
    run's counts: all or nothing. Raises `StaleRunError` when the run is not this process's any more.
    """
    with write(conn):
        known, held = _find_known(conn, run.job_id, found)
        fresh = _pick_fresh(found, known, held)
        let_in, surplus = (fresh, []) if room is None else (fresh[:room], fresh[max(room, 0) :])
        changed = [item for item in found if _has_changed(item, known.get(item.key))]
        counts = Counts(len(found), len(let_in), len(changed), len(surplus))
        add_to_run(conn, run, counts)
        as_row = partial(_as_row, run.job_id, source, terms.priority, now_ms())
        conn.executemany(INSERT_ITEM, map(as_row, let_in))
        conn.executemany(HOLD_ITEM, map(as_row, surplus))
        _note_versions(conn, found, known)
        _apply_changes(conn, run.job_id, {known[item.key].item_id: item for item in changed}, terms.on_change)
        if cursor is not None:
            save_cursor(conn, run.job_id, cursor.source, cursor.value)
    return Stored(counts, _count_sources(fresh, source), _count_sources(changed, source))


HOLD_ITEM = """
INSERT INTO held_items (job_id, key, data, priority, version, source, host, held_at)
VALUES (:job_id, :key, :data, :priority, :version, :source, :host, :now)
    ON CONFLICT (job_id, key) DO NOTHING
"""

FIND_KNOWN = """
SELECT json_group_array(json_array(i.key, i.item_id, i.version))
  FROM json_each(:keys) asked
 CROSS JOIN work_items i ON i.job_id = :job_id AND i.key = asked.value
"""

FIND_HELD = """
SELECT h.key
  FROM json_each(:keys) asked
 CROSS JOIN held_items h ON h.job_id = :job_id AND h.key = asked.value
"""


def _list_known(conn: Connection, job_id: str, keys: Sequence[str]) -> Iterator[tuple[str, int, str | None]]:
    # As one JSON text: a batch of a thousand known keys is read in a third of the time that its rows take.
    asked = {"job_id": job_id, "keys": json.dumps(keys)}
    return map(tuple, json.loads(conn.execute(FIND_KNOWN, asked).fetchone()[0]))


def _find_known(conn: Connection, job_id: str, found: Sequence[Found]) -> tuple[dict[str, _Known], set[str]]:
    keys = [item.key for item in found]
    known = {key: _Known(item_id, version) for key, item_id, version in _list_known(conn, job_id, keys)}
    return known, find_held(conn, job_id, keys) if count_held(conn, job_id) else set()


def find_versions(conn: Connection, job_id: str, keys: Sequence[str]) -> dict[str, str | None]:
    """Find which of these keys the job knows, each with the version that it had when last seen."""
    return {key: version for key, _, version in _list_known(conn, job_id, list(keys))}


def find_held(conn: Connection, job_id: str, keys: Sequence[str]) -> set[str]:
    """Find which of these keys wait for approval."""
    asked = {"job_id": job_id, "keys": json.dumps(list(keys))}
    return {row[0] for row in conn.execute(FIND_HELD, asked)}


def _pick_fresh(found: Sequence[Found], known: Mapping[str, _Known], held: set[str]) -> list[Found]:
    fresh: dict[str, Found] = {}
    for item in found:
        if item.key not in known and item.key not in held:
            fresh.setdefault(item.key, item)
    return list(fresh.values())


def _has_changed(item: Found, known: _Known | None) -> bool:
    return (
        known is not None
        and item.version is not None
        and known.version is not None
        and item.version != known.version
    )


def _as_row(job_id: str, source: str, priority: int, now: int, item: Found) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "key": item.key,
        "data": item.data_text,
        "priority": priority if item.priority is None else item.priority,
        "version": item.version,
        "source": item.source or source,
        "host": find_host_of_json(item.data_text),
        "now": now,
    }


SET_VERSION = "UPDATE work_items SET version = :version WHERE item_id = :item_id"


def _note_versions(conn: Connection, found: Sequence[Found], known: Mapping[str, _Known]) -> None:
    conn.executemany(
        SET_VERSION,
        [
            {"item_id": was.item_id, "version": item.version}
            for item in found
            if item.version is not None and (was := known.get(item.key)) and was.version != item.version
        ],
    )


def _apply_changes(conn: Connection, job_id: str, changed: Mapping[int, Found], on_change: OnChange) -> None:
    if on_change is OnChange.IGNORE or not changed:
        return
    for item_id, item in changed.items():
        was, learned = read_data(conn, item_id), json.loads(item.data_text)
        now_is = complete_data(was, learned) if on_change is OnChange.MERGE else complete_data(learned, was)
        text = json.dumps(now_is, ensure_ascii=False, allow_nan=False)
        set_data(conn, item_id, text, find_host_of_data(now_is))
        detail = {"version": item.version, "on_change": on_change.value}
        append_event(conn, job_id, "item_changed", item_id, None, None, None, detail)
    if on_change is OnChange.REPROCESS:
        reset_items(conn, job_id, list(changed), "changed at its source")
        take_as_fresh(conn, list(changed))  # news, and nobody's wish


def _count_sources(items: Iterable[Found], source: str) -> Counter[str]:
    return Counter(item.source or source for item in items)
