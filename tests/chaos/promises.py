"""
What a tracker's file must show, whatever has happened to it: each promise a function, its name the sentence.

They read the file and nothing else, through a connection that may be read-only, and yield what is broken. They
share no code with the tracker but the table of moves, so that a fault in its SQL cannot hide itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lifecycle import CLAIM, FINISH, MARK_DONE, MOVES, REOPEN, Status, derive_item_status
from tests.chaos.recounts import LEFT_BEHIND, MISCOUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import apsw

    Promise = Callable[[apsw.Connection], Iterator["Broken"]]

BY_NAME = {move.name: move for move in MOVES}
MOVES_JSON = json.dumps(sorted(BY_NAME))


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept, and by which item and stage, if one is concerned."""

    promise: str
    what: str
    item_id: int | None = None
    stage: str | None = None

    def __str__(self) -> str:
        place = "" if self.item_id is None else f" (item {self.item_id}, {self.stage or 'any stage'})"
        return f"{self.promise.replace('_', ' ')}: {self.what}{place}"


# -- at every moment --------------------------------------------------------------------------------------


def the_file_is_sound(conn: apsw.Connection) -> Iterator[Broken]:
    for (fault,) in conn.execute("PRAGMA integrity_check(20)"):
        if fault != "ok":
            yield Broken("the_file_is_sound", fault)
    for table, _, parent, _ in conn.execute("PRAGMA foreign_key_check"):
        yield Broken("the_file_is_sound", f"a row of {table} refers to one of {parent} that is not there")


LIST_MOVES = """
SELECT item_id, stage, attempt, kind
  FROM events
 WHERE item_id IS NOT NULL AND stage IS NOT NULL AND kind IN (SELECT value FROM json_each(:moves))
 ORDER BY event_id
"""

LIST_STAGES = "SELECT item_id, stage, status, attempt FROM item_stages"


def every_move_is_legal_and_has_its_event(conn: apsw.Connection) -> Iterator[Broken]:
    """Replay the events: each move starts where the last one ended, and the last one ends where the stage is."""
    name = "every_move_is_legal_and_has_its_event"
    stood: dict[tuple[int, str], Status] = {}
    for item_id, stage, attempt, kind in conn.execute(LIST_MOVES, {"moves": MOVES_JSON}):
        move, place = BY_NAME[kind], (item_id, stage)
        is_new_in_the_plan = move is REOPEN and place not in stood and attempt == 0
        status = stood.get(place, Status.PENDING)
        if status not in move.sources and not is_new_in_the_plan:
            yield Broken(name, f"{kind} of attempt {attempt} found it {status}", item_id, stage)
        stood[place] = move.target
    for item_id, stage, status, _ in conn.execute(LIST_STAGES):
        told = stood.pop((item_id, stage), Status.PENDING)
        if told != status:
            yield Broken(name, f"it is {status}, by its events {told}", item_id, stage)
    for item_id, stage in stood:
        yield Broken(name, "it has events, and no row", item_id, stage)


def attempts_are_numbered_without_gap_or_return(conn: apsw.Connection) -> Iterator[Broken]:
    """Each claim has the number after the last one's, and nothing else is done under any other than the last."""
    name = "attempts_are_numbered_without_gap_or_return"
    last: dict[tuple[int, str], int] = defaultdict(int)
    for item_id, stage, attempt, kind in conn.execute(LIST_MOVES, {"moves": MOVES_JSON}):
        place = item_id, stage
        wanted = last[place] + (kind == CLAIM.name)
        if attempt != wanted:
            yield Broken(name, f"{kind} of attempt {attempt} after attempt {last[place]}", item_id, stage)
        last[place] = max(last[place], attempt)
    for item_id, stage, _, attempt in conn.execute(LIST_STAGES):
        if attempt != last[item_id, stage]:
            yield Broken(name, f"attempt {attempt}, by its events {last[item_id, stage]}", item_id, stage)


LIST_RESULTS = """
SELECT item_id, stage, count(*), max(attempt) FROM results GROUP BY item_id, stage
"""


def each_stage_has_one_result_that_counts(conn: apsw.Connection) -> Iterator[Broken]:
    """
    Every finished stage has one result, of the attempt that finished last, and no other stage has any.

    Nor was it finished twice without being asked for again between: what was recorded was recorded once.
    """
    name = "each_stage_has_one_result_that_counts"
    finished: dict[tuple[int, str], int] = {}
    by_hand: set[tuple[int, str]] = set()
    for item_id, stage, attempt, kind in conn.execute(LIST_MOVES, {"moves": MOVES_JSON}):
        if kind == FINISH.name:
            if finished.get((item_id, stage)) == attempt:
                yield Broken(name, f"attempt {attempt} finished twice", item_id, stage)
            finished[item_id, stage] = attempt
        elif kind == MARK_DONE.name:
            by_hand.add((item_id, stage))
    for item_id, stage, count, attempt in conn.execute(LIST_RESULTS):
        wanted = finished.pop((item_id, stage), None)
        if count != 1:
            yield Broken(name, f"{count} results count", item_id, stage)
        if attempt != wanted and (item_id, stage) not in by_hand:
            yield Broken(
                name, f"its result is attempt {attempt}'s; the last to finish: {wanted}", item_id, stage
            )
    for (item_id, stage), attempt in finished.items():
        if (item_id, stage) not in by_hand:  # a person may finish a stage that has no result
            yield Broken(name, f"attempt {attempt} finished, and has no result", item_id, stage)


