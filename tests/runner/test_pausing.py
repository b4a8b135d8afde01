"""Pausing for people: what is told to whom, and what goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError
from runner.pausing import pause, unpause
from runner.single_pass import work_until_nothing_is_due
from runner.sweep import sweep
from tracker import pauses
from tracker.pauses import Target

PAPERS, FETCH = Target.of_job("papers"), Target.of_stage("papers", "fetch")


def test_who_pauses_second_sees_what_the_first_did(shop):
    first = pause(shop.runtime, PAPERS, "site is down", by="ann")
    second = pause(shop.runtime, PAPERS, "cost limit", by="ben")
    assert (first.before, second.before) == (None, first.pause)
    assert (second.pause.reason, second.pause.by) == ("cost limit", "ben")


def test_a_time_in_the_past_is_refused_and_nothing_is_paused(shop):
    with pytest.raises(ValueError, match="is not in the future"):
        pause(shop.runtime, PAPERS, "why", datetime.now(UTC) - timedelta(seconds=1))
    assert pauses.list_pauses(shop.conn) == []


@pytest.mark.parametrize("act", [lambda *given: pause(*given, "why"), unpause])
@pytest.mark.parametrize(
    ("target", "nearest"),
    [(Target.of_job("paper"), "papers"), (Target.of_stage("papers", "fech"), "fetch")],
    ids=str,
)
def test_a_name_that_nothing_answers_to_is_refused_with_the_nearest(shop, act, target, nearest):
    with pytest.raises(NotFoundError, match=f"did you mean '{nearest}'"):
        act(shop.runtime, target)
    assert tracker.get_events(shop.conn) == []


@pytest.mark.parametrize(
    ("asked", "nearest"), [("exampel.org", "example.org"), ("www.example.org", "example.org")]
)
def test_a_host_that_is_not_paused_is_refused_with_the_one_that_was_meant(shop, asked, nearest):
    pause(shop.runtime, Target.of_host("example.org"), "why")
    with pytest.raises(NotFoundError, match=f"did you mean '{nearest}'"):
        unpause(shop.runtime, Target.of_host(asked))


def test_a_paused_stage_waits_while_the_others_go_on(shop):
    pause(shop.runtime, Target.of_stage("papers", "extract"), "why", by="ann")
    shop.run("a", "b")
    assert shop.sent == [("a", "fetch"), ("b", "fetch")]
    assert unpause(shop.runtime, Target.of_stage("papers", "extract"), "ann").sent == 2
    shop.work()
    assert shop.status("a") == "done"


def test_items_of_a_job_whose_first_stage_is_paused_are_not_opened(shop):
    pause(shop.runtime, FETCH, "why")
    shop.add("a")
    assert shop.dispatch() == 0
    assert tracker.get_job_stats(shop.conn, "papers")["unopened"] == 1


def test_messages_of_a_stage_that_is_paused_meanwhile_are_refused_and_come_back(shop):
    shop.add("a")
    shop.dispatch()
    pause(shop.runtime, FETCH, "why")
    assert shop.work() == [None]
    assert unpause(shop.runtime, FETCH).sent == 1


def test_items_that_work_together_are_held_as_well(open_workshop):
    shop = open_workshop(papers=job({**step("fetch"), "handler": "workshop_plugins:Together", "batch": 3}))
    shop.add(*"abc")
    shop.dispatch()
    pause(shop.runtime, Target.everything(), "why")
    assert shop.work() == [[]]
    assert unpause(shop.runtime, Target.everything()).sent == 3


def test_everything_is_paused_and_goes_on(open_workshop):
    shop = open_workshop(papers=job(step("fetch")), talks=job(step("fetch")))
    shop.add("a")
    shop.add("b", job_id="talks")
    pause(shop.runtime, Target.everything(), "the disk is full", by="ann")
    assert sweep(shop.runtime).sent == 0
    assert unpause(shop.runtime, Target.everything(), "ann").sent == 2


def test_what_still_holds_is_told_to_who_lifts(shop):
    for target in (Target.everything(), PAPERS, FETCH):
        pause(shop.runtime, target, "why", by="ann")
    acted = unpause(shop.runtime, PAPERS, "ben")
    assert [each.target for each in acted.also] == [Target.everything(), FETCH]
    assert acted.sent == 0


def test_the_pause_of_a_job_that_jobs_yaml_no_longer_has_can_be_lifted(shop):
    pause(shop.runtime, PAPERS, "why")
    shop.edit(talks=job(step("fetch")))
    assert unpause(shop.runtime, PAPERS, "ann").before is not None
    assert pauses.list_pauses(shop.conn) == []


@pytest.mark.parametrize(
    "target", [FETCH, Target.of_stage("papers", "extract"), PAPERS, Target.everything()], ids=str
)
def test_a_pass_ends_where_a_pause_holds_it(shop, target):
    pause(shop.runtime, target, "why")
    shop.add("a")
    for _ in work_until_nothing_is_due(shop.runtime, "papers", shop.work):
        pass
    assert shop.status("a") == "pending"
