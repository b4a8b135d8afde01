"""A process of its own that carries out an action in small batches, and says so after each, until it is killed."""

from __future__ import annotations

import sys

import tracker
from runner import actions
from tracker.actions import get_action

actions.FIRST_BATCH = actions.SMALLEST_BATCH = actions.LARGEST_BATCH = 7
actions.YIELD_SECONDS = 0.0


def say(action):
    print(action.done, flush=True)  # noqa: T201 - that is how it talks
    sys.stdin.readline()


with tracker.open_db(sys.argv[1]) as conn:
    actions.work_off(conn, get_action(conn, int(sys.argv[2])), watch=say)
