"""
The ways by which the rows that a filter selects are found: each by one index, in the order of the items' ids.

A way is one or several branches, each a range of one index within one job. Which way is taken is decided by how
many rows each would have to look at; what its index does not answer is asked of each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.filters import Term


class Route(NamedTuple):
    """
    A range of an index: which rows of which table.

    `gives` says which: items (`i`), stages (`s`), results (`r`), or of each item that runs one stage (`run`).
    `is_ordered` when it gives them in the order of their items' ids, so that a page needs no sorting; `is_short` when
    its index holds but what runs now.
    """

    table: str
    where: str
    gives: str = "items"
    is_ordered: bool = True
    is_short: bool = False


WHOLE_JOB = Route(
    "work_items i INDEXED BY idx_work_items_job", "i.job_id = :job_id AND i.item_id BETWEEN :low AND :high"
)
BY_KEY = Route(
    "work_items i INDEXED BY sqlite_autoindex_work_items_1",
    "i.job_id = :job_id AND i.key = :value AND i.item_id BETWEEN :low AND :high",
)
BY_KEY_PREFIX = Route(
    "work_items i INDEXED BY sqlite_autoindex_work_items_1",
    "i.job_id = :job_id AND i.key >= :value AND i.key < :beyond AND i.item_id BETWEEN :low AND :high",
    is_ordered=False,
)
BY_HOST = Route(
    "work_items i INDEXED BY idx_work_items_host",
    "i.job_id = :job_id AND i.host = :value AND i.item_id BETWEEN :low AND :high",
)
BY_HOST_PREFIX = Route(
    "work_items i INDEXED BY idx_work_items_host",
    "i.job_id = :job_id AND i.host >= :value AND i.host < :beyond AND i.item_id BETWEEN :low AND :high",
    is_ordered=False,
)
BY_SOURCE = Route(
    "work_items i INDEXED BY idx_work_items_source",
    "i.job_id = :job_id AND i.source = :value AND i.item_id BETWEEN :low AND :high",
)
BY_SOURCE_PREFIX = Route(
    "work_items i INDEXED BY idx_work_items_source",
    "i.job_id = :job_id AND i.source >= :value AND i.source < :beyond AND i.item_id BETWEEN :low AND :high",
    is_ordered=False,
)
BY_AGE = Route(
    "work_items i INDEXED BY idx_work_items_discovered",
    "i.job_id = :job_id AND i.discovered_at BETWEEN :since AND :until AND i.item_id BETWEEN :low AND :high",
    is_ordered=False,
)
BY_STATUS = Route(
    "work_items i INDEXED BY idx_work_items_job_status",
    "i.job_id = :job_id AND i.status = :status AND i.status <> 'in_progress' AND i.priority = :priority "
    "AND i.item_id BETWEEN :low AND :high",
)
BY_RUNNING = Route(
    "item_stages run INDEXED BY idx_item_stages_leased",
    "run.job_id = :job_id AND run.status = 'in_progress' AND run.item_id BETWEEN :low AND :high "
    "AND NOT EXISTS (SELECT 1 FROM item_stages other WHERE other.item_id = run.item_id "
    "AND other.status = 'in_progress' AND other.stage < run.stage)",
    "running",
    is_ordered=False,
    is_short=True,
)
BY_STAGE = Route(
    "item_stages s INDEXED BY idx_item_stages_status",
    "s.job_id = :job_id AND s.stage = :stage AND s.status = :status AND s.status <> 'in_progress' "
    "AND s.item_id BETWEEN :low AND :high",
    "stages",
)
BY_LEASE = Route(
    "item_stages s INDEXED BY idx_item_stages_leased",
    "s.job_id = :job_id AND s.stage = :stage AND s.status = 'in_progress' AND s.item_id BETWEEN :low AND :high",
    "stages",
    is_ordered=False,
    is_short=True,
)
BY_GROUP = Route(
    "item_stages s INDEXED BY idx_item_stages_failure_group",
    "s.failure_group = :group_id AND s.status = 'failed' AND s.item_id BETWEEN :low AND :high",
    "stages",
)
BY_VERSION = Route(
    "results r INDEXED BY idx_results_job_stage_version",
    "r.job_id = :job_id AND r.stage = :stage AND r.handler_version = :version AND r.item_id BETWEEN :low AND :high",
    "results",
)

ROUTES = (
    WHOLE_JOB, BY_KEY, BY_KEY_PREFIX, BY_HOST, BY_HOST_PREFIX, BY_SOURCE, BY_SOURCE_PREFIX, BY_AGE, BY_STATUS,
    BY_RUNNING, BY_STAGE, BY_LEASE, BY_GROUP, BY_VERSION,
)  # fmt: skip

BY_NAME = {
    "key": (BY_KEY, BY_KEY_PREFIX),
    "host": (BY_HOST, BY_HOST_PREFIX),
    "source": (BY_SOURCE, BY_SOURCE_PREFIX),
}


@dataclass(frozen=True, slots=True)
class Branch:
    """One range of one index, with the terms that it answers wholly."""

    route: Route
    bindings: dict[str, Any]
    answers: frozenset[Term] = frozenset()


@dataclass(frozen=True, slots=True)
class Way:
    """Branches that together give all rows that a filter can select in a job; how many these are, if it is known."""

    branches: Sequence[Branch]
    size: int | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether each of its branches gives its rows in order, or has but few to sort."""
        return all(branch.route.is_ordered or branch.route.is_short for branch in self.branches)


