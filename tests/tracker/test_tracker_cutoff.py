"""Early cutoff: what needs a stage that is done again follows only if its result is another one."""

from __future__ import annotations

import json
import shutil
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracker_life import check_now

import tracker
from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import Status
from pipeline.versions import hash_result
from tracker import bulk, claims, moves, recovery
from tracker.acts import ACTS
from tracker.applying import apply_plan
from tracker.bulk import Asked
from tracker.endings import Ending, Failure
from tracker.plan import StagePlan, make_plan, open_items

CHAIN = make_plan(["fetch", "extract", "store"])
FORK = StagePlan(
    ("a", "b", "c", "d", "e"),
    {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)},
    frozenset("abcde"),
)


class Works:
    """Workers for one item of the job `papers`: each stage gives what the test says, or what it gave before."""

    def __init__(self, conn, plan, key="a"):
        self.conn, self.plan, self.ran = conn, plan, []
        tracker.upsert_items(conn, "papers", [{"key": key}])
        (self.item_id,) = conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()
        with tracker.write(conn):
            open_items(conn, "papers", [self.item_id], plan)
        self.gives = {name: {"made by": name} for name in plan.names}

    def list_ready(self):
        sql = "SELECT stage, attempt FROM item_stages WHERE item_id = ? AND status = 'pending' AND needs_left = 0"
        return self.conn.execute(sql, (self.item_id,)).fetchall()

    def claim(self, stage):
        attempt = self.row(stage)["attempt"] + 1
        assert claims.claim(self.conn, self.item_id, stage, attempt, worker="w")
        self.ran.append(stage)
        return attempt

    def end(self, stage, attempt, ending=None):
        return moves.settle(self.conn, self.item_id, stage, attempt, ending or self.finish(stage))

    def finish(self, stage):
        result = self.gives[stage]
        return Ending.finished(json.dumps(result), "v", output_hash=hash_result(result))

    def run(self, stage, ending=None):
        return self.end(stage, self.claim(stage), ending)

    def work(self):
        """Work until nothing is ready; which stages ran, in their order."""
        self.ran = []
        while ready := self.list_ready():
            self.run(ready[0][0])
        return self.ran

    def reprocess(self, *stages):
        return self.act("reprocess", *stages)

    def cancel(self, *stages):
        return self.act("cancel", *(stages or self.plan.names))

    def act(self, name, *stages):
        asked = Asked(1, ACTS[name], "papers", [self.item_id], None, [(self.item_id, s) for s in stages],
                      None, "ann", f"{name} by ann", 0)  # fmt: skip
        with tracker.write(self.conn):
            touched = bulk.change_stages(self.conn, asked)
            self.conn.execute("DELETE FROM action_stages")
        return touched.stages

    def row(self, stage):
        sql = "SELECT * FROM item_stages WHERE item_id = ? AND stage = ?"
        return dict(self.conn.execute(sql, (self.item_id, stage)).fetchone())

    def statuses(self):
        return {stage: self.row(stage)["status"] for stage in self.plan.names}

    def marks(self):
        return {stage: mark for stage in self.plan.names if (mark := self.row(stage)["again"])}

    def spared(self):
        rows = tracker.get_events(self.conn, "papers", limit=1000)[::-1]
        return [json.loads(row["detail"])["spared"] for row in rows if row["kind"] == "cutoff"]


@pytest.fixture
def chain(conn):
    works = Works(conn, CHAIN)
    works.work()
    return works


@pytest.fixture
def fork(conn):
    works = Works(conn, FORK)
    works.work()
    return works


def test_the_same_result_spares_all_that_follows(chain):
    chain.reprocess("fetch")
    assert chain.statuses() == {"fetch": "pending", "extract": "done", "store": "done"}
    assert chain.work() == ["fetch"]
    assert chain.spared() == [["extract", "store"]]
    assert set(chain.statuses().values()) == {"done"}


def test_another_result_is_followed_as_far_as_results_are_others(chain):
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch")
    assert chain.work() == ["fetch", "extract"]
    assert chain.spared() == [["store"]]
    chain.gives["fetch"], chain.gives["extract"] = {"n": 3}, {"n": 3}
    chain.reprocess("fetch")
    assert chain.work() == ["fetch", "extract", "store"]


def test_a_result_whose_hash_nobody_knows_counts_as_another(conn, chain):
    conn.execute("UPDATE results SET output_hash = NULL")
    chain.reprocess("fetch")
    assert chain.work() == ["fetch", "extract", "store"]


def test_a_first_run_is_followed_by_all_and_notes_nothing(conn):
    works = Works(conn, CHAIN)
    assert works.work() == ["fetch", "extract", "store"]
    assert works.spared() == []


