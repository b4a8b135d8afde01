"""What one item's page tells: its results, what it cost, what happened; each bounded, by its indexes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.reports import EventReport

if TYPE_CHECKING:
    from tracker.connection import Connection
    from tracker.rows import Row

MOST_VERSIONS = 100
MOST_COSTS = 100
EVENTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """An item as it stands. Instants are in Unix ms."""

    item_id: int
    job: str
    key: str
    status: str
    priority: int
    discovered_at: int
    host: str | None
    source: str | None
    data: dict[str, Any]


READ_ITEM = """
SELECT item_id, job_id, key, status, priority, discovered_at, host, source, data
  FROM work_items
 WHERE job_id = :job_id AND key = :key
"""

READ_ITEM_BY_ID = """
SELECT item_id, job_id, key, status, priority, discovered_at, host, source, data
  FROM work_items
 WHERE job_id = :job_id AND item_id = :item_id
"""


def find_facts(conn: Connection, job_id: str, key: str) -> ItemFacts | None:
    """Find an item of a job by its key, or None."""
    return _make_facts(conn.execute(READ_ITEM, {"job_id": job_id, "key": key}).fetchone())


def find_facts_by_id(conn: Connection, job_id: str, item_id: int) -> ItemFacts | None:
    """Find an item of a job by its id, or None."""
    return _make_facts(conn.execute(READ_ITEM_BY_ID, {"job_id": job_id, "item_id": item_id}).fetchone())


def _make_facts(row: Row | None) -> ItemFacts | None:
    if row is None:
        return None
    *facts, data = row
    return ItemFacts(*(*facts, json.loads(data)))


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """The result that counts of one stage, and what made it."""

    stage: str
    attempt: int
    handler_version: str | None
    stored_at: int
    result: dict[str, Any]


RESULTS_OF_ITEM = """
SELECT stage, attempt, handler_version, stored_at, result FROM results WHERE item_id = :item_id ORDER BY result_id
"""


def list_results_of(conn: Connection, item_id: int) -> dict[str, ResultFacts]:
    """List the results that count of an item, by stage."""
    rows = conn.execute(RESULTS_OF_ITEM, {"item_id": item_id})
    return {stage: ResultFacts(*(stage, *made, json.loads(result))) for stage, *made, result in rows}


@dataclass(frozen=True, slots=True)
class Version:
    """A result of a stage: the one that counts, or one that was replaced at `replaced_at`."""

    stage: str
    attempt: int
    handler_version: str | None
    stored_at: int
    replaced_at: int | None
    characters: int


VERSIONS_OF_ITEM = """
SELECT stage, attempt, handler_version, stored_at, replaced_at, length(result)
  FROM results_history
 WHERE item_id = :item_id
 ORDER BY stage, history_id DESC
 LIMIT :limit
"""


def list_versions(conn: Connection, item_id: int) -> list[Version]:
    """List the results of an item that were replaced, without their texts, by stage, newest first; at most 100."""
    rows = conn.execute(VERSIONS_OF_ITEM, {"item_id": item_id, "limit": MOST_VERSIONS})
    return [Version(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one attempt of a stage spent with one provider and model; `usd` is None where nobody knows how much."""

    stage: str | None
    attempt: int | None
    provider: str
    model: str | None
    usd: float | None
    costs: int


COSTS_OF_ITEM = """
SELECT stage, attempt, provider, model, sum(usd), count(*)
  FROM costs
 WHERE item_id = :item_id
 GROUP BY stage, attempt, provider, model
 ORDER BY max(cost_id) DESC
 LIMIT :limit
"""


def list_costs(conn: Connection, item_id: int) -> list[Spent]:
    """List what an item cost, by attempt, provider and model, the newest first; at most 100."""
    return [Spent(*row) for row in conn.execute(COSTS_OF_ITEM, {"item_id": item_id, "limit": MOST_COSTS})]


EVENTS_OF_ITEM_BEFORE = """
SELECT event_id, at, job_id, NULL, stage, attempt, kind, by, detail
  FROM events
 WHERE item_id = :item_id AND event_id < :before
 ORDER BY event_id DESC
 LIMIT :limit
"""


def list_events(conn: Connection, item_id: int, before: int | None = None) -> list[EventReport]:
    """List what happened to an item, the newest first, before an event if one is given; at most 100."""
    asked = {"item_id": item_id, "before": 2**62 if before is None else before, "limit": EVENTS_AT_ONCE}
    return [
        EventReport(*(*facts, json.loads(detail or "{}")))
        for *facts, detail in conn.execute(EVENTS_OF_ITEM_BEFORE, asked)
    ]
