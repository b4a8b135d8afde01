"""
What a filter selects: items, or stages of items, page by page in the order of their jobs and ids.

Each page is read by the indexes that the filter's terms allow, so that it does not depend on how many items there
are; what no index answers (a text, a cost) is asked of the rows that the others leave.
"""

from __future__ import annotations

import time
from functools import cached_property
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

from tracker.clock import now_ms
from tracker.filter_conditions import Where, as_sql
from tracker.filter_plans import LAST, FilterPlan, list_sized_ways, make_filter_plan, probe
from tracker.filter_routes import Branch, Way, write_count, write_page
from tracker.filter_ways import BEYOND_ALL, fits_names
from tracker.item_pages import LAST_ITEM
from tracker.selected import Count, Cursor, Page, Selected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.filters import Filter
    from tracker.connection import Connection

__all__ = [
    "Count",
    "Cursor",
    "Page",
    "Selected",
    "as_sql",
    "count_matching",
    "look_for_page",
    "select_batches",
    "select_page",
]

WALK_AT_MOST = 100_000
"""A count that would look at more rows than this is told as "at least", unless asked exactly."""

FIRST_IDS = 256
"""How many ids `look_for_page` looks through at first; twice as many as long as that is soon done."""


def select_page(
    conn: Connection,
    wanted: Filter,
    *,
    after: Cursor | None = None,
    limit: int,
    newest_first: bool = False,
    now: int | None = None,
) -> Page:
    """
    Select at most `limit` items, or stages, in the order of job, item and stage's name; from `after` on.

    The order is stable: what is added later comes later in its job. With `newest_first` it is the other way round.
    Ages are told as of `now` (Unix ms), or of the present. Reads only.
    """
    return _Selection(conn, wanted, newest_first=newest_first, now=now).read_page(after, limit)


def look_for_page(
    conn: Connection,
    wanted: Filter,
    job_id: str,
    *,
    after: Cursor | None = None,
    limit: int,
    newest_first: bool = False,
    seconds: float,
) -> Page:
    """
    Select like `select_page` in one job, but look no longer than about so many seconds.

    A page with fewer rows than the limit, and a place to go on from, has not looked further than that place.
    """
    selection = _Selection(conn, wanted, newest_first=newest_first)
    row = conn.execute(LAST_ITEM, {"job_id": job_id}).fetchone()
    last = 0 if row is None else row[0]
    place = after or Cursor(job_id, last + 1 if newest_first else 0)
    until, ids, rows = time.monotonic() + seconds, FIRST_IDS, list[Selected]()
    while True:
        began = time.monotonic()
        border = max(0, place.item_id - ids) if newest_first else min(last, place.item_id + ids)
        rows += selection.read_between(place, border, limit + 1 - len(rows))
        if len(rows) > limit:
            return Page(rows[:limit], rows[limit - 1].cursor)
        if border == (0 if newest_first else last):
            return Page(rows, None)
        place = Cursor(job_id, border, "" if newest_first else BEYOND_ALL)
        ended = time.monotonic()
        if ended > until:
            return Page(rows, place)
        if ended - began < seconds / 8:
            ids *= 2


def select_batches(conn: Connection, wanted: Filter, size: int) -> Iterator[list[Selected]]:
    """
    Select all, batch by batch, at most `size` at a time and each read when it is asked for.

    Between two batches what was selected may be changed, by whoever asks too: nothing is given twice, and what
    no longer fits then is left out.
    """
    selection, after = _Selection(conn, wanted), None
    while True:
        page = selection.read_page(after, size)
        if page.rows:
            yield page.rows
        after = page.next_after
        if after is None:
            return


def count_matching(conn: Connection, wanted: Filter, at_most: int | None = WALK_AT_MOST) -> Count:
    """
    Count what a filter selects: from counters where they say it.

    Else no more than `at_most` rows are looked at, and then it is "at least"; None counts to the end.
    """
    return _Selection(conn, wanted).count(at_most)


LIST_JOBS = "SELECT job_id FROM item_counts ORDER BY job_id"


