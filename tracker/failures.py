"""Failures by group: what failed alike, at one stage of one job and one host, is one thing to look at and act on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from pipeline.filter_values import Value
from pipeline.filters import EVERYTHING, Filter, Term
from pipeline.lifecycle import Status
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.filter_conditions import as_sql_of_groups
from tracker.filter_ways import BEYOND_ALL
from tracker.selected import Selected  # noqa: TC001 - for the JSON schema of the API
from tracker.selecting import WALK_AT_MOST, select_batches, select_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.rows import Row


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """
    One group of failures: those of a job's stage at a host (None where there is none) with one signature.

    `failed` stages are failed with it now; `attempts` ever failed so, those that were tried again included. The
    versions are the handler's, the last seen first. Times are Unix ms.
    """

    id: str
    job: str
    stage: str
    host: str | None
    signature: str
    failed: int
    attempts: int
    first_seen_at: int
    last_seen_at: int
    versions: list[str]
    example_key: str | None
    muted_at: int | None
    muted_by: str | None


@dataclass(frozen=True, slots=True)
class FailureGroups:
    """
    Groups, those with the most failed stages first, and how many more are muted.

    Not complete when a filter left more failed stages to look at than were looked at.
    """

    groups: list[FailureGroup]
    muted: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """The last attempt that failed in a group."""

    key: str
    attempt: int
    failed_at: int
    message: str
    traceback: str | None


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A group with its example, if that is still there, and some of the stages that are failed with it now."""

    group: FailureGroup
    example: Example | None
    stages: list[Selected]


def keep_to_failures(wanted: Filter) -> Filter:
    """Narrow a filter to the stages that are failed now; one that selects items to their failed stages."""
    any_stage = Term("stage", (Value("", is_prefix=True),))
    return Filter((*wanted.narrow("status", Status.FAILED).terms, any_stage))


def make_group_filter(group: FailureGroup) -> Filter:
    """Make the filter that selects the stages that are failed with a group's failure now."""
    return Filter().narrow("job", group.job).narrow("signature", group.id)


def list_groups(
    conn: Connection, wanted: Filter = EVERYTHING, *, with_all: bool = False, limit: int = 50
) -> FailureGroups:
    """
    List at most `limit` groups of failures (-1: all), those with the most failed stages first.

    Only those in which a stage is failed now, and that nobody muted, unless `with_all`. With a filter that looks
    at single items, each group counts only what fits, and at most 100,000 failed stages are looked at.
    """
    where = as_sql_of_groups(wanted)
    if where is None:
        return _list_walked(conn, wanted, with_all=with_all, limit=limit)
    rows = conn.execute(_write_list(where.sql, with_all=with_all), where.bindings | {"limit": limit})
    groups = [_make_group(row) for row in rows]
    muted = 0 if with_all else conn.execute(_write_muted(where.sql), where.bindings).fetchone()[0]
    return FailureGroups(groups, muted)


def _write_muted(condition: str) -> str:
    return f"""
SELECT count(*)
  FROM failure_groups g
 WHERE g.failed > 0 AND g.muted_at IS NOT NULL
   AND {condition}"""  # noqa: S608 - constants of ours


def _write_list(condition: str, *, with_all: bool) -> str:
    in_force = "true" if with_all else "g.failed > 0 AND g.muted_at IS NULL"
    return f"""
SELECT g.name, g.job_id, g.stage, g.host, g.signature, g.failed, g.attempts, g.first_seen_at, g.last_seen_at,
       g.muted_at, g.muted_by, g.group_id, g.example_attempt,
       (SELECT i.key FROM work_items i WHERE i.item_id = g.example_item_id) AS example_key,
       (SELECT json_group_array(handler_version ORDER BY last_seen_at DESC, handler_version)
          FROM failure_group_versions v
         WHERE v.group_id = g.group_id) AS versions
  FROM failure_groups g
 WHERE {in_force}
   AND {condition}
 ORDER BY g.failed DESC, g.last_seen_at DESC, g.group_id
 LIMIT :limit"""  # noqa: S608 - constants of ours


def _make_group(row: Row) -> FailureGroup:
    return FailureGroup(
        id=row["name"],
        job=row["job_id"],
        stage=row["stage"],
        host=row["host"] or None,
        signature=row["signature"],
        failed=row["failed"],
        attempts=row["attempts"],
        first_seen_at=row["first_seen_at"],
        last_seen_at=row["last_seen_at"],
        versions=json.loads(row["versions"]),
        example_key=row["example_key"],
        muted_at=row["muted_at"],
        muted_by=row["muted_by"],
    )