# -- statements, put together from what stands above and from conditions of a filter -------------------------

JOINS = {
    ("items", False): "",
    ("items", True): "CROSS JOIN item_stages s ON s.item_id = i.item_id",
    ("running", False): "CROSS JOIN work_items i ON i.item_id = run.item_id AND i.status = 'in_progress'",
    ("running", True): """
 CROSS JOIN work_items i ON i.item_id = run.item_id AND i.status = 'in_progress'
 CROSS JOIN item_stages s ON s.item_id = run.item_id""",
    ("stages", True): "CROSS JOIN work_items i ON i.item_id = s.item_id",
    ("results", True): """
 CROSS JOIN item_stages s ON s.item_id = r.item_id AND s.stage = r.stage AND s.status <> 'failed'
 CROSS JOIN work_items i ON i.item_id = r.item_id""",
}
"""What else a row needs, by what its route gives and whether stages are selected."""

COLUMNS = {
    False: """i.item_id, i.job_id, i.key, NULL AS stage, i.status, NULL AS attempt, i.priority, i.discovered_at,
       i.host, i.source, NULL AS reason""",
    True: """s.item_id, s.job_id, i.key, s.stage, s.status, s.attempt, i.priority, i.discovered_at, i.host,
       i.source, s.reason""",
}

ORDERS = {"items": "i.item_id", "running": "run.item_id", "stages": "s.item_id", "results": "r.item_id"}


def write_page(route: Route, condition: str, *, of_stages: bool, newest_first: bool = False) -> str:
    """Write the statement that reads rows by a route, those behind `:after_item` and `:after_stage`."""
    down = " DESC" * newest_first
    order = f"{ORDERS[route.gives]}{down}{f', s.stage{down}' * of_stages}"
    beyond = "<" if newest_first else ">"
    behind = f"AND (s.item_id, s.stage) {beyond} (:after_item, :after_stage)" if of_stages else ""
    return f"""
SELECT {COLUMNS[of_stages]}
  FROM {route.table} {JOINS[route.gives, of_stages]}
 WHERE {route.where} {behind}
   AND {condition}
 ORDER BY {order}
 LIMIT :limit"""  # noqa: S608 - constants of ours


def write_probe(route: Route) -> str:
    """Write the statement that counts the rows of a route, up to `:most`."""
    return f"SELECT count(*) FROM (SELECT 1 FROM {route.table} WHERE {route.where} LIMIT :most)"  # noqa: S608


def write_span(route: Route) -> str:
    """Write the statement that finds the lowest and the highest id of a route's first `:most` rows, and their count."""
    rows = f"SELECT {ORDERS[route.gives]} AS id FROM {route.table} WHERE {route.where} LIMIT :most"  # noqa: S608
    return f"SELECT min(id), max(id), count(*) FROM ({rows})"  # noqa: S608


def write_count(route: Route, condition: str, *, of_stages: bool) -> str:
    """Write the statement that counts what fits among the first `:most` rows of a route."""
    alias = route.table.split()[1]
    columns = "item_id" if alias == "i" else "item_id, stage"
    return f"""
SELECT count(*)
  FROM (SELECT {columns} FROM {route.table} WHERE {route.where} LIMIT :most) found
 CROSS JOIN {route.table.split()[0]} {alias} USING ({columns}) {JOINS[route.gives, of_stages]}
 WHERE {condition}"""  # noqa: S608 - constants of ours


def write_groups(condition: str) -> str:
    """Write the statement that lists at most `:most` groups of a job's failures that are not over."""
    return f"""
SELECT g.group_id, g.failed
  FROM failure_groups g INDEXED BY idx_failure_groups_failed
 WHERE g.job_id = :job_id AND g.failed > 0
   AND {condition}
 LIMIT :most"""  # noqa: S608 - constants of ours
