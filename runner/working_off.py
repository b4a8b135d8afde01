"""
Work off an action: batch by batch, each as large as the time for which it may keep others from writing.

Each batch is one transaction, which also moves the action's cursor. So a process may be killed at any moment, and any
other goes on: whoever orders the same again, or the sweep.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracker import action_batches, actions, checkpoints, undoing
from tracker.actions import UNDO, Action
from tracker.connection import open_db, roomy, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.runtime import Runtime
    from tracker.connection import Connection

FIRST_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 200, 20, 2000

BATCH_SECONDS = 0.03
"""How long a batch should hold the turn to write: workers that want to claim wait for no longer than that."""

MANY = 10_000
"""From so many on, a thread of its own moves to the disk what the batches have written."""

QUIET_MS = 4_000
"""An action on which nobody has worked for so long was left over by a process that died: the sweep takes it up."""

SWEEP_SECONDS_EACH = 3.0
"""How long one sweep works on what was left over; the next goes on."""


def work_off(
    conn: Connection,
    action: Action,
    *,
    watch: Callable[[Action], None] | None = None,
    until: float = float("inf"),
) -> Action:
    """
    Do an action batch by batch, to its end or until a time of `time.monotonic`; how it stands then.

    Between batches all who wait for their turn to write have it. Any number of processes may do so with one action.
    """
    limit = FIRST_BATCH
    with roomy(conn), _checkpoints_beside(conn, action):
        while action.finished_at is None and time.monotonic() < until:
            action, seconds = _work_once(conn, action, limit)
            if watch is not None:
                watch(action)
            wanted = int(limit * BATCH_SECONDS / max(seconds, 1e-6))
            limit = max(SMALLEST_BATCH, min(wanted, 2 * limit, LARGEST_BATCH))
    return action


@contextmanager
def _checkpoints_beside(conn: Connection, action: Action) -> Iterator[None]:
    if action.total - action.done < MANY:
        yield
        return
    with open_db(conn.path) as other, checkpoints.beside(conn, other):
        yield


def _work_once(conn: Connection, action: Action, limit: int) -> tuple[Action, float]:
    """Do one batch; how the action stands then, and for how long it kept others from writing."""
    is_undo = action.act == UNDO
    page = None if is_undo else action_batches.next_page(conn, action, limit)
    with write(conn):  # what a page costs to choose, nobody waits for
        begun = time.perf_counter()
        action = (
            undoing.undo_batch(conn, action, limit)
            if is_undo
            else action_batches.do_batch(conn, action, page)
        )
    return action, time.perf_counter() - begun


def resume(runtime: Runtime) -> int:
    """Take up what a process that died left over, for a while; how many stages or items that touched. Commits."""
    until, done = time.monotonic() + SWEEP_SECONDS_EACH, 0
    for action in actions.list_left_over(runtime.tracker, QUIET_MS):
        done += work_off(runtime.tracker, action, until=until).done - action.done
    return done
