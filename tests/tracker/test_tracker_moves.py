from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import Status
from tracker import claims, moves
from tracker.clock import to_ms
from tracker.dispatch import Candidate, stamp
from tracker.endings import Ending, Failure, make_signature
from tracker.plan import StagePlan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = to_ms(NOON)
DIAMOND = StagePlan(
    ("fetch", "text", "images", "store"),
    {"fetch": (), "text": ("fetch",), "images": ("fetch",), "store": ("text", "images")},
    frozenset({"fetch", "text", "images", "store"}),
)
BROKEN = Failure.named("ValueError", "no page 7")


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def claimed_id(conn, add_opened, clock):
    """Give an item of a job with two branches, whose first stage is claimed for attempt 1."""
    (item_id,) = add_opened("a", stages=DIAMOND, data={"n": 1}, priority=3)
    assert claims.claim(conn, item_id, "fetch", 1, worker="w1")
    return item_id


@pytest.fixture
def statuses(conn):
    def read(key="a"):
        return tracker.get_stages_dict(conn, "papers")[key]

    return read


def test_a_claim_carries_all_that_a_handler_needs(conn, add_opened, clock):
    (item_id,) = add_opened("a", data={"n": 1}, priority=3)
    claim = claims.claim(conn, item_id, "fetch", 1, worker="w1")
    assert claim == claims.Claim(item_id, "papers", "fetch", 1, "a", {"n": 1}, 3, 0, 0, NOON_MS)


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_only_the_next_attempt_can_be_claimed(conn, claimed_id, attempt):
    moves.settle(conn, claimed_id, "fetch", 1, Ending.released("stopping"))
    assert claims.claim(conn, claimed_id, "fetch", attempt, worker="w2") is None
    assert claims.claim(conn, claimed_id, "fetch", 2, worker="w2")


def test_a_lease_is_held_by_renewing_it(conn, claimed_id, clock, read_stage):
    assert read_stage(claimed_id, "fetch")["leased_until"] == NOON_MS + 30_000
    clock.shift(20)
    assert claims.renew_lease(conn, claimed_id, "fetch", 1)
    assert read_stage(claimed_id, "fetch")["leased_until"] == NOON_MS + 50_000
    assert not claims.renew_lease(conn, claimed_id, "fetch", 2)


def test_both_branches_are_ready_when_the_stage_before_them_is_done(conn, claimed_id, read_stage):
    settled = moves.settle(conn, claimed_id, "fetch", 1, Ending.finished('{"n": 1}', "v1"))
    assert settled == moves.Settled(claimed_id, "papers", "fetch", 1, Status.DONE)
    assert [read_stage(claimed_id, stage)["needs_left"] for stage in ("text", "images", "store")] == [0, 0, 2]


def test_a_join_waits_for_every_branch(conn, claimed_id, read_stage):
    moves.settle(conn, claimed_id, "fetch", 1, Ending.skipped("nothing to fetch"))
    for stage, left in (("text", 1), ("images", 0)):
        claims.claim(conn, claimed_id, stage, 1, worker="w1")
        moves.settle(conn, claimed_id, stage, 1, Ending.finished("{}", None))
        assert read_stage(claimed_id, "store")["needs_left"] == left


def test_skipping_the_rest_skips_what_needs_the_stage_and_no_other_branch(
    conn, claimed_id, statuses, event_kinds
):
    moves.settle(conn, claimed_id, "fetch", 1, Ending.finished("{}", None))
    claims.claim(conn, claimed_id, "text", 1, worker="w1")
    moves.settle(conn, claimed_id, "text", 1, Ending.skipped("no text", rest=True))
    assert statuses() == {"fetch": "done", "text": "skipped", "images": "pending", "store": "skipped"}
    assert event_kinds() == ["claim", "finish", "claim", "skip", "skip"]


@pytest.mark.parametrize(("ending", "status", "kind"), [
    (Ending.finished('{"n": 1}', "v1"), Status.DONE, "finish"),
    (Ending.finished(None, None), Status.DONE, "finish"),
    (Ending.skipped("empty"), Status.SKIPPED, "skip"),
    (Ending.gave_up("gone for good"), Status.FAILED, "fail"),
    (Ending.failed(BROKEN), Status.FAILED, "fail"),
    (Ending.retried(BROKEN, NOON_MS + 1), Status.PENDING, "retry"),
    (Ending.later("quota", NOON_MS + 1), Status.PENDING, "retry_later"),
    (Ending.released("stopping"), Status.PENDING, "release"),
    (Ending.expired(0), Status.PENDING, "expire"),
    (Ending.expired(2), Status.FAILED, "fail"),
    (Ending.worker_lost("killed by signal 9", 0), Status.PENDING, "release"),
    (Ending.worker_lost("killed by signal 9", 2), Status.FAILED, "fail"),
], ids=lambda value: value.move.name if isinstance(value, Ending) else str(value))  # fmt: skip
def test_an_ending_is_recorded_with_its_event_and_its_reason(
    conn, claimed_id, read_stage, ending, status, kind
):
    assert moves.settle(conn, claimed_id, "fetch", 1, ending, by="w1").status is status
    event = tracker.get_events(conn, "papers", limit=1)[0]
    assert (event["kind"], event["attempt"], event["by"]) == (kind, 1, "w1")
    assert json.loads(event["detail"] or "{}").get("reason") == ending.reason
    stage = read_stage(claimed_id, "fetch")
    assert (stage["status"], stage["reason"], stage["leased_until"]) == (status, ending.reason, None)
    assert (stage["retries"], stage["crashes"]) == (int(kind == "retry"), int(ending.is_crash))
    failures = conn.execute("SELECT attempt, signature FROM failures").fetchall()
    assert failures == ([(1, ending.failure.signature)] if ending.failure else [])