def test_a_later_stage_waits_for_an_earlier_one_and_runs_once(chain):
    chain.gives["fetch"], chain.gives["extract"] = {"n": 2}, {"n": 2}
    assert chain.reprocess("fetch", "store") == 2
    assert chain.marks() == {"fetch": "runs", "store": "waits"}
    assert chain.row("store")["status"] == "done"
    assert chain.work() == ["fetch", "extract", "store"]
    assert chain.marks() == {}


def test_a_stage_that_was_chosen_runs_though_what_it_needs_came_out_the_same(chain):
    chain.reprocess("fetch", "store")
    assert chain.work() == ["fetch", "store"]
    assert chain.spared() == [["extract"]]


def test_where_branches_meet_a_stage_waits_for_both_and_runs_once(fork):
    fork.gives |= {"a": {"n": 2}, "c": {"n": 2}}
    fork.reprocess("a")
    assert fork.work() == ["a", "b", "c", "d"]
    assert fork.spared() == [["e"]]


def test_branches_that_both_come_out_the_same_spare_where_they_meet(fork):
    fork.gives["a"] = {"n": 2}
    fork.reprocess("a")
    assert fork.work() == ["a", "b", "c"]
    assert fork.spared() == [["d", "e"]]


def test_an_attempt_that_runs_on_an_old_result_is_fenced_off(chain):
    chain.reprocess("extract")
    running = chain.claim("extract")
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch")
    chain.run("fetch")
    with pytest.raises(StaleLeaseError):
        chain.end("extract", running)
    assert chain.work() == ["extract"]


def test_a_stage_that_fails_leaves_what_follows_until_it_is_tried_again(chain):
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch")
    chain.run("fetch", Ending.failed(Failure.named("ValueError", "broken")))
    assert chain.statuses() == {"fetch": "failed", "extract": "done", "store": "done"}
    tracker.retry_failed(chain.conn, "papers")
    assert chain.work() == ["fetch", "extract"]


def test_a_stage_that_is_now_left_out_with_the_rest_leaves_out_all_that_follows(chain):
    chain.reprocess("fetch")
    chain.run("fetch", Ending.skipped("empty", rest=True))
    assert chain.statuses() == {"fetch": "skipped", "extract": "skipped", "store": "skipped"}
    assert chain.marks() == {}


def test_a_stage_that_is_now_left_out_has_what_needs_it_done_again(chain):
    chain.reprocess("fetch")
    chain.run("fetch", Ending.skipped("empty"))
    assert chain.statuses() == {"fetch": "skipped", "extract": "pending", "store": "done"}


def test_a_stage_that_is_left_out_once_more_spares_all_that_follows(conn):
    works = Works(conn, CHAIN)
    works.run("fetch")
    works.run("extract", Ending.skipped("empty"))
    assert works.work() == ["store"]
    works.gives["fetch"] = {"n": 2}
    works.reprocess("fetch")
    works.run("fetch")
    works.run("extract", Ending.skipped("empty"))
    assert works.work() == []
    assert works.spared() == [["store"]]


def switch_off(works, stage):
    apply_plan(works.conn, "papers", StagePlan(CHAIN.names, CHAIN.needs, CHAIN.switched_on - {stage}))


def test_a_stage_that_is_switched_off_is_not_marked_by_another_result(chain):
    switch_off(chain, "extract")
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch")
    assert chain.work() == ["fetch"]
    assert chain.marks() == {}


def test_nothing_waits_for_a_stage_that_was_switched_off_as_it_waited_itself(chain):
    chain.reprocess(*CHAIN.names)
    switch_off(chain, "extract")
    assert chain.work() == ["fetch", "store"]


def test_what_waits_to_be_done_again_once_it_is_switched_on_is_not_said_to_be_spared(chain):
    chain.reprocess("fetch", "extract")
    switch_off(chain, "extract")
    assert chain.work() == ["fetch"]
    assert chain.marks() == {"extract": "waits"}
    assert chain.spared() == []


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_stage_that_a_person_counts_as_done_again_keeps_its_result_and_has_nothing_follow(
    conn, chain, is_claimed
):
    chain.reprocess("fetch")
    if is_claimed:
        chain.claim("fetch")
    tracker.mark_stage_done(conn, chain.item_id, "fetch", CHAIN.names)
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"made by": "fetch"}
    assert set(chain.statuses().values()) == {"done"}
    assert chain.spared() == [["extract", "store"]]


def test_a_stage_that_is_cancelled_as_it_is_done_again_has_nothing_follow(fork):
    fork.reprocess("b")
    running = fork.claim("b")
    fork.reprocess("a")
    attempt = fork.claim("a")
    fork.conn.execute("UPDATE item_stages SET cancelled_by = 'ann' WHERE status = 'in_progress'")
    fork.gives["a"] = {"n": 2}
    fork.end("a", attempt)
    fork.end("b", running)
    assert fork.work() == []
    assert (fork.statuses()["b"], fork.statuses()["c"], fork.marks()) == ("skipped", "done", {})


