"""Pauses as one record: what each scope holds, who is told, what lifts itself."""

from __future__ import annotations

import json

import apsw
import pytest
import time_machine

import tracker
from tests.old_schema import open_of_version
from tracker import pauses
from tracker.clock import now_ms
from tracker.pauses import Target

STAGES = ["fetch", "extract", "store"]
TARGETS = [
    Target.everything(),
    Target.of_job("papers"),
    Target.of_stage("papers", "fetch"),
    Target.of_host("example.org"),
]


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        yield clock


def begin(conn, item_id, stage="fetch"):
    """Claim a stage as a worker does; whether it got it."""
    return tracker.claims.claim(conn, item_id, stage, 1, worker="w") is not None


def last_event(conn, job_id=None):
    event = tracker.get_events(conn, job_id, limit=1)[0]
    return event["kind"], event["by"], json.loads(event["detail"] or "{}")


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_pause_of_any_scope_is_one_record_until_it_is_lifted(conn, target, clock):
    assert pauses.pause(conn, target, "cost limit", until=now_ms() + 60_000, by="ann") is None
    (held,) = pauses.list_pauses(conn)
    assert (held.target, held.reason, held.by, held.cause) == (target, "cost limit", "ann", "person")
    assert (held.since_at, held.until_at, held.lifts) == (now_ms(), now_ms() + 60_000, 0)
    kind, by, detail = last_event(conn)
    assert (kind, by, detail["scope"], detail["reason"]) == ("pause", "ann", target.scope, "cost limit")
    assert pauses.lift(conn, target, by="ben") == held
    assert pauses.list_pauses(conn) == []
    assert last_event(conn)[:2] == ("unpause", "ben")


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_who_pauses_second_is_given_what_the_first_wrote(conn, target, clock):
    pauses.pause(conn, target, "first", by="ann")
    first = pauses.read_pause(conn, target)
    clock.shift(60)
    assert pauses.pause(conn, target, "second", until=now_ms() + 1000, by="ben") == first
    second = pauses.read_pause(conn, target)
    assert (second.reason, second.by, second.since_at) == ("second", "ben", first.since_at)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_lifting_what_is_not_paused_is_no_event(conn, target):
    assert pauses.lift(conn, target, by="ann") is None
    assert tracker.get_events(conn) == []


@pytest.mark.parametrize("target", TARGETS[:3], ids=str)
def test_a_message_on_its_way_cannot_claim_what_is_paused(conn, add_opened, target):
    held, other = add_opened("a")[0], add_opened("b", job_id="talks")[0]
    pauses.pause(conn, target, "why")
    assert not begin(conn, held)
    assert begin(conn, other) == (target.scope != "all")
    pauses.lift(conn, target)
    assert begin(conn, held)


def test_a_paused_stage_holds_no_other(conn, add_opened):
    item_id = add_opened("a")[0]
    pauses.pause(conn, Target.of_stage("papers", "extract"), "why")
    assert begin(conn, item_id)
    tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
    assert not begin(conn, item_id, "extract")
    assert tracker.get_items_needing_stage(conn, "papers", "extract") == []


def test_a_paused_host_holds_no_claim(conn, opened_id):
    pauses.pause(conn, Target.of_host("example.org"), "why")
    assert begin(conn, opened_id)


def test_what_holds_a_stage_now_is_found_the_widest_first(conn):
    stage, job, everything = (Target.of_stage("papers", "fetch"), *TARGETS[1::-1])
    assert pauses.find_pause_of(conn, "papers", "fetch") is None
    for target in (stage, job, everything):
        pauses.pause(conn, target, "why")
        assert pauses.find_pause_of(conn, "papers", "fetch").target == target
    assert pauses.find_pause_of(conn, "talks").target == everything
    pauses.lift(conn, everything)
    assert pauses.find_pause_of(conn, "talks", "fetch") is None
    assert pauses.find_pause_of(conn, "papers", "store").target == job


def test_a_job_is_paused_when_everything_is(conn):
    pauses.pause(conn, Target.everything(), "the disk is full", by="ann")
    assert tracker.is_job_paused(conn, "papers")
    assert tracker.get_pause_reason(conn, "papers") == "the disk is full"
    assert tracker.get_retry_info(conn, "papers")["by"] == "ann"
    assert tracker.get_all_job_paused(conn) == {}


