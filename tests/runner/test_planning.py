"""What `celeriac plan` says, and what running processes take up by themselves or hold."""

from __future__ import annotations

import json

import pytest
import structlog
from workshop import job, step

import tracker
from pipeline.errors import HeldPlanError, NotFoundError, OperatorError
from runner.applying import apply_job, rename
from runner.operate import enqueue_at
from runner.plan_words import describe_change
from runner.planning import list_stale_stages, plan_jobs
from runner.stage_changes import Change
from runner.sweep import sweep
from tracker.applying import begin_change, carry_over, find_change
from tracker.dispatch import take_back_stamps
from tracker.plan import find_plan

THREE = [step("fetch"), step("extract"), step("store")]


def edit(shop, *stages, apply_above=1000, **more):
    """Write jobs.yaml anew, with another threshold."""
    jobs = {"papers": job(*stages, **more)} if stages else {}
    text = json.dumps({"version": 1, "apply_above": apply_above, "jobs": jobs})
    shop.runtime.settings.jobs.write_text(text)
    shop.look_again()


def plan(shop, **how):
    return plan_jobs(shop.conn, shop.runtime.jobs, **how)


def changes(shop):
    (found,) = plan(shop)
    return [(one.kind, one.stage, one.items) for one in found.changes]


@pytest.fixture
def five(shop):
    """Have five items, two of them finished and three that wait for `extract`."""
    shop.run("a", "b")
    shop.add("c", "d", "e")
    shop.dispatch()
    for _ in range(3):
        shop.take()
    sweep(shop.runtime)
    shop.publisher.waiting.clear()
    take_back_stamps(shop.conn, [one.attempt_key for one in shop.publisher.sent])
    return shop


# -- what is said -----------------------------------------------------------------------------------------


def test_nothing_differs_once_all_is_taken_up(five):
    assert plan(five) == []


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([*THREE, step("print")], [("stage_added", "print", 5)]),
        ([*THREE, step("print", enabled=False)], [("stage_added", "print", 0)]),
        (THREE[:2], [("stage_removed", "store", 3)]),
        (
            [step("fetch"), step("extract", enabled=False), step("store")],
            [("stage_switched_off", "extract", 3)],
        ),
        ([*THREE[:2], step("store", needs=["fetch"])], [("stage_needs", "store", 3)]),
        (
            [step("fetch"), step("store", needs=["extract"]), step("extract", needs=["fetch"])],
            [("stage_order", None, 0)],
        ),
        (
            [step("fetch"), step("clean"), step("extract"), step("store")],
            [("stage_added", "clean", 5), ("stage_needs", "extract", 3)],
        ),
    ],
)
def test_a_changed_list_of_stages_is_told_with_how_many_items_it_touches(five, stages, said):
    edit(five, *stages)
    assert changes(five) == said


def test_how_many_finished_items_are_reopened_is_told(five):
    edit(five, *THREE, step("print"))
    (found,) = plan(five)
    assert (found.changes[0].finished, found.items, found.reopens, found.held) == (2, 5, 5, False)


def test_a_stage_that_comes_back_reopens_those_that_were_skipped_for_it(five):
    edit(five, *THREE[:2], step("store", enabled=False))
    sweep(five.runtime)
    edit(five, *THREE)
    assert changes(five) == [("stage_switched_on", "store", 3)]


def test_what_a_stage_has_cost_says_what_it_is_expected_to_cost(five):
    for key in "cd":
        item_id = five.item_id(key)
        tracker.log_cost(five.conn, "papers", 0.5, "shop", item_id=item_id, stage="store", attempt=1)
    edit(five, *THREE[:2], step("store", enabled=False))
    sweep(five.runtime)
    edit(five, *THREE)
    (found,) = plan(five)
    assert found.usd == found.changes[0].usd == pytest.approx(1.5)