@pytest.mark.parametrize("take_back", [recovery.reset_in_progress_stages, recovery.reclaim_stuck_stages])
def test_what_is_cancelled_as_it_is_done_again_keeps_no_claim_from_being_taken_back(conn, fork, take_back):
    fork.reprocess("b")
    fork.claim("b")
    fork.reprocess("a")
    fork.claim("a")
    conn.execute("UPDATE item_stages SET cancelled_by = 'ann' WHERE status = 'in_progress'")
    other = Works(conn, FORK, "other")
    other.claim("a")
    conn.execute("UPDATE item_stages SET leased_until = 0 WHERE status = 'in_progress'")
    assert take_back(conn) == 3
    assert (fork.statuses()["a"], fork.statuses()["b"]) == ("skipped", "skipped")
    assert other.list_ready() == [("a", 1)]


def test_what_waits_to_be_done_again_stays_as_it_ended_when_it_is_cancelled(chain):
    chain.reprocess("fetch", "extract", "store")
    assert chain.cancel() == 3
    assert chain.statuses() == {"fetch": "skipped", "extract": "done", "store": "done"}
    assert (chain.work(), chain.marks()) == ([], {})


def test_nothing_of_an_item_begins_after_what_runs_of_it_was_cancelled(chain):
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch", "store")
    running = chain.claim("fetch")
    assert chain.cancel() == 2
    assert chain.cancel() == 0
    chain.end("fetch", running)
    assert chain.work() == []
    assert chain.statuses() == {"fetch": "skipped", "extract": "done", "store": "done"}


def test_what_is_cancelled_alone_lets_go_on_what_waits_for_it(chain):
    chain.reprocess("fetch", "extract", "store")
    assert chain.cancel("extract") == 1
    assert chain.work() == ["fetch", "store"]


def test_a_failure_that_is_cancelled_as_it_waits_is_followed_once_it_is_retried(fork):
    fork.gives |= {"b": {"n": 2}, "d": {"n": 2}}
    fork.reprocess("d")
    fork.run("d", Ending.failed(Failure.named("ValueError", "broken")))
    fork.reprocess("b", "c")
    fork.run("b")
    assert fork.marks()["d"] == "waits"
    assert fork.cancel("d") == 1
    assert (fork.work(), fork.statuses()["d"]) == (["c"], "failed")
    tracker.retry_failed(fork.conn, "papers")
    assert fork.work() == ["d", "e"]


def get_to_run(works):
    works.reprocess("extract")
    running = works.claim("extract")
    works.reprocess("fetch")
    return running


def get_to_be_pending(works):
    works.reprocess("extract")
    works.reprocess("fetch")


def get_to_wait(works):
    works.reprocess("fetch", "extract")


@pytest.mark.parametrize("get_there", [get_to_run, get_to_be_pending, get_to_wait])
def test_what_was_cancelled_does_not_follow_another_result_that_was_under_way(chain, get_there):
    chain.gives["fetch"] = {"n": 2}
    running = get_there(chain)
    assert chain.cancel("extract") == 1
    chain.run("fetch")
    if running:
        chain.end("extract", running)
    assert chain.work() == []
    assert chain.statuses()["extract"] == ("done" if get_there is get_to_wait else "skipped")


def test_what_was_cancelled_and_ended_does_not_follow_another_result_that_was_under_way(chain):
    chain.gives["fetch"] = {"n": 2}
    running = get_to_run(chain)
    first = chain.claim("fetch")
    chain.cancel("extract")
    chain.end("extract", running)
    chain.end("fetch", first)
    assert (chain.work(), chain.statuses()["extract"]) == ([], "skipped")


@pytest.mark.parametrize("get_there", [get_to_run, get_to_be_pending, get_to_wait])
def test_what_was_cancelled_follows_another_result_of_a_later_reprocess(chain, get_there):
    running = get_there(chain)
    chain.cancel("extract")
    if running:
        chain.end("extract", running)
    chain.work()
    chain.gives["fetch"] = {"n": 2}
    chain.reprocess("fetch")
    assert chain.work() == ["fetch", "extract"]


def test_what_was_cancelled_and_still_runs_ends_at_once_and_follows_a_later_reprocess(chain):
    running = get_to_run(chain)
    chain.run("fetch")
    assert chain.cancel("extract") == 1
    chain.gives["fetch"] = {"n": 2}
    assert chain.reprocess("fetch") == 1
    check_now(chain.conn)
    assert (chain.row("extract")["status"], chain.row("extract")["reason"]) == ("skipped", "cancelled by ann")
    with pytest.raises(StaleLeaseError):
        chain.end("extract", running)
    assert chain.work() == ["fetch", "extract"]


