"""
What the workload promises of the file at the end, beyond what holds of any: how each item ended, and what it cost.

And of what the processes left beside the file: no word in their logs of a locked database, no message in the broker.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.chaos_handlers import kind_of
from tests.chaos.promises import Broken
from tests.chaos.workload import list_keys, must_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw
    import redis

MOST_INNOCENT = 0.002
"""The share of stages that may be poison although their handler kills nobody: mishaps killed three of their workers."""

LIST_ENDS = """
SELECT i.job_id, i.key, s.item_id, s.stage, s.status, s.crashes, coalesce(s.reason, '')
  FROM item_stages s
  JOIN work_items i ON i.item_id = s.item_id
"""

LIST_ITEMS = "SELECT job_id, key, item_id FROM work_items"


def is_killed_by_mishaps(status: str, crashes: int, reason: str) -> bool:
    """Tell whether a stage failed because its workers were killed, and not by itself."""
    return status == "failed" and crashes >= 3 and reason.startswith("poison: ")


def every_item_ended_as_it_must(conn: apsw.Connection, items: int) -> Iterator[Broken]:
    """
    Every key was found once, and each of its stages is as the workload says.

    A stage whose workers were killed three times by mishaps is poison, rightly; but few may be.
    """
    name = "every_item_ended_as_it_must"
    found = {(job, key): item_id for job, key, item_id in conn.execute(LIST_ITEMS)}
    wanted = set(list_keys(items))
    for job, key in wanted ^ found.keys():
        yield Broken(name, f"{key} of {job} was not found, or not asked for", found.get((job, key)))
    ends: dict[tuple[str, str], dict[str, tuple[str, int, str]]] = defaultdict(dict)
    for job, key, _, stage, *ended in conn.execute(LIST_ENDS):
        ends[job, key][stage] = tuple(ended)
    innocent = 0
    for (job, key), stages in ends.items():
        must = must_end(job, key)
        killed = {stage for stage, ended in stages.items() if is_killed_by_mishaps(*ended)}
        innocent += len(killed - {stage for stage in must if "failed" in must[stage]})
        if stages.keys() != must.keys():
            yield Broken(name, f"{key} has the stages {sorted(stages)}", found.get((job, key)))
            continue
        for stage, (status, _, reason) in stages.items():
            if status not in must[stage] and not killed:
                what = f"{stage} of {key} is {status} {reason}".strip()
                yield Broken(name, what, found[job, key], stage)
    if innocent > 2 + MOST_INNOCENT * len(wanted):
        yield Broken(name, f"{innocent} stages are poison without being so")


LIST_MADE = """
SELECT r.item_id, r.stage, r.attempt, r.result ->> 'attempt', i.key, r.result ->> 'key'
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id
 WHERE (r.attempt, i.key) IS NOT (r.result ->> 'attempt', r.result ->> 'key')
"""


def every_result_is_of_the_attempt_that_made_it(conn: apsw.Connection) -> Iterator[Broken]:
    """Handlers write into their results who they are: a lost attempt's is not recorded under its successor's number."""
    for item_id, stage, attempt, made_by, key, made_for in conn.execute(LIST_MADE):
        what = f"attempt {attempt} of {key} has what attempt {made_by} made for {made_for}"
        yield Broken("every_result_is_of_the_attempt_that_made_it", what, item_id, stage)


LIST_DEATHS = """
SELECT e.item_id, e.stage, i.key, e.kind, e.attempt, e.detail ->> 'reason'
  FROM events e
  JOIN events begun ON begun.item_id = e.item_id AND begun.stage = e.stage AND begun.attempt = e.attempt
                   AND begun.kind = 'claim' AND begun.event_id > :healed_at
  JOIN work_items i ON i.item_id = e.item_id
 WHERE e.kind = 'expire' OR (e.kind = 'release' AND e.detail ->> 'reason' LIKE '%prematurely%')
    OR (e.kind = 'fail' AND e.detail ->> 'reason' LIKE 'poison%')
