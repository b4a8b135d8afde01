"""
Choose the items that an action is for, page by page, by a cursor that outlives a killed process.

A choice is JSON with the name of its chooser in `by`. A chooser gives the next page after a cursor, or None at the
end; it reads only, and a page's cost does not depend on how many items there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.filters import parse_filter
from pipeline.lifecycle import Status
from tracker import selecting
from tracker.item_lists import list_ids_by_priority

if TYPE_CHECKING:
    from tracker.connection import Connection
    from tracker.selected import Selected

Cursor = Any
"""Where a choice goes on: JSON, None at the beginning."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom an action is for: of a job or any, about a stage or any, and the chooser with what it needs."""

    job_id: str | None
    stage: str | None
    how: Mapping[str, Any]
    asked_at: int


@dataclass(frozen=True, slots=True)
class Page:
    """
    The next items, all of one job; `stage` is the one that they were chosen for, if it is one.

    `places` are the (item, stage) that were chosen, where these were chosen and not whole items; `statuses` are those
    of the stages that are meant.
    """

    job_id: str
    item_ids: Sequence[int]
    stage: str | None
    cursor: Cursor
    places: Sequence[tuple[int, str]] | None = None
    statuses: Sequence[str] | None = None


Chooser = Callable[["Connection", Choice, Cursor, int], Page | None]


