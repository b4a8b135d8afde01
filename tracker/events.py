"""Events: the record of every move and action. Costs: the record of every dollar."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.clock import EPOCH, now_ms
from tracker.connection import Connection, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracker.rows import Row

LOG_EVENT = """
INSERT INTO events (at, job_id, item_id, stage, attempt, kind, by, detail)
VALUES (:now, :job_id, :item_id, :stage, :attempt, :kind, :by, :detail)
"""


def log_event(
    conn: Connection,
    job_id: str | None,
    kind: str,
    *,
    item_id: int | None = None,
    stage: str | None = None,
    attempt: int | None = None,
    by: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Record an event; its id, which only grows. Joins the caller's transaction, else commits by itself."""
    with write(conn):
        append_event(conn, job_id, kind, item_id, stage, attempt, by, detail)
        return conn.last_insert_rowid()


def append_event(
    conn: Connection,
    job_id: str | None,
    kind: str,
    item_id: int | None,
    stage: str | None,
    attempt: int | None,
    by: str | None,
    detail: Mapping[str, Any] | None,
) -> None:
    """Record an event in the transaction that the caller has open."""
    append_events(conn, [Event(job_id, kind, item_id, stage, attempt, by, detail)])


class Event(NamedTuple):
    """What happened: a move of one stage, or an action."""

    job_id: str | None
    kind: str
    item_id: int | None
    stage: str | None
    attempt: int | None
    by: str | None
    detail: Mapping[str, Any] | None = None


def append_events(conn: Connection, events: Iterable[Event]) -> None:
    """Record events, in their order, in the transaction that the caller has open."""
    now = now_ms()
    conn.executemany(LOG_EVENT, [_bind(one, now) for one in events])


def _bind(event: Event, now: int) -> dict[str, Any]:
    job_id, kind, item_id, stage, attempt, by, detail = event
    return {
        "now": now,
        "job_id": job_id,
        "item_id": item_id,
        "stage": stage,
        "attempt": attempt,
        "kind": kind,
        "by": by,
        "detail": write_json(detail) if detail else None,
    }


def append_moves(
    conn: Connection,
    job_id: str,
    kind: str,
    places: Iterable[tuple[int, str, int]],
    by: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Record the same event for each (item, stage, attempt), in the transaction that the caller has open."""
    append_events(
        conn,
        [Event(job_id, kind, item_id, stage, attempt, by, detail) for item_id, stage, attempt in places],
    )


GET_EVENTS = """
SELECT e.event_id, e.at, e.job_id, i.key, e.item_id, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM events e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE e.event_id > :after
 ORDER BY e.event_id DESC
 LIMIT :limit
"""

GET_EVENTS_OF_JOB = """
SELECT e.event_id, e.at, e.job_id, i.key, e.item_id, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM events e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE e.job_id = :job_id AND e.event_id > :after
 ORDER BY e.event_id DESC
 LIMIT :limit
"""

GET_EVENTS_OF_ITEM = """
SELECT e.event_id, e.at, e.job_id, i.key, e.item_id, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM events e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE e.item_id = :item_id AND e.event_id > :after
 ORDER BY e.event_id DESC
 LIMIT :limit
"""


def get_events(
    conn: Connection,
    job_id: str | None = None,
    *,
    item_id: int | None = None,
    limit: int = 100,
    after: int = 0,
) -> list[Row]:
    """Get the newest events, newest first, at most `limit`, with ids above `after`; of a job or item if given."""
    asked = {"job_id": job_id, "item_id": item_id, "limit": limit, "after": after}
    if item_id is not None:
        return conn.execute(GET_EVENTS_OF_ITEM, asked).fetchall()
    return conn.execute(GET_EVENTS_OF_JOB if job_id is not None else GET_EVENTS, asked).fetchall()


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def write_json(value: Mapping[str, Any]) -> str:
    """Write JSON as people read it; what UTF-8 cannot hold, as in some file names, is escaped."""
    text = json.dumps(dict(value), ensure_ascii=False)
    return json.dumps(dict(value)) if _LONE_SURROGATE.search(text) else text


LOG_COST = """
INSERT INTO costs (spent_at, job_id, item_id, stage, attempt, usd, provider, model, units, price, receipt)
VALUES (:now, :job_id, :item_id, :stage, :attempt, :usd, :provider, :model, :units, :price, :receipt)
    ON CONFLICT DO NOTHING
"""


def log_cost(
    conn: Connection,
    job_id: str,
    usd: float | None,
    provider: str,
    *,
    item_id: int | None = None,
    stage: str | None = None,
    attempt: int | None = None,
    units: Mapping[str, Any] | None = None,
    model: str | None = None,
    price: Mapping[str, Any] | None = None,
    receipt: str | None = None,
) -> None:
    """
    Record what an attempt spent, in US dollars; None when it is not known how much.

    `price` is what it was reckoned with. A cost whose `receipt` is on record already is not recorded again.
    Joins the caller's transaction, else commits by itself. A negative sum raises ValueError.
    """
    if usd is not None and usd < 0:
        raise ValueError(f"a cost cannot be negative: {usd}")
    with write(conn):
        conn.execute(
            LOG_COST,
            {
                "now": now_ms(),
                "job_id": job_id,
                "item_id": item_id,
                "stage": stage,
                "attempt": attempt,
                "usd": usd,
                "provider": provider,
                "model": model,
                "units": write_json(units or {}),
                "price": None if price is None else write_json(price),
                "receipt": receipt,
            },
        )


DAILY_COST = """
SELECT coalesce(sum(usd), 0.0) FROM spent_days WHERE job_id = :job_id AND day = :day
"""


def get_daily_cost(conn: Connection, job_id: str, day: date | str | None = None) -> float:
    """Sum what a job spent on one UTC day (a date or `YYYY-MM-DD`, today if None), in US dollars."""
    chosen = date.fromisoformat(day) if isinstance(day, str) else day or datetime.now(UTC).date()
    asked = {"job_id": job_id, "day": chosen.toordinal() - EPOCH.toordinal()}
    return float(conn.execute(DAILY_COST, asked).fetchone()[0])
