"""Random histories: whatever happens to its items, in whatever order, the tracker stays true to itself."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from life_machine import ENDINGS, JOB, PLANS, LifeMachine

import tracker
from pipeline.errors import NotUndoableError
from pipeline.lifecycle import Status
from tracker import action_batches, actions, applying, dispatch, messages, recovery, undoing
from tracker.acts import ACTS
from tracker.clock import now_ms
from tracker.plan import open_items
from tracker.reservations import reserve

KEYS = st.sampled_from(["k1", "k2", "k3"])
STAGES = st.sampled_from("abcdx")
HOW = st.sampled_from(["finished", *ENDINGS, "worker lost", "renewed"])
MARKS = st.sampled_from(
    [tracker.mark_done, tracker.mark_failed, tracker.mark_skipped, tracker.mark_in_progress]
)


class LifeOfAStage(LifeMachine):
    # -- items come in, and are sent -------------------------------------------------------------------

    @initialize(plan=st.sampled_from(PLANS))
    def begin(self, plan):
        self.change_jobs_file(plan)
        self.upsert(["k1", "k2"], 0)
        self.send(2, is_published=True)

    @rule(keys=st.lists(KEYS, min_size=1), priority=st.integers(0, 2))
    def upsert(self, keys, priority):
        tracker.upsert_items(self.conn, JOB, [{"key": key, "priority": priority} for key in keys])

    @rule(count=st.integers(1, 4), is_published=st.booleans())
    def send(self, count, is_published):
        with tracker.write(self.conn):
            found = dispatch.list_unopened(self.conn, JOB, self.plan.root, count)
            open_items(self.conn, JOB, [one.item_id for one in found], self.plan)
            for stage in self.plan.names:
                found += dispatch.list_ready(self.conn, JOB, stage, count)
            sent = dispatch.stamp(self.conn, sorted(found)[:count])
            reserve(self.conn, sent, dict.fromkeys(self.plan.names, 0.5))
        if not is_published:
            with tracker.write(self.conn):
                dispatch.take_back_stamps(self.conn, [one.attempt_key for one in sent])
        self.messages += sent

    @rule(key=KEYS, stage=STAGES)
    def inject(self, key, stage):
        item = self.conn.execute("SELECT opened_at FROM work_items WHERE key = ?", (key,)).fetchone()
        if stage in self.plan.names and not (item and item[0]):
            tracker.inject_at_stage(self.conn, JOB, key, stage, self.plan)

    # -- workers take them, and end them, or die -------------------------------------------------------

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), is_duplicated=st.booleans())
    def take_message(self, data, is_duplicated):
        message = data.draw(st.sampled_from(self.messages))
        if not is_duplicated:
            self.messages.remove(message)
        self.claim(message.item_id, message.stage, message.attempt)

    @rule(count=st.integers(1, 3))
    def take_ready(self, count):
        for stage in self.plan.names:
            for one in dispatch.list_ready(self.conn, JOB, stage, count):
                self.claim(one.item_id, stage, self.places[one.item_id, stage][1] + 1)

    @precondition(lambda self: self.places)
    @rule(data=st.data(), attempt=st.integers(-1, 3))
    def take_any(self, data, attempt):
        item_id, stage = data.draw(st.sampled_from(sorted(self.places)))
        self.claim(item_id, stage, self.places[item_id, stage][1] + attempt)

    @precondition(LifeMachine.running)
    @rule(data=st.data(), how=HOW)
    def end_one(self, data, how):
        place = data.draw(st.sampled_from(self.running()))
        self.end(*place, self.places[place][1], how)

    @precondition(LifeMachine.running)
    @rule(how=HOW)
    def end_all(self, how):
        for place in self.running():
            self.end(*place, self.places[place][1], how)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), how=HOW)
    def end_any(self, data, how):
        self.end(*data.draw(st.sampled_from(self.claimed)), how)

    @precondition(LifeMachine.running)
    @rule(how=HOW)
    def end_overtaken(self, how):
        """Let a worker that was cut off come back while another has its stage."""
        self.sweep(31)
        self.everything_agrees()
        self.take_ready(3)
        self.everything_agrees()
        for item_id, stage, attempt in self.claimed:
            status, current = self.places[item_id, stage]
            if status is Status.IN_PROGRESS and attempt < current:
                self.end(item_id, stage, attempt, how)

    # -- time passes, the sweep comes by, all is restarted ---------------------------------------------

    @rule(seconds=st.sampled_from([1, 31, 100, 4000]))
    def sweep(self, seconds):
        self.hands.shift(seconds)
        applying.apply_plan(self.conn, JOB, self.plan)
        for job_id in tracker.get_jobs_due_unpause(self.conn):
            tracker.increment_auto_unpause(self.conn, job_id)
        recovery.reclaim_stuck_stages(self.conn)
        messages.wake_parked_stages(self.conn)
        messages.take_back_lost_messages(self.conn)

    @rule(is_cold=st.booleans())
    def restart(self, is_cold):
        self.messages.clear()
        self.hands.shift(10)
        messages.take_back_vanished_messages(self.conn)
        if is_cold:
            tracker.reset_in_progress_stages(self.conn)

    # -- people, and jobs.yaml -------------------------------------------------------------------------

    @rule()
    def pause_or_go_on(self):
        if tracker.is_job_paused(self.conn, JOB):
            tracker.unpause_job(self.conn, JOB)
        else:
            tracker.pause_job(self.conn, JOB, "quota", until=now_ms() + 60_000)

    @rule(plan=st.sampled_from(PLANS))
    def change_jobs_file(self, plan):
        self.plan = plan  # which some see before the sweep comes by and applies it

    @precondition(lambda self: self.places)
    @rule(stage=STAGES, keys=st.none() | st.lists(KEYS))
    def reset(self, stage, keys):
        if (stage,) in self.conn.execute("SELECT stage FROM job_stages").fetchall():
            tracker.reset_stage(self.conn, JOB, stage, keys)

    @rule(stage=st.none() | STAGES, keys=st.none() | st.lists(KEYS))
    def retry_failed(self, stage, keys):
        tracker.retry_failed(self.conn, JOB, stage, keys)

    @precondition(lambda self: self.places)
    @rule(
        act=st.sampled_from(sorted(ACTS.keys() - {"inject"})),
        stage=st.none() | STAGES,
        batches=st.integers(1, 4),
    )
    def act_on_all(self, act, stage, batches):
        """Carry out an action, or begin one that is cut off: the next that is alike goes on with it."""
        detail = {"priority": batches} if act == "priority" else {}
        how = {"by": "failed" if act == "retry" else "job"}
        action = actions.begin(self.conn, act, JOB, stage, how, by="me", total=1, reason="why", detail=detail)
        for _ in range(batches):
            page = action_batches.next_page(self.conn, action, 1)
            with tracker.write(self.conn):
                action = action_batches.do_batch(self.conn, action, page)

    @rule(batches=st.integers(1, 4))
    def undo(self, batches):
        action = actions.find_newest(self.conn)
        if action is None or action.act != actions.UNDO or action.finished_at is not None:
            try:
                action = undoing.begin_undo(self.conn, undoing.find_undoable(self.conn), "me")
            except NotUndoableError:
                return
        for _ in range(batches):
            with tracker.write(self.conn):
                action = undoing.undo_batch(self.conn, action, 1)

    @precondition(lambda self: self.places)
    @rule(data=st.data(), mark=MARKS)
    def mark(self, data, mark):
        item_id, _ = data.draw(st.sampled_from(sorted(self.places)))
        mark(self.conn, item_id)


@pytest.mark.timeout(600)  # some 20 seconds of a processor; on a busy machine that is minutes
def test_every_history_of_a_stage_keeps_to_its_lifecycle(migrated_file):
    bounds = settings(
        max_examples=400,
        stateful_step_count=40,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    machine = type("LifeOfAStage", (LifeOfAStage,), {"template": migrated_file})
    run_state_machine_as_test(machine, settings=bounds)