def test_who_waits_goes_on_when_what_it_needs_is_done_for_the_first_time(conn):
    works = Works(conn, CHAIN)
    works.end("store", None, Ending.counted_done())
    works.reprocess("store")
    assert works.work() == ["fetch", "extract", "store"]


def test_who_waits_goes_on_when_a_person_leaves_out_what_it_waits_for(chain):
    chain.reprocess("fetch", "store")
    asked = Asked(2, ACTS["skip"], "papers", [chain.item_id], "fetch", None, None, "ann", "no", 2**62)
    with tracker.write(chain.conn):
        bulk.change_stages(chain.conn, asked)
    assert chain.work() == ["store"]


def test_a_reset_still_runs_that_stage_and_all_after_it(chain):
    chain.reprocess("fetch")
    tracker.reset_stage(chain.conn, "papers", "fetch")
    assert chain.work() == ["fetch", "extract", "store"]
    assert chain.marks() == {}


# -- whatever the plan, the versions and the order --------------------------------------------------------

PLANS = [
    CHAIN,
    FORK,
    StagePlan(
        tuple("abcdef"),
        {"a": (), "b": (), "c": ("a", "b"), "d": ("a",), "e": ("c", "d"), "f": ("b",)},
        frozenset("abcdef"),
    ),
]


def compute(plan, versions, made):
    """Compute what each stage gives, from its version and what it needs; few values, so that many stay the same."""
    for name in plan.names:
        made[name] = give(plan, versions, made, name)
    return made


def give(plan, versions, made, name):
    return {"n": (versions[name] + sum(made[need]["n"] for need in plan.needs[name])) % 2}


@given(data=st.data(), plan=st.sampled_from(PLANS))
@settings(max_examples=40)
def test_an_item_done_again_in_any_order_ends_as_if_all_of_it_had_been(migrated_file, data, plan):
    with tempfile.TemporaryDirectory() as folder, tracker.open_db(shutil.copy(migrated_file, folder)) as conn:
        works = Works(conn, plan)
        versions = dict.fromkeys(plan.names, 0)
        works.gives = compute(plan, versions, {})
        works.work()
        for _ in range(data.draw(st.integers(1, 3))):
            newer = data.draw(st.sets(st.sampled_from(plan.names), min_size=1))
            versions |= {name: data.draw(st.integers(0, 3)) for name in newer}
            works.ran = []
            works.reprocess(*newer)
            work_in_any_order(works, data, plan, versions)
            assert {name: tracker.get_result(conn, "papers", "a", name) for name in plan.names} == compute(
                plan, versions, {}
            )
            assert newer <= set(works.ran)
            assert len(works.ran) == len(set(works.ran)), "a stage ran twice"
            assert works.marks() == {}
            assert set(works.statuses().values()) == {Status.DONE}


@given(data=st.data(), plan=st.sampled_from(PLANS))
@settings(max_examples=60)
def test_nothing_begins_after_an_item_was_cancelled_whenever_that_was(migrated_file, data, plan):
    with tempfile.TemporaryDirectory() as folder, tracker.open_db(shutil.copy(migrated_file, folder)) as conn:
        works = Works(conn, plan)
        versions = dict.fromkeys(plan.names, 0)
        works.gives = compute(plan, versions, {})
        works.work()
        newer = data.draw(st.sets(st.sampled_from(plan.names), min_size=1))
        versions |= {name: data.draw(st.integers(0, 3)) for name in newer}
        works.reprocess(*newer)
        running = work_in_any_order(works, data, plan, versions, steps=data.draw(st.integers(0, 8)))
        expected = sum(row["status"] in {"pending", "in_progress"} or row["again"] == "waits"
                       for row in map(works.row, plan.names))  # fmt: skip
        assert works.cancel() == expected
        check_now(conn)
        works.ran = []
        for stage in data.draw(st.permutations(sorted(running))):
            attempt, works.gives[stage] = running[stage]
            works.end(stage, attempt)
            check_now(conn)
        assert (works.work(), works.marks()) == ([], {})
        assert set(works.statuses().values()) <= {Status.DONE, Status.SKIPPED}


def work_in_any_order(works, data, plan, versions, steps=1000):
    """Work until nothing is ready, or for so many steps; what runs then."""
    running = {}
    for _ in range(steps):
        ready = [row[0] for row in works.list_ready()]
        if not ready and not running:
            break
        if ready and (not running or data.draw(st.booleans())):
            stage = data.draw(st.sampled_from(sorted(ready)))
            attempt = works.claim(stage)
            needed = {need: tracker.get_result(works.conn, "papers", "a", need) for need in plan.needs[stage]}
            running[stage] = attempt, give(plan, versions, needed, stage)
        else:
            stage = data.draw(st.sampled_from(sorted(running)))
            attempt, works.gives[stage] = running.pop(stage)
            works.end(stage, attempt)
        check_now(works.conn)
    return running