@pytest.mark.parametrize("host", ["example.org", "www.example.org", "a.b.EXAMPLE.org.", "[example.org]"])
def test_a_pause_of_a_domain_covers_its_subdomains(conn, host):
    pauses.pause(conn, Target.of_host("Example.org."), "why")
    assert pauses.find_host_pause(conn, host).host == "example.org"


@pytest.mark.parametrize("host", ["notexample.org", "org", "example.org.evil.net"])
def test_a_pause_of_a_domain_covers_nothing_else(conn, host):
    pauses.pause(conn, Target.of_host("example.org"), "why")
    assert pauses.find_host_pause(conn, host) is None


def test_of_two_pauses_over_a_host_the_longer_counts(conn):
    pauses.pause(conn, Target.of_host("www.example.org"), "why", until=now_ms() + 60_000)
    pauses.pause(conn, Target.of_host("example.org"), "why", until=now_ms() + 90_000)
    assert pauses.find_host_pause(conn, "www.example.org").host == "example.org"
    pauses.pause(conn, Target.of_host("www.example.org"), "for good")
    assert pauses.find_host_pause(conn, "www.example.org").host == "www.example.org"


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_is_due_is_lifted_once_and_not_before(conn, target, clock):
    pauses.pause(conn, target, "why", until=now_ms() + 60_000)
    clock.shift(59)
    assert pauses.list_due_pauses(conn) == []
    clock.shift(1)
    (due,) = pauses.list_due_pauses(conn)
    assert [pauses.lift_due(conn, due) for _ in range(2)] == [True, False]
    kind, by, detail = last_event(conn)
    assert (kind, by, detail["reason"]) == ("unpause", "sweep", "its time has come")
    assert tracker.get_retry_info(conn, "papers")["auto_unpauses"] == (target.scope == "job")


def test_a_pause_that_is_prolonged_while_it_is_due_stays(conn, clock):
    job = Target.of_job("papers")
    pauses.pause(conn, job, "why", until=now_ms() + 1000)
    clock.shift(1)
    (due,) = pauses.list_due_pauses(conn)
    pauses.pause(conn, job, "longer", until=now_ms() + 1000)
    assert not pauses.lift_due(conn, due)
    assert pauses.read_pause(conn, job).reason == "longer"


def test_a_success_while_the_job_is_paused_forgets_nothing(conn, clock):
    tracker.pause_job(conn, "papers", "why")
    tracker.increment_auto_unpause(conn, "papers")
    tracker.pause_job(conn, "papers", "again")
    tracker.jobs.reset_auto_unpauses(conn, "papers")
    assert tracker.get_retry_info(conn, "papers")["auto_unpauses"] == 1
    assert pauses.read_pause(conn, Target.of_job("papers")).lifts == 1


NONSENSE = [
    ("job", "", "", ""), ("job", "papers", "fetch", ""), ("all", "papers", "", ""), ("host", "", "", ""),
    ("stage", "papers", "", ""), ("host", "papers", "", "example.org"), ("day", "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize("place", NONSENSE)
def test_a_pause_that_makes_no_sense_cannot_be_stored(conn, place):
    sql = "INSERT INTO pauses (scope, job_id, stage, host, cause, reason, by, since_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    with pytest.raises(apsw.ConstraintError), tracker.write(conn):
        conn.execute(sql, (*place, "person", "why", "ann", 1))


def test_the_pauses_of_an_older_file_are_kept(tmp_path):
    path = tmp_path / "tracker.db"
    older = open_of_version(path, 6)
    older.execute(
        "INSERT INTO pauses VALUES ('papers', 'holiday', 'ann', 5, 9), ('talks', 'quota', 'ben', 6, NULL)"
    )
    older.close()
    with tracker.open_db(path) as conn:
        held = [
            (each.target, each.reason, each.by, each.since_at, each.until_at)
            for each in pauses.list_pauses(conn)
        ]
    assert held == [
        (Target.of_job("papers"), "holiday", "ann", 5, 9),
        (Target.of_job("talks"), "quota", "ben", 6, None),
    ]
