"""What becomes of a job's items when jobs.yaml has other stages than before."""

from __future__ import annotations

from dataclasses import dataclass

import tracker
from pipeline.lifecycle import Status
from tracker import applying, claims
from tracker.plan import is_remembered, make_plan, open_items

STAGES = ["fetch", "extract", "store"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as jobs.yaml has it."""

    name: str
    needs: tuple[str, ...] = ()
    enabled: bool = True
    keep: int = 3


def test_apply_plan_reopens_skips_and_tells_whether_anything_had_changed(
    conn, finished_id, add_opened, stage_statuses
):
    add_opened("b")
    assert not applying.apply_plan(conn, "papers", STAGES)
    assert applying.apply_plan(conn, "papers", ["fetch", "print"])
    assert tracker.get_stages_dict(conn, "papers") == {
        "b": {"fetch": "pending", "print": "pending", "extract": "skipped", "store": "skipped"},
        "a": {"fetch": "done", "print": "pending", "extract": "done", "store": "done"},
    }
    assert not applying.apply_plan(conn, "papers", ["fetch", "print"])


def test_an_item_opened_before_the_sweep_comes_by_does_not_hide_a_changed_plan_from_it(
    conn, opened_id, add_items
):
    changed = make_plan([*STAGES, "print"])
    with tracker.write(conn):
        open_items(conn, "papers", add_items("b"), changed)
    assert not is_remembered(conn, "papers", changed)
    assert applying.apply_plan(conn, "papers", changed)
    assert {key: row["print"] for key, row in tracker.get_stages_dict(conn, "papers").items()} == {
        "a": "pending",
        "b": "pending",
    }


def test_changing_the_stages_of_one_job_leaves_the_others_alone(conn, opened_id, add_opened):
    add_opened("a", job_id="talks")
    applying.apply_plan(conn, "papers", ["print"])
    assert tracker.get_stages_dict(conn, "talks") == {"a": dict.fromkeys(STAGES, "pending")}


def test_reopen_items_for_new_stages_gives_a_finished_item_its_new_stage(
    conn, finished_id, stage_statuses, item_status
):
    assert tracker.reopen_items_for_new_stages(conn, "papers", [*STAGES, "print"]) == 1
    assert stage_statuses() == ["done", "done", "done", "pending"]
    assert item_status(finished_id) == "pending"
    assert claims.claim(conn, finished_id, "print", 1, worker="w")
    assert tracker.reopen_items_for_new_stages(conn, "papers", [*STAGES, "print"]) == 0


def test_a_new_stage_in_the_middle_is_waited_for(conn, opened_id, read_stage, stage_statuses):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    tracker.reopen_items_for_new_stages(conn, "papers", ["fetch", "clean", "extract", "store"])
    assert list(tracker.get_stages_dict(conn, "papers")["a"]) == ["fetch", "clean", "extract", "store"]
    assert [read_stage(opened_id, stage)["needs_left"] for stage in ("clean", "extract")] == [0, 1]


def test_a_stage_that_runs_while_jobs_yaml_puts_one_before_it_waits_for_that_when_it_is_to_run_again(
    conn, claimed_id, read_stage
):
    applying.apply_plan(conn, "papers", ["look", *STAGES])
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=0)
    assert read_stage(claimed_id, "fetch")["needs_left"] == 1


def test_a_stage_that_runs_while_the_new_one_before_it_ends_need_not_wait_for_it(
    conn, claimed_id, read_stage
):
    applying.apply_plan(conn, "papers", ["look", *STAGES])
    tracker.mark_stage_done(conn, claimed_id, "look", STAGES)
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=0)
    assert read_stage(claimed_id, "fetch")["needs_left"] == 0


def test_skip_disabled_stages_skips_what_waits_and_lets_what_runs_end(conn, add_opened, stage_statuses):
    running, _ = add_opened("a", "b")
    claims.claim(conn, running, "fetch", 1, worker="w")
    assert (
        tracker.skip_disabled_stages(
            conn, "papers", [Stage("fetch", enabled=False), Stage("extract"), Stage("store")]
        )
        == 1
    )
    assert stage_statuses("a") == ["in_progress", "pending", "pending"]
    assert stage_statuses("b") == ["skipped", "pending", "pending"]
    tracker.mark_stage_done(conn, running, "fetch", STAGES, {"n": 1}, attempt=1)
    assert stage_statuses("a")[0] == "done"


def test_a_stage_switched_off_while_it_runs_is_skipped_instead_of_run_again(
    conn, claimed_id, stage_statuses, read_stage, event_kinds
):
    tracker.skip_disabled_stages(conn, "papers", ["extract", "store"])
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=60)
    assert stage_statuses() == ["pending", "pending", "skipped"]  # what jobs.yaml no longer has stands last
    assert read_stage(claimed_id, "extract")["needs_left"] == 0
    assert event_kinds() == ["claim", "retry_later", "skip"]


def test_a_stage_that_is_switched_on_again_is_reopened_but_not_one_that_a_handler_skipped(
    conn, add_opened, stage_statuses
):
    (item_id,) = add_opened("a")
    tracker.mark_skipped(conn, *add_opened("b"), "not wanted")
    tracker.skip_disabled_stages(
        conn, "papers", [Stage("fetch", enabled=False), Stage("extract"), Stage("store")]
    )
    assert tracker.get_stage_status(conn, item_id, "fetch") is Status.SKIPPED
    assert tracker.reopen_items_for_new_stages(conn, "papers", STAGES) == 1
    assert (stage_statuses("a")[0], stage_statuses("b")[0]) == ("pending", "skipped")


def test_reset_stage_leaves_a_stage_that_is_switched_off(conn, finished_id, stage_statuses):
    tracker.skip_disabled_stages(
        conn,
        "papers",
        [Stage("fetch"), Stage("extract", ("fetch",), enabled=False), Stage("store", ("extract",))],
    )
    assert tracker.reset_stage(conn, "papers", "fetch") == 1
    assert stage_statuses() == ["pending", "done", "pending"]