def test_a_stale_attempt_settles_nothing_and_leaves_no_trace(conn, claimed_id):
    moves.settle(conn, claimed_id, "fetch", 1, Ending.released("stopping"))
    claims.claim(conn, claimed_id, "fetch", 2, worker="w2")
    read = "SELECT * FROM item_stages; "
    before = [tuple(row) for row in conn.execute(read)], len(tracker.get_events(conn))
    with pytest.raises(
        StaleLeaseError, match=f"attempt 1 of stage 'fetch' of item {claimed_id} owns it no longer"
    ):
        moves.settle(conn, claimed_id, "fetch", 1, Ending.finished('{"n": 1}', "v1"))
    assert ([tuple(row) for row in conn.execute(read)], len(tracker.get_events(conn))) == before
    assert tracker.get_results(conn, "papers", "a") == {}


def test_a_short_wait_is_handed_to_the_broker_and_a_long_one_parked(conn, claimed_id, read_stage):
    short = moves.settle(conn, claimed_id, "fetch", 1, Ending.later("quota", NOON_MS + 300_000))
    assert short.countdown_seconds == 300
    stage = read_stage(claimed_id, "fetch")
    assert (stage["queued_at"], stage["resend_at"]) == (NOON_MS, NOON_MS + 360_000)
    assert tracker.stage_stats(conn, "papers")["fetch"]["countdown"] == 1


@pytest.mark.parametrize(("wait_ms", "hand_over"), [(300_001, True), (1_000, False)])
def test_a_wait_that_is_not_handed_over_is_parked(conn, claimed_id, read_stage, wait_ms, hand_over):
    ending = Ending.later("quota", NOON_MS + wait_ms)
    assert moves.settle(conn, claimed_id, "fetch", 1, ending, hand_over=hand_over).countdown_seconds is None
    assert read_stage(claimed_id, "fetch")["queued_at"] is None


def test_the_broker_is_handed_only_so_many_waits_of_one_stage(conn, claimed_id, monkeypatch):
    monkeypatch.setattr(moves, "COUNTDOWN_MAX_COUNT", 0)
    assert (
        moves.settle(conn, claimed_id, "fetch", 1, Ending.later("quota", NOON_MS + 1)).countdown_seconds
        is None
    )


def test_a_countdown_that_comes_a_little_early_is_taken_and_one_much_too_early_is_not(
    conn, claimed_id, clock
):
    moves.settle(conn, claimed_id, "fetch", 1, Ending.later("quota", NOON_MS + 10_000))
    clock.shift(8)
    assert claims.claim(conn, claimed_id, "fetch", 2, worker="w1") is None
    clock.shift(1.5)
    assert claims.claim(conn, claimed_id, "fetch", 2, worker="w1")


def test_a_message_that_a_pause_turned_away_is_sent_again_after_it(conn, opened_id, read_stage):
    with tracker.write(conn):
        (message,) = stamp(conn, [Candidate(0, 0, opened_id, "fetch")])
    tracker.pause_job(conn, "papers", "holiday")
    assert claims.claim(conn, opened_id, "fetch", message.attempt, worker="w1") is None
    assert read_stage(opened_id, "fetch")["queued_at"] is None
    tracker.unpause_job(conn, "papers")
    with tracker.write(conn):
        assert stamp(conn, [Candidate(0, 0, opened_id, "fetch")]) == [message]


def test_a_very_long_error_is_cut_in_the_middle():
    failure = Failure.named("ValueError", "a" * 5_000 + "b" * 5_000)
    assert len(failure.message) < 2_100
    assert failure.message.startswith("aaa")
    assert failure.message.endswith("bbb")
    assert "8000 characters left out" in failure.message


@pytest.mark.parametrize("ending", [Ending.gave_up("caf\udce9.txt"), Ending.skipped("caf\udce9.txt"),
                                    Ending.failed(Failure.of(ValueError("caf\udce9.txt")))])  # fmt: skip
def test_an_error_with_the_name_of_a_file_that_is_not_utf_8_is_recorded(conn, claimed_id, read_stage, ending):
    moves.settle(conn, claimed_id, "fetch", 1, ending)
    assert "caf\\udce9.txt" in read_stage(claimed_id, "fetch")["reason"]


@pytest.mark.parametrize(("one", "other"), [
    ("no answer from https://a.org/7 in 30 s", "no answer from http://b.net in 5 s"),
    ("https://a.org/doc/7 answered 500", "${API}/doc/eight answered 500"),
    ("${API}?q=a answered 500", "${API}?q=b answered 500"),
    ("KeyError: 'title'", 'KeyError: "name"'),
    ("item deadbeef0123 is gone", "item 0123456789ab is gone"),
])  # fmt: skip
def test_like_errors_have_one_signature(one, other):
    assert make_signature("E", one) == make_signature("E", other)
    assert make_signature("E", one) != make_signature("F", one)
