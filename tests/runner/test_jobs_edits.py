"""jobs.yaml may change while all runs: the sweep brings items to the stages that it has now."""

from __future__ import annotations

import pytest
import structlog
from workshop import job, step

from pipeline.errors import HeldPlanError
from runner import operate
from runner.applying import rename
from runner.sweep import sweep

THREE = [step("fetch"), step("extract"), step("store")]


def change(shop, *stages):
    shop.edit(papers=job(*stages))
    sweep(shop.runtime)
    shop.work()


def test_a_new_stage_reopens_finished_items(shop):
    shop.run("a")
    change(shop, *THREE, step("notify"))
    assert (shop.status("a"), shop.status("a", "notify")) == ("done", "done")
    assert shop.plugins.seen.count(("fetch", "a")) == 1
    assert len(shop.events("reopen")) == 1


def test_a_list_of_stages_that_comes_back_is_in_force_only_once_it_is_applied_again(shop):
    shop.run("a")
    assert shop.runtime.plan_in_force(shop.spec()).names == ("fetch", "extract", "store")
    shop.edit(papers=job(step("fetch"), step("text"), step("store")))
    rename(shop.runtime, "papers", "extract", "text", "ann")
    shop.edit(papers=job(*THREE))
    sweep(shop.runtime)
    assert shop.runtime.plan_in_force(shop.spec()).names == ("fetch", "text", "store")
    with pytest.raises(HeldPlanError):
        operate.enqueue_at(shop.runtime, "papers", "b", "extract", "ann")


def test_a_new_stage_in_the_middle_runs_and_what_follows_is_left_as_it_is(shop):
    shop.run("a")
    change(shop, step("fetch"), step("clean"), step("extract"), step("store"))
    assert shop.plugins.seen.count(("clean", "a")) == 1
    assert shop.plugins.seen.count(("extract", "a")) == 1
    assert shop.status("a") == "done"


def test_a_stage_that_is_switched_off_is_skipped_and_what_waits_behind_it_goes_on(shop):
    shop.add("a")
    shop.dispatch()
    shop.take()
    shop.publisher.waiting.clear()
    change(shop, step("fetch"), step("extract", enabled=False), step("store"))
    assert (shop.status("a", "extract"), shop.status("a")) == ("skipped", "done")
    assert shop.result("a", "store")["saw"] == []


def test_a_stage_that_was_switched_off_is_not_sent_even_before_the_sweep_came_by(shop):
    shop.add("a")
    shop.dispatch()
    shop.edit(papers=job(step("fetch"), step("extract", enabled=False), step("store")))
    shop.work()
    assert shop.sent == [("a", "fetch")]


def test_a_stage_that_is_switched_on_again_runs(shop):
    shop.run("a")
    change(shop, *THREE[:2], step("store"), step("notify", enabled=False))
    change(shop, *THREE[:2], step("store"), step("notify"))
    assert shop.status("a", "notify") == "done"


def test_a_message_of_a_stage_that_was_switched_off_meanwhile_is_dropped(shop):
    shop.add("a")
    shop.dispatch()
    shop.edit(papers=job(step("fetch", enabled=False), step("extract")))
    sweep(shop.runtime)
    shop.work()
    assert ("fetch", "a") not in shop.plugins.seen
    assert shop.status("a") == "done"


def test_changed_needs_count_for_items_under_way(shop):
    shop.add("a")
    shop.dispatch()
    shop.take()
    shop.publisher.waiting.clear()
    change(shop, step("fetch"), step("extract"), step("store", needs=["fetch"]))
    assert shop.result("a", "store")["saw"] == ["fetch"]


def test_an_unchanged_list_of_stages_is_applied_once(shop):
    shop.run("a")
    sweep(shop.runtime)
    shop.edit(papers=job(*THREE, title="Another title"))
    with structlog.testing.capture_logs() as logs:
        sweep(shop.runtime)
    assert "stages changed" not in [line["event"] for line in logs]


def test_an_invalid_edit_is_refused_and_the_old_jobs_go_on(shop):
    shop.add("a")
    shop.break_jobs("version: 1\njobs:\n  papers: {stages: 7}\n")
    sweep(shop.runtime)
    shop.work()
    assert shop.status("a") == "done"
    assert "jobs.papers.stages" in str(shop.runtime.watch.refusal)


def test_a_jobs_file_that_is_gone_is_refused_and_the_old_jobs_go_on(shop):
    shop.add("a")
    assert shop.runtime.jobs
    shop.runtime.settings.jobs.unlink()
    shop.look_again()
    sweep(shop.runtime)
    shop.work()
    assert shop.status("a") == "done"
    assert shop.runtime.watch.refusal is not None


def test_a_mended_edit_is_taken_up(shop):
    shop.add("a")
    shop.break_jobs("version: 1\njobs: {papers: }\n")
    sweep(shop.runtime)
    shop.publisher.waiting.clear()
    change(shop, *THREE, step("notify"))
    assert shop.runtime.watch.refusal is None
    assert "notify" in shop.runtime.plan(shop.spec()).names


def test_a_job_that_jobs_yaml_gains_is_worked_on(shop):
    shop.run("a")
    shop.edit(papers=job(*THREE), others=job(step("look")))
    shop.add("b", job_id="others")
    sweep(shop.runtime)
    shop.work()
    assert shop.plugins.seen[-1] == ("look", "b")
