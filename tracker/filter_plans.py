"""By which of its ways the rows are found that a filter selects in a job, and between which ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.filter_routes import WHOLE_JOB, Branch, Way, write_probe, write_span
from tracker.filter_ways import list_ways
from tracker.items import count_items

if TYPE_CHECKING:
    from pipeline.filters import Filter
    from tracker.connection import Connection

LAST = 2**62
"""Above every id."""

PROBE_AT_MOST = 20_000
"""A way to fewer rows than this is taken at once, and its rows are sorted if need be."""

SPAN_AT_MOST = 200_000
"""Of a way to this many rows it is not asked how far they reach: that would take longer than to pass others over."""


@dataclass(frozen=True, slots=True)
class FilterPlan:
    """How a job's rows are found: by which way, and between which ids they can only be."""

    way: Way
    low: int = 0
    high: int = LAST


def make_filter_plan(conn: Connection, wanted: Filter, job_id: str, now: int) -> FilterPlan:
    """Choose the way to the fewest rows, or when these are too many to sort, one in order between narrow bounds."""
    sized = list_sized_ways(conn, wanted, job_id, now)
    least, best = sized[0]
    if least < PROBE_AT_MOST:
        return FilterPlan(best)
    # Too many to sort: in order, then, and no further than the others reach.
    best = next(way for _, way in sized if way.is_ordered)
    spans = [
        _find_span(conn, way.branches[0]) for _, way in sized if not way.is_ordered and len(way.branches) == 1
    ]
    low, high = max((low for low, _ in spans), default=0), min((high for _, high in spans), default=LAST)
    return FilterPlan(best, low, high)


def list_sized_ways(conn: Connection, wanted: Filter, job_id: str, now: int) -> list[tuple[int, Way]]:
    """List the ways to what a filter selects, each with how many rows: the fewest first, last that through all."""
    items = None if wanted.selects_stages else count_items(conn, job_id)
    through_all = Way([Branch(WHOLE_JOB, {"job_id": job_id})], items)
    sized = [(_measure(conn, way), way) for way in list_ways(conn, wanted, job_id, now)]
    return [*sorted(sized, key=lambda one: one[0]), (LAST, through_all)]


def _measure(conn: Connection, way: Way) -> int:
    if way.size is not None:
        return way.size
    found = 0
    for branch in way.branches:
        if found < PROBE_AT_MOST:
            found += probe(conn, branch, PROBE_AT_MOST - found)
    return found


def probe(conn: Connection, branch: Branch, most: int) -> int:
    """Count the rows of a branch, no further than `most`."""
    asked = branch.bindings | {"low": 0, "high": LAST, "most": most}
    return int(conn.execute(write_probe(branch.route), asked).fetchone()[0])


def _find_span(conn: Connection, branch: Branch) -> tuple[int, int]:
    asked = branch.bindings | {"low": 0, "high": LAST, "most": SPAN_AT_MOST}
    low, high, rows = conn.execute(write_span(branch.route), asked).fetchone()
    if rows == SPAN_AT_MOST:
        return 0, LAST
    return (1, 0) if low is None else (low, high)