COUNT_BY_GROUP = """
SELECT s.failure_group, count(*)
  FROM json_each(:places) asked
  JOIN item_stages s ON s.item_id = asked.value ->> 0 AND s.stage = asked.value ->> 1
 WHERE s.status = 'failed' AND s.failure_group IS NOT NULL
 GROUP BY s.failure_group
"""

BATCH = 1000


def _list_walked(conn: Connection, wanted: Filter, *, with_all: bool, limit: int) -> FailureGroups:
    counted: Counter[int] = Counter()
    looked_at = 0
    for batch in select_batches(conn, keep_to_failures(wanted), BATCH):
        places = json.dumps([(one.item_id, one.stage) for one in batch])
        counted.update(dict(map(tuple, conn.execute(COUNT_BY_GROUP, {"places": places}))))
        looked_at += len(batch)
        if looked_at >= WALK_AT_MOST:
            break
    condition = "g.group_id IN (SELECT value FROM json_each(:found))"
    asked = {"found": json.dumps(list(counted)), "limit": -1}
    rows = conn.execute(_write_list(condition, with_all=True), asked)
    groups = [replace(_make_group(row), failed=counted[row["group_id"]]) for row in rows]
    groups.sort(key=lambda group: -group.failed)
    shown = [group for group in groups if with_all or group.muted_at is None]
    is_complete = looked_at < WALK_AT_MOST
    return FailureGroups(shown[: limit if limit >= 0 else None], len(groups) - len(shown), is_complete)


# -- one group --------------------------------------------------------------------------------------------

NAMES_FROM = """
SELECT name FROM failure_groups WHERE name >= :name AND name < :beyond ORDER BY name LIMIT 2
"""

NAMES_AROUND = "SELECT name FROM failure_groups ORDER BY last_seen_at DESC LIMIT 1000"

READ_EXAMPLE = """
SELECT i.key, f.attempt, f.failed_at, f.message, f.traceback
  FROM failure_groups g
  JOIN work_items i ON i.item_id = g.example_item_id
  JOIN failures f ON f.item_id = g.example_item_id AND f.stage = g.stage AND f.attempt = g.example_attempt
 WHERE g.name = :name
"""


def get_group(conn: Connection, name: str) -> FailureGroup:
    """Get a group by its id, or by the beginning of it if no other begins so. Raises `NotFoundError`."""
    found = [row[0] for row in conn.execute(NAMES_FROM, {"name": name, "beyond": name + BEYOND_ALL}) if name]
    if len(found) > 1 and name not in found:
        raise NotFoundError("single group of failures whose id begins with", name, found[0])
    if not found:
        near = [row[0] for row in conn.execute(NAMES_AROUND)]
        raise NotFoundError("group of failures with the id", name, find_nearest(name, near))
    whole = name if name in found else found[0]
    rows = conn.execute(_write_list("g.name = :name", with_all=True), {"name": whole, "limit": 1})
    return _make_group(rows.fetchone())


def get_group_report(conn: Connection, name: str, limit: int = 50) -> GroupReport:
    """Report on a group, with at most `limit` of its failed stages. Raises `NotFoundError`."""
    group = get_group(conn, name)
    example = conn.execute(READ_EXAMPLE, {"name": group.id}).fetchone()
    stages = select_page(conn, make_group_filter(group), limit=limit).rows
    return GroupReport(group, Example(*example) if example else None, stages)


# -- muting -----------------------------------------------------------------------------------------------

MUTE = """
UPDATE failure_groups
   SET muted_at = :now, muted_by = :by
 WHERE name IN (SELECT value FROM json_each(:names)) AND (muted_at IS NULL) = (:now IS NOT NULL)
RETURNING name, job_id
"""


def mute_groups(conn: Connection, names: Sequence[str], by: str) -> int:
    """Mute groups: `failures` shows them no more, and nobody is told of them; how many were not yet. Commits."""
    return _mute(conn, "mute", names, now_ms(), by)


def unmute_groups(conn: Connection, names: Sequence[str], by: str) -> int:
    """Show groups again; how many were muted. Commits."""
    return _mute(conn, "unmute", names, None, by)


def _mute(conn: Connection, act: str, names: Sequence[str], now: int | None, by: str) -> int:
    asked = {"names": json.dumps(list(names)), "now": now, "by": by if now else None}
    with write(conn):
        changed = dict(map(tuple, conn.execute(MUTE, asked).fetchall()))
        if changed:
            jobs = set(changed.values())
            job_id = jobs.pop() if len(jobs) == 1 else None
            append_event(conn, job_id, act, None, None, None, by, {"groups": list(changed)})
    return len(changed)
