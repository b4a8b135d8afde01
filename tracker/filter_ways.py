"""The ways to the rows that a filter selects in a job, as far as its terms allow them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from pipeline.filters import Filter
from pipeline.lifecycle import Status
from tracker.filter_conditions import as_sql_of_groups, is_about_failures
from tracker.filter_routes import (
    BY_AGE,
    BY_GROUP,
    BY_LEASE,
    BY_NAME,
    BY_RUNNING,
    BY_STAGE,
    BY_STATUS,
    BY_VERSION,
    Branch,
    Way,
    write_groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.filter_values import Value
    from pipeline.filters import Term
    from tracker.connection import Connection

BRANCHES_MOST = 100
"""A way of more branches is none: looking into each would take longer than going through the job."""

BEYOND_ALL = "\U0010ffff"
"""Behind every text that begins alike."""


def list_ways(conn: Connection, wanted: Filter, job_id: str, now: int) -> Iterator[Way]:
    """List the ways to what a filter selects in a job; all but the one through the whole job."""
    for word in BY_NAME:
        yield from _by_name(wanted, word, job_id)
    yield from _by_age(wanted, job_id, now)
    of_stages = (_by_group, _by_version, _by_stage) if wanted.selects_stages else ()
    for find_way in (*of_stages, _by_status):
        way = find_way(conn, wanted, job_id)
        if way is not None and len(way.branches) <= BRANCHES_MOST:
            yield way


def _by_name(wanted: Filter, word: str, job_id: str) -> Iterator[Way]:
    if word == "host" and is_about_failures(wanted):
        return
    for term in wanted.list_terms(word):
        values = _leave_out_covered(term.values)
        if len(values) <= BRANCHES_MOST and all(value.text for value in values):
            yield Way([_make_name_branch(word, job_id, term, value) for value in values])


def _make_name_branch(word: str, job_id: str, term: Term, value: Value) -> Branch:
    exact, prefix = BY_NAME[word]
    bindings = {"job_id": job_id, "value": value.text}
    if value.is_prefix:
        bindings["beyond"] = value.text + BEYOND_ALL
    return Branch(prefix if value.is_prefix else exact, bindings, frozenset({term}))


def _leave_out_covered(values: Iterable[Value]) -> list[Value]:
    # no row may be found by two branches
    distinct = list(dict.fromkeys(values))
    prefixes = [value for value in distinct if value.is_prefix]
    return [
        value
        for value in distinct
        if not any(value.text.startswith(other.text) and other != value for other in prefixes)
    ]


def _find_times(wanted: Filter, now: int) -> tuple[int, int, frozenset[Term]]:
    """Find between which instants (Unix ms, both included) its ages allow discovery, and the terms that say so."""
    since, until, terms = 0, 2**62, set()
    for term in wanted.list_terms("age"):
        if len(term.values) > 1:
            continue
        (value,) = term.values
        instant = now - round((value.number or 0) * 1000)
        strict = len(value.operator) == 1
        if value.operator.startswith("<"):
            since = max(since, instant + strict)
        else:
            until = min(until, instant - strict)
        terms.add(term)
    return since, until, frozenset(terms)


def _by_age(wanted: Filter, job_id: str, now: int) -> Iterator[Way]:
    since, until, terms = _find_times(wanted, now)
    if terms:
        yield Way([Branch(BY_AGE, {"job_id": job_id, "since": since, "until": until}, terms)])


def fits_names(terms: Iterable[Term], name: str) -> bool:
    """Tell whether a name is among those that each of these terms allows."""
    return all(
        any(name.startswith(value.text) if value.is_prefix else name == value.text for value in term.values)
        for term in terms
    )


# -- items by their status --------------------------------------------------------------------------------

COUNT_BY_STATUS = "SELECT pending, in_progress, done, failed, skipped FROM item_counts WHERE job_id = :job_id"

NEXT_PRIORITY = """
SELECT min(priority)
  FROM work_items INDEXED BY idx_work_items_job_status
 WHERE job_id = :job_id AND status = :status AND status <> 'in_progress' AND priority > :after
