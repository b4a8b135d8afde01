"""The terms of a filter as SQL, over `i` (work_items) and, where stages are selected, `s` (item_stages)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.filter_words import FILTER_WORDS, ValueKind
from pipeline.lifecycle import Status
from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pipeline.filter_values import Value
    from pipeline.filters import Filter, Term

Bindings = dict[str, Any]


class Where(NamedTuple):
    """A condition in SQL, made of this module's constants, and what its parameters stand for."""

    sql: str
    bindings: Bindings


# In each, `:value` stands for the value, or for the values as a JSON list. First, over `g` (failure_groups).

GROUP_IS_ONE_OF = {
    "job": "g.job_id IN (SELECT value FROM json_each(:value))",
    "stage": "g.stage IN (SELECT value FROM json_each(:value))",
    "failure_host": "g.host IN (SELECT value FROM json_each(:value))",
    "signature": "EXISTS (SELECT 1 FROM json_each(:value) WHERE value IN (g.signature, g.name))",
    "error": """EXISTS (SELECT 1 FROM json_each(:value)
                      WHERE g.error_type = value OR instr(lower(g.signature), lower(value)))""",
    "stage_status": "EXISTS (SELECT 1 FROM json_each(:value) WHERE value = 'failed')",
}

GROUP_BEGINS_WITH = {
    "job": "instr(g.job_id, :value) = 1",
    "stage": "instr(g.stage, :value) = 1",
    "failure_host": "g.host <> '' AND instr(g.host, :value) = 1",
    "signature": "(instr(g.signature, :value) = 1 OR instr(g.name, :value) = 1)",
}


def _in_group(condition: str) -> str:
    groups = f"SELECT g.group_id FROM failure_groups g WHERE {condition}"  # noqa: S608 - one of the above
    return f"(s.status = 'failed' AND s.failure_group IN ({groups}))"


IS_ONE_OF = {
    "job": "i.job_id IN (SELECT value FROM json_each(:value))",
    "key": "i.key IN (SELECT value FROM json_each(:value))",
    "host": "i.host IN (SELECT value FROM json_each(:value))",
    "source": "i.source IN (SELECT value FROM json_each(:value))",
    "stage": "s.stage IN (SELECT value FROM json_each(:value))",
    "worker": "s.worker IN (SELECT value FROM json_each(:value))",
    "backfill": "s.backfill IN (SELECT value = 'yes' FROM json_each(:value))",
    "item_status": "i.status IN (SELECT value FROM json_each(:value))",
    "stage_status": "s.status IN (SELECT value FROM json_each(:value))",
    **{word: _in_group(GROUP_IS_ONE_OF[word]) for word in ("signature", "failure_host", "error")},
}

BEGINS_WITH = {
    "job": "instr(i.job_id, :value) = 1",
    "key": "instr(i.key, :value) = 1",
    "host": "instr(i.host, :value) = 1",
    "source": "instr(i.source, :value) = 1",
    "stage": "instr(s.stage, :value) = 1",
    "worker": "instr(s.worker, :value) = 1",
    **{word: _in_group(GROUP_BEGINS_WITH[word]) for word in ("signature", "failure_host")},
}

_VERSION = """
      iif(s.status = 'failed',
          (SELECT handler_version FROM failures f
            WHERE f.item_id = s.item_id AND f.stage = s.stage AND f.attempt = s.attempt),
          (SELECT handler_version FROM results r WHERE r.item_id = s.item_id AND r.stage = s.stage))"""

_WHOLE_VERSION = (
    f"iif({_VERSION} GLOB '[0-9]*' AND {_VERSION} NOT GLOB '*[^0-9]*', CAST({_VERSION} AS INTEGER), NULL)"
)

COMPARED = {
    "priority": "i.priority",
    "attempt": "s.attempt",
    "discovered": "i.discovered_at",
    "item_cost": "round(coalesce((SELECT usd FROM spent_items c WHERE c.item_id = i.item_id), 0.0), 9)",
    "stage_cost": "round((SELECT total(usd) FROM costs c WHERE c.item_id = i.item_id AND c.stage = s.stage), 9)",
    "version": _VERSION,
    "whole_version": _WHOLE_VERSION,
}

