"""Attempts that are settled in one go leave the same behind as each by itself, one after the other."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import StaleLeaseError
from tracker import claims, dispatch, moves
from tracker.clock import to_ms
from tracker.endings import Ending, Failure
from tracker.plan import StagePlan, make_plan, open_items, remember_plan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = to_ms(NOON) + 5000
DIAMOND = StagePlan(
    ("fetch", "text", "images", "store"),
    {"fetch": (), "text": ("fetch",), "images": ("fetch",), "store": ("text", "images")},
    frozenset({"fetch", "text", "images", "store"}),
)
BROKEN = Failure.named("ValueError", "no page 7")
ENDINGS = {
    "done": Ending.finished('{"n": 1}', "1", input_hash="i", output_hash="o"),
    "done too": Ending.finished('{"n": 2}', "1", output_hash="p"),
    "failed": Ending.failed(BROKEN),
    "retried": Ending.retried(BROKEN, SOON),
    "later": Ending.later("not yet", SOON),
    "skipped": Ending.skipped("no text"),
    "skipped with the rest": Ending.skipped("not for us", rest=True),
    "released": Ending.released("stopping"),
    "lost": Ending.worker_lost("killed", 0),
    "cancelled": Ending.finished('{"n": 3}', "1"),
    "stale": Ending.finished('{"n": 4}', "1"),
}
CANCEL = "UPDATE item_stages SET cancelled_by = 'ann' WHERE item_id = ? AND stage = 'fetch'"
DO_AGAIN = "UPDATE item_stages SET status = 'pending', again = 'runs', ended_at = NULL WHERE item_id = ? AND stage = ?"

READS = (
    "SELECT * FROM item_stages",
    "SELECT * FROM work_items",
    "SELECT item_id, stage, attempt, result, handler_version, input_hash, output_hash, stored_at FROM results",
    "SELECT item_id, stage, attempt, result, replaced_at FROM results_history",
    "SELECT * FROM failures",
    "SELECT * FROM stage_counts",
    "SELECT * FROM item_counts",
    "SELECT * FROM stage_timings",
    "SELECT * FROM stage_minutes",
    "SELECT at, job_id, item_id, stage, attempt, kind, by, detail FROM events",
)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def open_house(migrated_file, tmp_path):
    """Make trackers alike, each with one item for every ending, whose first stage is claimed."""

    def make(name):
        conn = opened.enter_context(tracker.open_db(shutil.copy(migrated_file, tmp_path / f"{name}.db")))
        tracker.upsert_items(conn, "papers", [{"key": key} for key in ENDINGS])
        ids = dict(conn.execute("SELECT key, item_id FROM work_items").fetchall())
        with tracker.write(conn):
            remember_plan(conn, "papers", DIAMOND)
            open_items(conn, "papers", list(ids.values()), make_plan(DIAMOND))
        for item_id in ids.values():
            assert claims.claim(conn, item_id, "fetch", 1, worker="w")
        conn.execute(CANCEL, (ids["cancelled"],))
        return conn, ids

    with ExitStack() as opened:
        yield make


def settle_alone(conn, ended):
    settled = []
    for one in ended:
        try:
            settled.append(
                moves.settle(
                    conn, one.item_id, one.stage, one.attempt, one.ending, by="w", hand_over=one.hand_over
                )
            )
        except StaleLeaseError:
            settled.append(None)
    return settled


def settle_together(conn, ended):
    return moves.settle_together(conn, ended, by="w")


def read_all(conn):
    return {sql: sorted(map(repr, map(tuple, conn.execute(sql)))) for sql in READS}


def end_all(ids, **more):
    return [
        moves.Ended(ids[key], "fetch", 7 if key == "stale" else 1, ending, **more)
        for key, ending in ENDINGS.items()
    ]


@pytest.mark.parametrize("hand_over", [True, False])
def test_every_ending_does_the_same_among_others(open_house, hand_over):
    (one, ids), (other, _) = open_house("one"), open_house("other")
    ended = end_all(ids, hand_over=hand_over)
    assert settle_together(one, ended) == settle_alone(other, ended)
    assert read_all(one) == read_all(other)


def test_both_branches_of_an_item_may_end_together(open_house):
    houses = open_house("one"), open_house("other")
    for (conn, ids), settle in zip(houses, (settle_together, settle_alone), strict=True):
        settle(conn, end_all(ids))
        item_id = ids["done"]
        branches = [(item_id, "text", 1), (item_id, "images", 1)]
        assert len(claims.claim_together(conn, branches, worker="w")) == 2
        settle(conn, [moves.Ended(*place, ENDINGS["done"]) for place in branches])
        assert claims.claim(conn, item_id, "store", 1, worker="w") is not None
    assert read_all(houses[0][0]) == read_all(houses[1][0])


@pytest.mark.parametrize("new", ["o", "another"])
def test_what_is_done_again_has_its_followers_done_again_only_if_it_made_something_else(open_house, new):
    houses = open_house("one"), open_house("other")
    for (conn, ids), settle in zip(houses, (settle_together, settle_alone), strict=True):
        settle(conn, end_all(ids))
        item_id = ids["done"]
        for stage in ("text", "images", "store"):
            claims.claim(conn, item_id, stage, 1, worker="w")
            settle(conn, [moves.Ended(item_id, stage, 1, ENDINGS["done"])])
        conn.execute(DO_AGAIN, (item_id, "fetch"))
        conn.execute(DO_AGAIN, (item_id, "text"))
        assert (
            len(claims.claim_together(conn, [(item_id, "fetch", 2), (item_id, "text", 2)], worker="w")) == 2
        )
        again = Ending.finished('{"n": 9}', "2", output_hash=new)
        settled = settle(
            conn, [moves.Ended(item_id, "fetch", 2, again), moves.Ended(item_id, "text", 2, again)]
        )
        assert (settled[1] is None) == (new == "another"), "what ran on the old result is fenced off"
    assert read_all(houses[0][0]) == read_all(houses[1][0])


def test_claims_come_in_the_order_in_which_they_were_asked_for_without_what_cannot_be_had(open_house):
    conn, ids = open_house("one")
    settle_together(conn, [moves.Ended(item_id, "fetch", 1, ENDINGS["released"]) for item_id in ids.values()])
    wanted = sorted({*ids.values()} - {ids["cancelled"]}, reverse=True)
    taken = claims.claim_together(
        conn,
        [(item_id, "fetch", 2) for item_id in wanted[:3]]
        + [(wanted[3], "fetch", 9), (wanted[4], "fetch", 2)],
        worker="w",
    )
    assert [claim.item_id for claim in taken] == [*wanted[:3], wanted[4]]


def test_what_is_asked_for_twice_is_sent_and_claimed_once(conn, add_opened):
    (item_id,) = add_opened("a")
    with tracker.write(conn):
        (found,) = dispatch.list_ready(conn, "papers", "fetch", 10)
        assert len(dispatch.stamp(conn, [found, found])) == 1
    taken = claims.claim_together(conn, [(item_id, "fetch", 1), (item_id, "fetch", 1)], worker="w")
    assert [(one.item_id, one.stage, one.attempt) for one in taken] == [(item_id, "fetch", 1)]