"""


def nobody_dies_once_all_is_healed(conn: apsw.Connection, healed_at: int) -> Iterator[Broken]:
    """No attempt that began after the last mishap lost its worker, but to its handler. `healed_at` is an event's id."""
    for item_id, stage, key, kind, attempt, reason in conn.execute(LIST_DEATHS, {"healed_at": healed_at}):
        if not kind_of(key).startswith("kills"):
            what = f"{kind} of attempt {attempt} of {key}: {reason}"
            yield Broken("nobody_dies_once_all_is_healed", what, item_id, stage)


LIST_COSTS = """
SELECT c.job_id, i.key, c.stage, c.attempt, c.usd FROM costs c
  JOIN work_items i ON i.item_id = c.item_id
 ORDER BY c.cost_id
"""

Attempt = tuple[str, str, str, int]
"""The job, the key, the stage, the number."""


@dataclass(slots=True)
class Spending:
    """What one attempt says in the ledger that it spent, in order, and whether it saw all of it recorded."""

    spent: list[float] = field(default_factory=list)
    saw_all_recorded: bool = False


def read_ledger(path: Path) -> dict[Attempt, Spending]:
    """Read the ledger that the handlers wrote."""
    ledger: dict[Attempt, Spending] = defaultdict(Spending)
    for line in path.read_text().splitlines() if path.exists() else ():
        job, key, stage, attempt, what, usd = json.loads(line)
        if what == "spent":
            ledger[job, key, stage, attempt].spent.append(usd)
        else:
            ledger[job, key, stage, attempt].saw_all_recorded = True
    return ledger


def costs_add_up_with_what_was_spent(
    conn: apsw.Connection, ledger: dict[Attempt, Spending]
) -> Iterator[Broken]:
    """
    Every cost is on record once, whatever became of its attempt; nothing is on record that was not spent.

    The one exception: a handler that was killed between spending and saying so could not say it. So of an attempt
    that did not come to its end the last spending may be missing, and no other.
    """
    name = "costs_add_up_with_what_was_spent"
    recorded: dict[Attempt, list[float]] = defaultdict(list)
    for job, key, stage, attempt, usd in conn.execute(LIST_COSTS):
        recorded[job, key, stage, attempt].append(usd)
    for attempt, costs in recorded.items():
        if attempt not in ledger:
            yield Broken(name, f"{attempt} has {costs} on record and spent nothing")
    for attempt, spending in ledger.items():
        least = len(spending.spent) - (not spending.saw_all_recorded)
        costs = recorded[attempt]
        if costs != spending.spent[: len(costs)] or len(costs) < least:
            yield Broken(name, f"{attempt} spent {spending.spent}; on record: {costs}")


FORBIDDEN = re.compile("database is locked|BusyError|malformed|database disk image", re.IGNORECASE)


def nobody_saw_a_locked_database(logs: Path) -> Iterator[Broken]:
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            if FORBIDDEN.search(line):
                yield Broken("nobody_saw_a_locked_database", f"{path.name}: {line[:300]}")


def count_complaints(logs: Path) -> Counter[str]:
    """Count what the processes logged as errors, alike but for their numbers."""
    complaints: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            if '"level": "error"' in line and line.startswith("{"):
                told = json.loads(line)
                event = told["event"].partition("\n")[0]
                complaints[
                    re.sub(r"[0-9a-f]*\d[0-9a-f-]*", "N", f"{event} {told.get('error', '')}")[:160]
                ] += 1
            elif line.startswith("Traceback"):
                complaints[f"a traceback in {path.name}"] += 1
    return complaints


def no_message_is_left(client: redis.Redis) -> Iterator[Broken]:
    for key in client.scan_iter(_type="list"):
        if count := client.llen(key):
            yield Broken("no_message_is_left", f"{count} in {key.decode()}: {client.lindex(key, 0)!r:.400}")