COMPARE = {"<": "< :value", "<=": "<= :value", ">": "> :value", ">=": ">= :value", "=": "= :value"}

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The older, the earlier."""

HOLDS_TEXT = """
      (json_quote(i.key) LIKE :value ESCAPE '!' OR i.data LIKE :value ESCAPE '!'
       OR EXISTS (SELECT 1 FROM results r WHERE r.item_id = i.item_id AND r.result LIKE :value ESCAPE '!'))"""


def as_sql(wanted: Filter, now: int | None = None, *, without: Collection[Term] = ()) -> Where:
    """
    Write a filter as a condition over `i` (work_items) and, if it selects stages, `s` (item_stages).

    Ages count back from `now` (Unix ms). The parameters' names begin with `filter_`. Terms in `without` are left
    out; without any the condition is `true`. It may be slow by itself: `tracker.selecting` finds the rows by
    their indexes first.
    """
    present = now_ms() if now is None else now
    terms = [term for term in wanted.terms if term not in without]
    return _join(
        [_list_alternatives(wanted, term, present) for term in terms], [term.negated for term in terms]
    )


def as_sql_of_groups(wanted: Filter) -> Where | None:
    """Write a filter as a condition over `g` (failure_groups); None when a word of it looks at single stages."""
    alternatives = []
    for term in wanted.terms:
        column = "failure_host" if term.word == "host" else _find_column(wanted, term.word)
        if column == "item_status":
            column = "stage_status"
        if column not in GROUP_IS_ONE_OF:
            return None
        alternatives.append(_list_names(GROUP_IS_ONE_OF[column], GROUP_BEGINS_WITH.get(column, ""), term))
    return _join(alternatives, [term.negated for term in wanted.terms])


def _join(terms: Iterable[Iterable[tuple[str, Any]]], negated: Iterable[bool]) -> Where:
    bindings: Bindings = {}
    conditions = []
    for position, (alternatives, turned) in enumerate(zip(terms, negated, strict=True)):
        written = []
        for number, (sql, value) in enumerate(alternatives):
            name = f"filter_{position}_{number}"
            written.append(sql.replace(":value", f":{name}"))
            bindings[name] = value
        either = f"({' OR '.join(written)})"
        conditions.append(f"{either} IS NOT TRUE" if turned else either)
    return Where("\n   AND ".join(conditions) or "true", bindings)


def is_about_failures(wanted: Filter) -> bool:
    """Tell whether all that a filter selects is failed stages, whose host is the one that they failed at."""
    return wanted.selects_stages and (
        any(wanted.list_terms(word) for word in ("error", "signature"))
        or any(
            {value.text for value in term.values} == {Status.FAILED} for term in wanted.list_terms("status")
        )
    )


def _list_alternatives(wanted: Filter, term: Term, now: int) -> Iterator[tuple[str, Any]]:
    kind = FILTER_WORDS[term.word].kind
    column = _find_column(wanted, term.word)
    if term.word == "text":
        yield from ((HOLDS_TEXT, _as_pattern(value.text)) for value in term.values)
    elif kind in (ValueKind.NAME, ValueKind.CHOICE, ValueKind.TEXT):
        yield from _list_names(IS_ONE_OF[column], BEGINS_WITH.get(column, ""), term)
    else:
        yield from (_compare(column, value, now) for value in term.values)


def _list_names(is_one_of: str, begins_with: str, term: Term) -> Iterator[tuple[str, Any]]:
    exact = [value.text for value in term.values if not value.is_prefix]
    if exact:
        yield is_one_of, json.dumps(exact)
    yield from ((begins_with, value.text) for value in term.values if value.is_prefix)


def _find_column(wanted: Filter, word: str) -> str:
    if word in ("status", "cost"):
        return f"{'stage' if wanted.selects_stages else 'item'}_{word}"
    if word == "host" and is_about_failures(wanted):
        return "failure_host"
    return "discovered" if word == "age" else word


def _compare(column: str, value: Value, now: int) -> tuple[str, Any]:
    if column == "discovered":
        return f"{COMPARED[column]} {COMPARE[TURNED[value.operator]]}", now - round(
            (value.number or 0) * 1000
        )
    if column == "version" and value.operator == "=":
        return f"{COMPARED[column]} {COMPARE['=']}", value.text
    column = "whole_version" if column == "version" else column
    return f"{COMPARED[column]} {COMPARE[value.operator]}", value.number


def _as_pattern(text: str) -> str:
    # as it stands in JSON text, and with what LIKE takes for its own written out
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for sign in "!%_":
        escaped = escaped.replace(sign, f"!{sign}")
    return f"%{escaped}%"