def test_jobs_that_come_go_and_are_switched_off_are_told_until_it_is_noted(five):
    edit(five, *THREE, enabled=False)
    assert changes(five) == [("job_switched_off", None, 3)]
    sweep(five.runtime)
    assert plan(five) == []
    edit(five, *THREE)
    assert changes(five) == [("job_switched_on", None, 3)]
    five.edit(others=job(step("look")))
    assert [(one.job, one.changes[0].kind) for one in plan(five)] == [
        ("others", "job_added"),
        ("papers", "job_removed"),
    ]
    assert [one.job for one in plan(five, only="papers")] == ["papers"]
    sweep(five.runtime)
    assert plan(five) == []
    assert [event["detail"]["state"] for event in five.events("apply_job")] == ["off", "gone"]


def test_stale_results_are_told_and_are_nothing_to_apply(five):
    five.plugins.Step.VERSION = "2"
    assert plan(five) == []
    found = list_stale_stages(five.conn, five.runtime.jobs)
    assert [(one.stage, one.results) for one in found] == [("fetch", 5), ("extract", 2), ("store", 2)]


# -- renames ----------------------------------------------------------------------------------------------


def test_a_stage_with_the_same_handler_and_parameters_is_likely_renamed(five):
    edit(five, step("fetch"), step("store"), step("get", params={"do": "extract"}, needs=["fetch"]))
    (found,) = plan(five)
    assert found.renames == (("extract", "get"),)
    assert found.changes[0].certain
    assert found.held


def test_a_stage_at_the_same_place_is_perhaps_renamed(five):
    edit(five, step("fetch"), step("pull"), step("store"))
    (found,) = plan(five)
    assert (found.renames, found.changes[0].certain) == ((("extract", "pull"),), False)
    (apart,) = plan(five, with_renames=False)
    assert {one.kind for one in apart.changes} == {"stage_added", "stage_removed", "stage_needs"}


def test_a_stage_that_no_item_has_is_not_asked_about(shop):
    shop.dispatch()
    sweep(shop.runtime)
    edit(shop, step("fetch"), step("pull"), step("store"))
    assert [one for found in plan(shop) for one in found.renames] == []


def test_a_likely_rename_is_held_whatever_it_touches_and_nothing_is_done_again(five):
    edit(five, step("fetch"), step("pull", params={"do": "extract"}), step("store"))
    sweep(five.runtime)
    assert find_plan(five.conn, "papers").names == ("fetch", "extract", "store")
    renamed = rename(five.runtime, "papers", "extract", "pull", "ann")
    assert renamed.items == 5
    sweep(five.runtime)
    five.work()
    assert plan(five) == []
    assert [five.status(key) for key in "abcde"] == ["done"] * 5
    assert five.result("a", "pull")["key"] == "a"
    assert five.plugins.seen.count(("extract", "a")) == 1


def test_a_job_that_was_woken_before_it_came_or_was_off_from_the_first_is_new(shop):
    tracker.wake_job(shop.conn, "papers", by="ada")
    edit(shop)
    sweep(shop.runtime)
    edit(shop, *THREE)
    assert changes(shop) == [("job_added", None, 0)]
    edit(shop, *THREE, enabled=False)
    sweep(shop.runtime)
    edit(shop, *THREE)
    assert changes(shop) == [("job_added", None, 0)]


def test_a_rename_is_for_what_jobs_yaml_calls_so(five):
    with pytest.raises(NotFoundError, match="no stage of job 'papers' named 'pull'"):
        rename(five.runtime, "papers", "extract", "pull", "ann")
    edit(five, *THREE, step("pull"))
    with pytest.raises(OperatorError, match="still has a stage 'extract': rename it there first"):
        rename(five.runtime, "papers", "extract", "pull", "ann")


# -- what is held -----------------------------------------------------------------------------------------


def test_a_change_that_touches_more_than_apply_above_is_held_and_said_once(five):
    edit(five, *THREE, step("print"), apply_above=4)
    with structlog.testing.capture_logs() as logs:
        sweep(five.runtime)
        sweep(five.runtime)
    assert [line["items"] for line in logs if "held" in line["event"]] == [5]
    assert plan(five)[0].held
    assert "print" not in tracker.stage_stats(five.conn, "papers")


