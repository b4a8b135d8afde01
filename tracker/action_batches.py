"""An action's batches: how many there will be something to do for, which is next, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.actions import Action, add_done, finish, get_action, take_turn
from tracker.acts import ACTS
from tracker.bulk import Asked, Touched, change_stages, count_concerned
from tracker.choosing import Choice, Page, choose_page
from tracker.priorities import count_others, set_priorities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker.connection import Connection

COUNT_FAILED = """
SELECT coalesce(sum(c.failed), 0)
  FROM stage_counts c
  LEFT JOIN job_stages p ON p.job_id = c.job_id AND p.stage = c.stage
 WHERE (c.job_id = :job_id OR :job_id IS NULL) AND (c.stage = :stage OR :stage IS NULL)
   AND (p.switched_on OR NOT :only_switched_on)
"""


def count_failed(conn: Connection, job_id: str | None, stage: str | None, *, only_switched_on: bool) -> int:
    """Count the failed stages of a job or of all, from their counters."""
    asked = {"job_id": job_id, "stage": stage, "only_switched_on": only_switched_on}
    return int(conn.execute(COUNT_FAILED, asked).fetchone()[0])


COUNT_BEGUN = """
SELECT coalesce(sum(in_progress + done + failed + skipped), 0)
  FROM stage_counts
 WHERE job_id = :job_id AND stage = :stage
"""

COUNT_ENDED_ITEMS = "SELECT coalesce(sum(done + failed + skipped), 0) FROM item_counts WHERE job_id = :job_id"


def count_ended(conn: Connection, job_id: str, stage: str | None) -> int:
    """Count the items of a job that have ended, or with which a stage was begun, from their counters."""
    sql = COUNT_ENDED_ITEMS if stage is None else COUNT_BEGUN
    return int(conn.execute(sql, {"job_id": job_id, "stage": stage}).fetchone()[0])


def count_total(
    conn: Connection,
    act: str,
    choice: Choice,
    statuses: Sequence[str] | None,
    unopened: Mapping[str, Sequence[str]],
    priority: int = 0,
) -> int:
    """
    Count what an act would change, by going through its choice; it reads only, however many there are.

    `unopened` names the stages that an item of each job gets when it is opened; `priority` is the one to be given.
    """
    total, cursor = 0, None
    while page := choose_page(conn, choice, cursor, 1000):
        cursor = page.cursor
        if act == "priority":
            total += count_others(conn, page.item_ids, priority)
        else:
            asked = _ask(act, page, choice, statuses)
            total += count_concerned(conn, asked, unopened.get(page.job_id, ())).count(ACTS[act])
    return total


def _ask(act: str, page: Page, choice: Choice, statuses: Sequence[str] | None) -> Asked:
    return Asked(
        action_id=0,
        act=ACTS[act],
        job_id=page.job_id,
        item_ids=page.item_ids,
        stage=page.stage,
        places=page.places,
        statuses=statuses or page.statuses,
        by="",
        reason=None,
        asked_at=choice.asked_at,
    )


def next_page(conn: Connection, action: Action, limit: int) -> Page | None:
    """Choose what an action's next batch is for, at most `limit` items; None when it is through."""
    at_most = action.how.get("at_most")
    if at_most is not None:
        limit = min(limit, at_most - action.done)
    return choose_page(conn, action.choice, action.cursor, limit) if limit > 0 else None


def do_batch(conn: Connection, action: Action, page: Page | None) -> Action:
    """
    Do an action's next batch, or finish it when there is no page; how it stands then.

    In the caller's transaction, which does nothing else: what a batch changed is never taken back by itself.
    """
    if page is None:
        finish(conn, action)
    elif take_turn(conn, action, page.cursor):
        add_done(conn, action, _change(conn, action, page).count(ACTS[action.act]))
    return get_action(conn, action.action_id)


def _change(conn: Connection, action: Action, page: Page) -> Touched:
    asked = Asked(
        action_id=action.action_id,
        act=ACTS[action.act],
        job_id=page.job_id,
        item_ids=page.item_ids,
        stage=page.stage,
        places=page.places,
        statuses=action.how.get("statuses", page.statuses),
        by=action.by,
        reason=action.reason,
        asked_at=action.asked_at,
    )
    if action.act == "priority":
        return Touched(0, set_priorities(conn, asked.action_id, asked.item_ids, action.detail["priority"]))
    return change_stages(conn, asked)
