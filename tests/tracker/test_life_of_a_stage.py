"""Random histories: whatever happens to its items, in whatever order, the tracker stays true to itself."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from tracker_life import check_now, check_step, read_everything, read_places, read_switched_on

import tracker
from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import SATISFIED, Status
from tracker import dispatch, moves, recovery
from tracker.clock import now_ms
from tracker.endings import Ending, Failure
from tracker.plan import StagePlan, make_plan, open_items

JOB = "papers"
FORK = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
PLANS = [
    make_plan(["a", "b", "c"]),
    StagePlan(tuple(FORK), FORK, frozenset("abcd")),
    StagePlan(tuple(FORK), FORK, frozenset("acd")),
    StagePlan(tuple("abc"), {"a": (), "b": (), "c": ("a", "b")}, frozenset("abc")),
    make_plan(["c", "x", "a"]),
    make_plan(["b"]),
]
BROKEN = Failure.named("ValueError", "broken")
ENDINGS = {
    "finished": lambda now, text: Ending.finished(text, "v1"),
    "skipped": lambda now, text: Ending.skipped("empty"),
    "skipped rest": lambda now, text: Ending.skipped("empty", rest=True),
    "gave up": lambda now, text: Ending.gave_up("gone"),
    "failed": lambda now, text: Ending.failed(BROKEN),
    "retried": lambda now, text: Ending.retried(BROKEN, now + 20_000),
    "later": lambda now, text: Ending.later("quota", now + 200_000),
    "much later": lambda now, text: Ending.later("quota", now + 2_000_000),
    "released": lambda now, text: Ending.released("stopping"),
}
KEYS = st.sampled_from(["k1", "k2", "k3"])
STAGES = st.sampled_from("abcdx")
HOW = st.sampled_from(["finished", *ENDINGS, "worker lost", "renew"])


class LifeOfAStage(RuleBasedStateMachine):
    template: Path

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False)
        self.hands = self.clock.start()
        self.conn = tracker.open_raw_db(shutil.copy(self.template, self.folder.name))
        self.plan = PLANS[0]
        self.messages, self.claimed, self.results = [], [], {}
        self.places, self.last_event = {}, 0

    def teardown(self):
        self.conn.close()
        self.clock.stop()
        self.folder.cleanup()

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
        if not is_published:
            with tracker.write(self.conn):
                dispatch.take_back_stamps(self.conn, sent)
        self.messages += sent

    @rule(key=KEYS, stage=STAGES)
    def inject(self, key, stage):
        item = self.conn.execute("SELECT opened_at FROM work_items WHERE key = ?", (key,)).fetchone()
        if stage in self.plan.names and not (item and item[0]):
            tracker.inject_at_stage(self.conn, JOB, key, stage, self.plan)

    # -- workers take them, and end them, or die -------------------------------------------------------

    def claim(self, item_id, stage, attempt):
        is_free = self.may_claim(item_id, stage, attempt)
        claim = moves.claim(self.conn, item_id, stage, attempt, worker="w")
        assert (claim is not None) == is_free
        if claim:
            assert (item_id, stage, attempt) not in self.claimed, "an attempt was claimed twice"
            assert read_places(self.conn)[item_id, stage] == (Status.IN_PROGRESS, attempt)
            self.claimed.append((item_id, stage, attempt))

    def may_claim(self, item_id, stage, attempt):
        status, last = self.places.get((item_id, stage), (None, 0))
        needs = self.conn.execute("SELECT need FROM stage_needs WHERE stage = ?", (stage,)).fetchall()
        retry_at = self.conn.execute(
            "SELECT retry_at FROM item_stages WHERE item_id = ? AND stage = ?", (item_id, stage)
        ).fetchone()
        return (
            status is Status.PENDING
            and attempt == last + 1
            and all(self.places.get((item_id, need), (Status.DONE,))[0] in SATISFIED for (need,) in needs)
            and not tracker.is_job_paused(self.conn, JOB)
            and (retry_at[0] or 0) <= now_ms() + moves.EARLY_MS
        )

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

    def running(self):
        return [place for place, (status, _) in sorted(self.places.items()) if status is Status.IN_PROGRESS]

    @precondition(running)
    @rule(data=st.data(), how=HOW)
    def end_one(self, data, how):
        place = data.draw(st.sampled_from(self.running()))
        self.end(*place, self.places[place][1], how)

    @precondition(running)
    @rule(how=HOW)
    def end_all(self, how):
        for place in self.running():
            self.end(*place, self.places[place][1], how)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), how=HOW)
    def end_any(self, data, how):
        self.end(*data.draw(st.sampled_from(self.claimed)), how)

    def end(self, item_id, stage, attempt, how):
        owns = self.places[item_id, stage] == (Status.IN_PROGRESS, attempt)
        before = read_everything(self.conn)
        try:
            is_done = self.end_attempt(item_id, stage, attempt, how)
        except StaleLeaseError:
            is_done = False
        assert is_done == owns
        assert owns or read_everything(self.conn) == before

    def end_attempt(self, item_id, stage, attempt, how):
        if how == "renew":
            return moves.renew_lease(self.conn, item_id, stage, attempt)
        if how == "worker lost":
            recovery.release_lost_worker(self.conn, item_id, stage, attempt, "killed by signal 9")
            return True
        text = f'{{"attempt": {attempt}, "at": {len(self.results)}}}'
        settled = moves.settle(self.conn, item_id, stage, attempt, ENDINGS[how](now_ms(), text))
        if how == "finished":
            self.results[item_id, stage] = (attempt, text)
        if settled.countdown_seconds is not None:
            self.messages.append(dispatch.Message(item_id, JOB, stage, attempt + 1, ""))
        return True

    # -- time passes, and the sweep comes by -----------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 31, 100, 4000]))
    def sweep(self, seconds):
        self.hands.shift(seconds)
        recovery.apply_plan(self.conn, JOB, self.plan)
        for job_id in tracker.get_jobs_due_unpause(self.conn):
            tracker.increment_auto_unpause(self.conn, job_id)
        recovery.reclaim_stuck_stages(self.conn)
        recovery.wake_parked_stages(self.conn)
        recovery.take_back_lost_messages(self.conn)

    @rule(is_cold=st.booleans())
    def restart(self, is_cold):
        self.messages.clear()
        self.hands.shift(10)
        recovery.take_back_vanished_messages(self.conn)
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
        known = self.conn.execute("SELECT stage FROM job_stages").fetchall()
        if (stage,) in known:
            tracker.reset_stage(self.conn, JOB, stage, keys)

    @rule(stage=st.none() | STAGES, keys=st.none() | st.lists(KEYS))
    def retry_failed(self, stage, keys):
        tracker.retry_failed(self.conn, JOB, stage, keys)

    @precondition(lambda self: self.places)
    @rule(
        data=st.data(),
        mark=st.sampled_from([tracker.mark_done, tracker.mark_failed, tracker.mark_skipped, tracker.mark_in_progress]),
    )
    def mark(self, data, mark):
        item_id, _ = data.draw(st.sampled_from(sorted(self.places)))
        mark(self.conn, item_id)

    # -- what holds after each of these ----------------------------------------------------------------

    @invariant()
    def everything_agrees(self):
        check_now(self.conn)
        events = tracker.get_events(self.conn, JOB, after=self.last_event, limit=1000)[::-1]
        now = read_places(self.conn)
        check_step(self.places, now, events, read_switched_on(self.conn))
        self.places = now
        self.last_event = max([self.last_event, *(event["event_id"] for event in events)])
        rows = self.conn.execute("SELECT item_id, stage, attempt, result FROM results").fetchall()
        assert {(row[0], row[1]): (row[2], row[3]) for row in rows} == self.results


@pytest.fixture
def machine(migrated_file):
    return type("LifeOfAStage", (LifeOfAStage,), {"template": migrated_file})


def test_every_history_of_a_stage_keeps_to_its_lifecycle(machine):
    bounds = settings(
        max_examples=400,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=bounds)
