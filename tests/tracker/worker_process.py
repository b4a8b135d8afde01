"""A worker of its own process for the tests: takes commands as lines of JSON, and answers each with one."""

from __future__ import annotations

import json
import random
import sys

import tracker
from pipeline.errors import StaleLeaseError
from tracker import claims, moves, recovery
from tracker.endings import Ending

conn = tracker.open_raw_db(sys.argv[1])


def claim(item_id, attempt, lease_seconds=30.0):
    taken = claims.claim(conn, item_id, "fetch", attempt, worker="w", lease_seconds=lease_seconds)
    return taken is not None


def settle(item_id, attempt, result):
    try:
        moves.settle(conn, item_id, "fetch", attempt, Ending.finished(json.dumps(result), None))
    except StaleLeaseError as error:
        return str(error)
    return "settled"


def expire():
    return recovery.reclaim_stuck_stages(conn)


def claim_all(item_ids):
    """Try to claim every item, in an order of one's own; which it got."""
    random.shuffle(item_ids)
    return [item_id for item_id in item_ids if claim(item_id, 1)]


def stop_inside_a_write():
    """Write something, say so, and never come to the end of the transaction."""
    with tracker.write(conn):
        tracker.upsert_items(conn, "papers", [{"key": "half done"}])
        answer("writing")
        sys.stdin.readline()


def work_for_ever(item_ids):
    """Claim and settle, and say so after each, until killed."""
    for item_id in item_ids:
        answer([claim(item_id, 1), settle(item_id, 1, {"n": item_id})])


def answer(value):
    print(json.dumps(value), flush=True)  # noqa: T201 - that is how it talks


if __name__ == "__main__":
    answer("ready")
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer(globals()[name](**arguments))