"""

COMPARISONS = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
}


def _fits_numbers(terms: Iterable[Term], number: int) -> bool:
    return all(
        any(COMPARISONS[value.operator](number, value.number) for value in term.values) for term in terms
    )


def _by_status(conn: Connection, wanted: Filter, job_id: str) -> Way | None:
    statuses = [] if wanted.selects_stages else wanted.list_terms("status")
    priorities = wanted.list_terms("priority")
    if not statuses and not priorities:
        return None
    counts = conn.execute(COUNT_BY_STATUS, {"job_id": job_id}).fetchone()
    if counts is None:
        return Way([], 0)
    branches: list[Branch] = []
    size = 0
    for status in (status for status in Status if counts[status] and fits_names(statuses, status)):
        size += counts[status]
        if status is Status.IN_PROGRESS:
            branches.append(Branch(BY_RUNNING, {"job_id": job_id}, frozenset(statuses)))
            continue
        found = _list_distinct(conn, NEXT_PRIORITY, {"job_id": job_id, "status": status, "after": -(2**62)})
        if found is None:
            return None
        for priority in found:
            if _fits_numbers(priorities, priority):
                asked = {"job_id": job_id, "status": status, "priority": priority}
                branches.append(Branch(BY_STATUS, asked, frozenset([*statuses, *priorities])))
    return Way(branches, None if priorities else size)


def _list_distinct(conn: Connection, find_next: str, asked: dict[str, Any]) -> list[Any] | None:
    # from each value to the next by the index; None when there are more than a way may have branches
    found: list[Any] = []
    while (row := conn.execute(find_next, asked).fetchone())[0] is not None:
        if len(found) == BRANCHES_MOST:
            return None
        found.append(row[0])
        asked = asked | {"after": row[0]}
    return found


# -- stages by their status, their failure, their version -------------------------------------------------

COUNT_STAGES_BY_STATUS = """
SELECT stage, pending, in_progress, done, failed, skipped FROM stage_counts WHERE job_id = :job_id
"""


def _by_stage(conn: Connection, wanted: Filter, job_id: str) -> Way:
    stages, statuses = wanted.list_terms("stage"), wanted.list_terms("status")
    if any(wanted.list_terms(word) for word in ("error", "signature")):
        statuses = [*statuses, *Filter().narrow("status", Status.FAILED).terms]
    answers = frozenset([*stages, *wanted.list_terms("status")])
    counted = [
        row
        for row in conn.execute(COUNT_STAGES_BY_STATUS, {"job_id": job_id})
        if fits_names(stages, row["stage"])
    ]
    chosen = [
        (row["stage"], status, row[status])
        for row, status in product(counted, Status)
        if row[status] and fits_names(statuses, status)
    ]
    branches = [
        Branch(
            BY_LEASE if status is Status.IN_PROGRESS else BY_STAGE,
            {"job_id": job_id, "stage": stage, "status": status},
            answers,
        )
        for stage, status, _ in chosen
    ]
    return Way(branches, sum(count for _, _, count in chosen))


def _by_group(conn: Connection, wanted: Filter, job_id: str) -> Way | None:
    words = ("stage", "status", "error", "signature", "host")
    terms = [term for word in words for term in wanted.list_terms(word)]
    if not is_about_failures(wanted):
        return None
    where = as_sql_of_groups(Filter(tuple(terms)))
    assert where is not None  # noqa: S101  each of these words is one of groups
    asked = {"job_id": job_id, "most": BRANCHES_MOST + 1, **where.bindings}
    groups = conn.execute(write_groups(where.sql), asked).fetchall()
    branches = [Branch(BY_GROUP, {"group_id": group_id}, frozenset(terms)) for group_id, _ in groups]
    return Way(branches, sum(failed for _, failed in groups))


NEXT_VERSION = """
SELECT min(handler_version)
  FROM results INDEXED BY idx_results_job_stage_version
 WHERE job_id = :job_id AND stage = :stage AND handler_version > :after
"""


def _by_version(conn: Connection, wanted: Filter, job_id: str) -> Way | None:
    versions, stages = wanted.list_terms("version"), wanted.list_terms("stage")
    if not versions or wanted.list_terms("error") or wanted.list_terms("signature"):
        return None
    by_stage = _by_stage(conn, wanted, job_id)
    branches = [branch for branch in by_stage.branches if branch.bindings["status"] == Status.FAILED]
    for stage in dict.fromkeys(branch.bindings["stage"] for branch in by_stage.branches):
        found = _list_distinct(conn, NEXT_VERSION, {"job_id": job_id, "stage": stage, "after": ""})
        if found is None:
            return None
        for version in found:
            if all(any(_fits_version(version, value) for value in term.values) for term in versions):
                asked = {"job_id": job_id, "stage": stage, "version": version}
                branches.append(Branch(BY_VERSION, asked, frozenset([*versions, *stages])))
    return Way(branches)


def _fits_version(version: str, value: Value) -> bool:
    if value.operator == "=":
        return version == value.text
    is_whole = version.isascii() and version.isdigit()
    return is_whole and bool(COMPARISONS[value.operator](int(version), value.number))