class _Selection:
    """One filter over one tracker at one moment, with its plan for each job."""

    def __init__(
        self, conn: Connection, wanted: Filter, *, newest_first: bool = False, now: int | None = None
    ) -> None:
        self._conn, self._wanted, self._now = conn, wanted, now_ms() if now is None else now
        self._newest_first = newest_first
        self._border: int | None = None
        self._plans: dict[str, FilterPlan] = {}

    @cached_property
    def _job_ids(self) -> list[str]:
        jobs = self._wanted.list_terms("job")
        return [row[0] for row in self._conn.execute(LIST_JOBS) if fits_names(jobs, row[0])]

    def read_page(self, after: Cursor | None, limit: int) -> Page:
        rows: list[Selected] = []
        for job_id in reversed(self._job_ids) if self._newest_first else self._job_ids:
            if after is None or job_id == after.job_id or (job_id < after.job_id) is self._newest_first:
                place = after if after and after.job_id == job_id else self._begin(job_id)
                rows += islice(self._read_job(place, limit + 1 - len(rows)), limit + 1 - len(rows))
            if len(rows) > limit:
                return Page(rows[:limit], rows[limit - 1].cursor)
        return Page(rows, None)

    def read_between(self, after: Cursor, border: int, limit: int) -> list[Selected]:
        """Read at most `limit` rows behind a place, no further than the item with the id `border`."""
        self._border = border
        return list(islice(self._read_job(after, limit), limit))

    def _begin(self, job_id: str) -> Cursor:
        return Cursor(job_id, LAST if self._newest_first else 0)

    def _read_job(self, after: Cursor, limit: int) -> Iterator[Selected]:
        plan = self._plan(after.job_id)
        chunk = limit if len(plan.way.branches) == 1 else max(16, 2 * limit // max(1, len(plan.way.branches)))
        streams = [self._stream(plan, branch, after, chunk) for branch in plan.way.branches]
        yield from merge(*streams, key=lambda row: row.cursor, reverse=self._newest_first)

    def _plan(self, job_id: str) -> FilterPlan:
        if job_id not in self._plans:
            self._plans[job_id] = make_filter_plan(self._conn, self._wanted, job_id, self._now)
        return self._plans[job_id]

    def _stream(self, plan: FilterPlan, branch: Branch, after: Cursor, chunk: int) -> Iterator[Selected]:
        sql, bindings = self._write_page(branch)
        while True:
            low, high = self._find_bounds(plan, after)
            place = {"low": low, "high": high, "after_item": after.item_id, "after_stage": after.stage}
            rows = self._conn.execute(sql, bindings | place | {"limit": chunk}).fetchall()
            yield from (Selected(*row) for row in rows)
            if len(rows) < chunk:
                return
            after = Cursor(after.job_id, rows[-1]["item_id"], rows[-1]["stage"] or "")

    def _find_bounds(self, plan: FilterPlan, after: Cursor) -> tuple[int, int]:
        step = 0 if self._wanted.selects_stages else 1  # other stages of the same item may follow
        low, high = plan.low, plan.high
        if self._newest_first:
            low, high = max(low, self._border or 0), min(high, after.item_id - step)
        else:
            low = max(low, after.item_id + step)
            high = high if self._border is None else min(high, self._border)
        return low, high

    def _write_page(self, branch: Branch) -> tuple[str, dict[str, Any]]:
        where = self._rest(branch)
        sql = write_page(
            branch.route,
            where.sql,
            of_stages=self._wanted.selects_stages,
            newest_first=self._newest_first,
        )
        return sql, branch.bindings | where.bindings

    def _rest(self, branch: Branch) -> Where:
        # the jobs are chosen one by one; what the branch answers need not be asked of each row
        answered = {*branch.answers, *self._wanted.list_terms("job")}
        return as_sql(self._wanted, self._now, without=answered)

    # -- how many ---------------------------------------------------------------------------------------

    def count(self, at_most: int | None) -> Count:
        number, left, is_exact = 0, at_most, True
        for job_id in self._job_ids:
            _, way = list_sized_ways(self._conn, self._wanted, job_id, self._now)[0]  # a count needs no order
            if self._is_counted(way):
                number += way.size or 0
                continue
            for branch in way.branches:
                if left is not None and left <= 0:
                    return Count(number, is_exact=False)
                found, walked = self._count_branch(branch, left)
                number += found
                if left is not None:
                    is_exact = is_exact and walked <= left
                    left -= walked
        return Count(number, is_exact)

    def _is_counted(self, way: Way) -> bool:
        answered = set(self._wanted.list_terms("job"))
        return way.size is not None and all(
            answered | branch.answers >= set(self._wanted.terms) for branch in way.branches
        )

    def _count_branch(self, branch: Branch, left: int | None) -> tuple[int, int]:
        where = self._rest(branch)
        walked = 0 if left is None else probe(self._conn, branch, left + 1)
        sql = write_count(branch.route, where.sql, of_stages=self._wanted.selects_stages)
        span = {"low": 0, "high": LAST, "most": -1 if left is None else left}
        asked = branch.bindings | where.bindings | span
        return int(self._conn.execute(sql, asked).fetchone()[0]), walked