def what_has_ended_holds_nothing(conn: apsw.Connection) -> Iterator[Broken]:
    for what, sql in LEFT_BEHIND.items():
        for item_id, stage in conn.execute(sql):
            yield Broken("what_has_ended_holds_nothing", f"{what} is left behind", item_id, stage)


def every_counter_equals_a_recount(conn: apsw.Connection) -> Iterator[Broken]:
    for counter, sql in MISCOUNTED.items():
        for (where,) in conn.execute(sql):
            yield Broken("every_counter_equals_a_recount", f"{counter} of {where}")


LIST_ITEMS = """
SELECT i.item_id, i.status, coalesce((SELECT json_group_array(s.status) FROM item_stages s
                                       WHERE s.item_id = i.item_id), '[]')
  FROM work_items i
"""

LIST_NEEDS_LEFT = """
SELECT s.item_id, s.stage FROM item_stages s
 WHERE s.status = 'pending'
   AND s.needs_left <> (SELECT count(*) FROM stage_needs n
                          JOIN item_stages needed ON needed.item_id = s.item_id AND needed.stage = n.need
                         WHERE n.job_id = s.job_id AND n.stage = s.stage
                           AND needed.status NOT IN ('done', 'skipped'))
   AND NOT EXISTS (SELECT 1 FROM plan_changes p WHERE p.job_id = s.job_id)
"""


def what_is_derived_equals_what_it_is_derived_from(conn: apsw.Connection) -> Iterator[Broken]:
    name = "what_is_derived_equals_what_it_is_derived_from"
    for item_id, status, stages in conn.execute(LIST_ITEMS):
        derived = derive_item_status(Status(word) for word in json.loads(stages))
        if status != derived:
            yield Broken(name, f"the item is {status}, by its stages {derived}", item_id)
    for item_id, stage in conn.execute(LIST_NEEDS_LEFT):
        yield Broken(name, "it waits for another number of stages than it needs", item_id, stage)


AT_EVERY_MOMENT = (
    the_file_is_sound,
    every_move_is_legal_and_has_its_event,
    attempts_are_numbered_without_gap_or_return,
    each_stage_has_one_result_that_counts,
    what_has_ended_holds_nothing,
    every_counter_equals_a_recount,
    what_is_derived_equals_what_it_is_derived_from,
)
"""What holds in each committed state of the file, also in the middle of everything."""


# -- at rest ----------------------------------------------------------------------------------------------

UNDER_WAY = {
    "it is not ended": "SELECT item_id, stage FROM item_stages WHERE status NOT IN ('done', 'failed', 'skipped')"
    " AND needs_left = 0",
    "it was never opened": "SELECT item_id, NULL FROM work_items WHERE opened_at IS NULL",
    "it is still leased": "SELECT item_id, stage FROM item_stages WHERE leased_until IS NOT NULL",
    "its message is on its way": "SELECT item_id, stage FROM item_stages WHERE queued_at IS NOT NULL",
    "a discovery is still leased": "SELECT NULL, NULL FROM discovery_runs WHERE leased_until IS NOT NULL",
    "a change of stages is under way": "SELECT NULL, NULL FROM plan_changes",
    "an action is under way": "SELECT NULL, NULL FROM actions WHERE finished_at IS NULL",
}


def nothing_is_under_way(conn: apsw.Connection) -> Iterator[Broken]:
    """No stage could run, no lease is orphaned. A stage may stay pending for ever behind one that failed."""
    for what, sql in UNDER_WAY.items():
        for item_id, stage in conn.execute(sql):
            yield Broken("nothing_is_under_way", what, item_id, stage)


AT_REST = (*AT_EVERY_MOMENT, nothing_is_under_way)
"""What holds when all work is done and all processes have ended."""


def list_broken(conn: apsw.Connection, promises: Sequence[Promise] = AT_REST) -> list[Broken]:
    """List what is broken of these promises."""
    return [broken for promise in promises for broken in promise(conn)]


LIST_HISTORY = """
SELECT strftime('%H:%M:%f', at / 1000.0, 'unixepoch'), stage, attempt, kind, coalesce(by, ''), coalesce(detail, '')
  FROM events
 WHERE item_id = :item_id AND (stage = :stage OR :stage IS NULL)
 ORDER BY event_id
"""


def tell_history(conn: apsw.Connection, broken: Broken) -> str:
    """Tell the events of what is broken, a line each: of the one stage if that has any, else of the item."""
    asked = {"item_id": broken.item_id, "stage": broken.stage}
    events = list(conn.execute(LIST_HISTORY, asked)) or list(
        conn.execute(LIST_HISTORY, asked | {"stage": None})
    )
    return "\n".join(" ".join(map(str, event)).rstrip() for event in events)
