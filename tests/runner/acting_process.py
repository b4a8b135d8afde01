"""A process of its own that carries out an action in small batches, and says so after each, until it is killed."""

from __future__ import annotations

import sys

import tracker
from runner import working_off
from tracker.actions import get_action

working_off.FIRST_BATCH = working_off.SMALLEST_BATCH = working_off.LARGEST_BATCH = 7


def say(action):
    print(action.done, flush=True)  # noqa: T201 - that is how it talks
    sys.stdin.readline()


with tracker.open_db(sys.argv[1]) as conn:
    working_off.work_off(conn, get_action(conn, int(sys.argv[2])), watch=say)