def test_one_that_touches_just_as_many_is_taken_up(five):
    edit(five, *THREE, step("print"), apply_above=5)
    sweep(five.runtime)
    five.work()
    assert [five.status(key, "print") for key in "abcde"] == ["done"] * 5


def test_while_a_change_is_held_old_and_new_items_go_by_the_old_plan(five):
    edit(five, step("look"), step("fetch", needs=["look"]), step("extract"), step("store"), apply_above=4)
    sweep(five.runtime)
    five.work()
    five.add("new")
    assert five.dispatch() == 1
    five.work()
    assert [five.status(key) for key in ("c", "new")] == ["done", "done"]
    assert "look" not in {stage for _, stage in five.sent}


def test_while_a_change_is_held_what_was_switched_off_is_not_sent(five):
    edit(five, step("fetch"), step("extract", enabled=False), step("store"), apply_above=2)
    before = len(five.sent)
    sweep(five.runtime)
    five.work()
    assert five.sent[before:] == []
    assert five.status("c", "extract") == "pending"
    list(apply_job(five.runtime, "papers", "ann"))
    five.dispatch()
    five.work()
    assert (five.status("c", "extract"), five.status("c")) == ("skipped", "done")


def test_an_item_cannot_begin_at_a_stage_that_is_held(five):
    edit(five, *THREE, step("print"), apply_above=4)
    sweep(five.runtime)
    with pytest.raises(HeldPlanError, match="celeriac plan papers, celeriac apply papers"):
        enqueue_at(five.runtime, "papers", "x", "print", "ann")
    enqueue_at(five.runtime, "papers", "x", "store", "ann")
    assert find_plan(five.conn, "papers").names == ("fetch", "extract", "store")


# -- what is applied --------------------------------------------------------------------------------------


def test_apply_brings_all_items_to_it_and_tells_how_far_it_is(five):
    edit(five, *THREE, step("print"), apply_above=4)
    sweep(five.runtime)
    told = list(apply_job(five.runtime, "papers", "ann"))
    assert (told[0].items, told[0].by) == (5, "ann")
    five.dispatch()
    five.work()
    assert [five.status(key, "print") for key in "abcde"] == ["done"] * 5
    assert plan(five) == []


def test_an_apply_that_was_killed_is_gone_on_with_by_the_sweep(five):
    edit(five, *THREE, step("print"), apply_above=4)
    begin_change(five.conn, "papers", five.runtime.plan(five.spec()), "ann")
    carry_over(five.conn, "papers", 2)
    assert plan(five)[0].under_way.looked == 2
    sweep(five.runtime)
    assert find_change(five.conn, "papers") is None
    five.work()
    assert [five.status(key, "print") for key in "abcde"] == ["done"] * 5


def test_an_apply_goes_on_with_what_another_left(five):
    edit(five, *THREE, step("print"), apply_above=4)
    begin_change(five.conn, "papers", five.runtime.plan(five.spec()), "ann")
    carry_over(five.conn, "papers", 2)
    list(apply_job(five.runtime, "papers", "bob"))
    assert tracker.stage_stats(five.conn, "papers")["print"]["pending"] == 5


def test_a_job_that_is_gone_is_noted_by_apply(five):
    five.edit(others=job(step("look")))
    list(apply_job(five.runtime, "papers", "ann"))
    assert [one.job for one in plan(five)] == ["others"]


def test_what_is_said_of_one_item_is_said_in_the_singular():
    kinds = ("job_removed", "job_switched_on", "stage_added", "stage_removed", "stage_needs", "stage_renamed")
    one, two = (
        [describe_change("papers", Change(kind, "tell", number, number, ("told",))) for kind in kinds]
        for number in (1, 2)
    )
    for word in (
        "1 item stays",
        "1 item is",
        "1 item gets",
        "1 finished one is",
        "1 that waits is",
        "1 item has",
    ):
        assert any(word in line for line in one), word
    for word in (
        "2 items stay ",
        "2 items are",
        "2 items get ",
        "2 finished ones are",
        "2 that wait are",
        "2 items have",
    ):
        assert any(word in line for line in two), word