def choose_page(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """Choose the next `limit` items at most after the cursor, or None when there are no more."""
    return CHOOSERS[choice.how["by"]](conn, choice, cursor, limit)


# -- items by their ids -----------------------------------------------------------------------------------


def choose_items(_: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """Take the items named, in their order: `{"by": "items", "items": [ids]}` of one job."""
    first = cursor or 0
    item_ids = choice.how["items"][first : first + limit]
    if not item_ids or choice.job_id is None:
        return None
    return Page(choice.job_id, item_ids, choice.stage, first + len(item_ids))


# -- stages of items --------------------------------------------------------------------------------------


def choose_places(_: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """Take the stages named, in their order: `{"by": "places", "places": [[id, stage], …]}` of one job's items."""
    first = cursor or 0
    places = [(item_id, stage) for item_id, stage in choice.how["places"][first : first + limit]]
    if not places or choice.job_id is None:
        return None
    item_ids = list(dict.fromkeys(item_id for item_id, _ in places))
    return Page(choice.job_id, item_ids, choice.stage, first + len(places), places)


# -- all items of a job -----------------------------------------------------------------------------------

LIST_JOB = """
SELECT item_id
  FROM work_items INDEXED BY idx_work_items_job
 WHERE job_id = :job_id AND item_id > :after
 ORDER BY item_id
 LIMIT :limit
"""


def choose_job(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """Take all items of one job, the oldest first: `{"by": "job"}`."""
    asked = {"job_id": choice.job_id, "after": cursor or 0, "limit": limit}
    item_ids = [row[0] for row in conn.execute(LIST_JOB, asked)]
    if not item_ids or choice.job_id is None:
        return None
    return Page(choice.job_id, item_ids, choice.stage, item_ids[-1])


# -- all that failed --------------------------------------------------------------------------------------

NEXT_JOB_WITH_FAILED = """
SELECT job_id
  FROM item_counts
 WHERE failed > 0 AND job_id >= :from_job AND (job_id = :job_id OR :job_id IS NULL)
 ORDER BY job_id
 LIMIT 1
"""

LIST_FAILED = """
SELECT item_id
  FROM item_stages INDEXED BY idx_item_stages_status
 WHERE job_id = :job_id AND stage = :stage AND status = 'failed' AND item_id > :after
   AND status <> 'in_progress'                  -- the index's own words, or SQLite would not take it
 ORDER BY item_id
 LIMIT :limit
"""


def choose_failed(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """
    Take the items that failed, or failed at the choice's stage, of one job or of all: `{"by": "failed"}`.

    All failed stages of an item come together, and items beside each other in the file too: so a page of the file is
    written once.
    """
    job_id, after = cursor or ("", None)
    while True:
        found = conn.execute(NEXT_JOB_WITH_FAILED, {"job_id": choice.job_id, "from_job": job_id}).fetchone()
        if found is None:
            return None
        after = after if found[0] == job_id else None
        job_id = found[0]
        item_ids, after = _list_failed(conn, job_id, choice.stage, after, limit)
        if item_ids:
            return Page(job_id, item_ids, choice.stage, [job_id, after], statuses=[Status.FAILED])
        job_id += "\0"  # the next name after it


def _list_failed(
    conn: Connection, job_id: str, stage: str | None, after: Any, limit: int
) -> tuple[list[int], Any]:
    """List a job's failed items, or those that failed at a stage, behind `after`; and what to go on behind."""
    if stage is None:
        return list_ids_by_priority(conn, job_id, Status.FAILED, after, limit)
    asked = {"job_id": job_id, "stage": stage, "after": after or 0, "limit": limit}
    item_ids = [row[0] for row in conn.execute(LIST_FAILED, asked)]
    return item_ids, item_ids[-1] if item_ids else None


# -- what a filter selects --------------------------------------------------------------------------------


def choose_filter(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """Take what a filter selects, items or stages of items: `{"by": "filter", "text": FILTER}`."""
    after = None if cursor is None else selecting.Cursor(*cursor)
    wanted = parse_filter(choice.how["text"])
    found = selecting.select_page(conn, wanted, after=after, limit=limit, now=choice.asked_at).rows
    if not found:
        return None
    rows = _keep_whole_items(found, limit)
    rows = [row for row in rows if row.job_id == rows[0].job_id]
    places = [(row.item_id, row.stage) for row in rows if row.stage is not None]
    return Page(
        job_id=rows[0].job_id,
        item_ids=list(dict.fromkeys(row.item_id for row in rows)),
        stage=choice.stage,
        cursor=list(rows[-1].cursor),
        places=places or None,
    )


def _keep_whole_items(rows: Sequence[Selected], limit: int) -> Sequence[Selected]:
    """
    Leave the last item of a full page to the next one, unless it is the only one: more stages of it may follow.

    So an item is changed, and counted, in one page, if it has no more stages than that.
    """
    last = rows[-1]
    if last.stage is None or len(rows) < limit or rows[0].item_id == last.item_id:
        return rows
    return [row for row in rows if row.item_id != last.item_id]


# -- results by their versions ----------------------------------------------------------------------------

VERSIONS_OF_STAGE = "SELECT handler_version FROM result_versions WHERE job_id = :job_id AND stage = :stage"

LIST_MADE_BY = """
SELECT item_id
  FROM results INDEXED BY idx_results_job_stage_version
 WHERE job_id = :job_id AND stage = :stage AND handler_version IS :version AND item_id > :after
 ORDER BY item_id
 LIMIT :limit
"""

LIST_RESULTS_AMONG = """
SELECT r.item_id, r.stage
  FROM json_each(:item_ids) chosen
 CROSS JOIN results r ON r.item_id = chosen.value
 CROSS JOIN json_each(:versions) wanted ON wanted.key = r.stage
 WHERE wanted.value IS NULL OR r.handler_version IS NOT wanted.value
"""


def choose_results(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Page | None:
    """
    Take the stages with a result that another version made, the oldest items first, all stages of an item together.

    `{"by": "results", "versions": {STAGE: VERSION}}`, where VERSION is the present one, or None for results of any.
    `"text"` may be a filter to go by, and `"except"` the ids of items to leave out.
    """
    if choice.job_id is None:
        return None
    read = _list_made_by if choice.how.get("text") is None else _list_selected
    found = read(conn, choice, cursor, limit)
    if found is None:
        return None
    chosen, after = found
    left_out = set(choice.how.get("except", ()))
    places = sorted(place for place in chosen if place[0] not in left_out)
    item_ids = list(dict.fromkeys(item_id for item_id, _ in places))
    return Page(choice.job_id, item_ids, None, after, places)


Found = tuple[set[tuple[int, str]], Cursor]


def _list_made_by(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Found | None:
    places: set[tuple[int, str]] = set()
    for stage, present in choice.how["versions"].items():
        asked = {"job_id": choice.job_id, "stage": stage, "after": cursor or 0, "limit": limit}
        for (version,) in conn.execute(VERSIONS_OF_STAGE, asked).fetchall():
            if version != present:
                rows = conn.execute(LIST_MADE_BY, asked | {"version": version or None})
                places.update((row[0], stage) for row in rows)
    chosen = sorted({item_id for item_id, _ in places})[:limit]  # beyond it, a list may have been cut
    return ({place for place in places if place[0] <= chosen[-1]}, chosen[-1]) if chosen else None


def _list_selected(conn: Connection, choice: Choice, cursor: Cursor, limit: int) -> Found | None:
    page = choose_filter(conn, choice, cursor, limit)
    if page is None:
        return None
    asked = {"item_ids": json.dumps(list(page.item_ids)), "versions": json.dumps(choice.how["versions"])}
    places = {(item_id, stage) for item_id, stage in conn.execute(LIST_RESULTS_AMONG, asked)}
    return places & set(page.places) if page.places else places, page.cursor


CHOOSERS: dict[str, Chooser] = {
    "results": choose_results,
    "items": choose_items,
    "places": choose_places,
    "job": choose_job,
    "failed": choose_failed,
    "filter": choose_filter,
}
"""Every way to choose, by its name."""
