"""The ground of the random histories: a file, a clock, what was sent and claimed, and what must hold."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime

import time_machine
from hypothesis.stateful import RuleBasedStateMachine, invariant
from tracker_life import check_now, check_step, read_everything, read_places, read_switched_on

import tracker
from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import SATISFIED, Status
from tracker import claims, moves, recovery
from tracker.clock import now_ms
from tracker.dispatch import Message
from tracker.endings import Ending, Failure
from tracker.plan import StagePlan, make_plan

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
ENDINGS = [
    "finished",
    "skipped",
    "rest skipped",
    "gave up",
    "failed",
    "retried",
    "later",
    "much later",
    "released",
]


def make_ending(how, text):
    now = now_ms()
    return {
        "finished": Ending.finished(text, "v1"),
        "skipped": Ending.skipped("empty"),
        "rest skipped": Ending.skipped("empty", rest=True),
        "gave up": Ending.gave_up("gone"),
        "failed": Ending.failed(BROKEN),
        "retried": Ending.retried(BROKEN, now + 20_000),
        "later": Ending.later("quota", now + 200_000),
        "much later": Ending.later("quota", now + 2_000_000),
        "released": Ending.released("stopping"),
    }[how]


class LifeMachine(RuleBasedStateMachine):
    """One job in one file, to which its rules happen. `template` is a migrated file."""

    template = None

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

    def running(self):
        return [place for place, (status, _) in sorted(self.places.items()) if status is Status.IN_PROGRESS]

    def claim(self, item_id, stage, attempt):
        is_free = self.may_claim(item_id, stage, attempt)
        claim = claims.claim(self.conn, item_id, stage, attempt, worker="w")
        assert (claim is not None) == is_free
        if claim:
            assert (item_id, stage, attempt) not in self.claimed, "an attempt was claimed twice"
            assert read_places(self.conn)[item_id, stage] == (Status.IN_PROGRESS, attempt)
            self.claimed.append((item_id, stage, attempt))

    def may_claim(self, item_id, stage, attempt):
        status, last = self.places.get((item_id, stage), (None, 0))
        needs = self.conn.execute("SELECT need FROM stage_needs WHERE stage = ?", (stage,)).fetchall()
        sql = "SELECT retry_at FROM item_stages WHERE item_id = ? AND stage = ?"
        retry_at = self.conn.execute(sql, (item_id, stage)).fetchone()
        return (
            status is Status.PENDING
            and attempt == last + 1
            and all(self.places.get((item_id, need), (Status.DONE,))[0] in SATISFIED for (need,) in needs)
            and not tracker.is_job_paused(self.conn, JOB)
            and (retry_at[0] or 0) <= now_ms() + claims.EARLY_MS
        )

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
        if how == "renewed":
            return claims.renew_lease(self.conn, item_id, stage, attempt)
        if how == "worker lost":
            recovery.release_lost_worker(self.conn, item_id, stage, attempt, "killed by signal 9")
            return True
        text = f'{{"attempt": {attempt}, "at": {now_ms()}}}'
        settled = moves.settle(self.conn, item_id, stage, attempt, make_ending(how, text))
        if how == "finished" and settled.status is Status.DONE:  # it may have been cancelled
            self.results[item_id, stage] = (attempt, text)
        if settled.countdown_seconds is not None:
            self.messages.append(Message(item_id, JOB, stage, attempt + 1, ""))
        return True

    @invariant()
    def everything_agrees(self):
        check_now(self.conn)
        events = tracker.get_events(self.conn, JOB, after=self.last_event, limit=1000)[::-1]
        places = read_places(self.conn)
        check_step(self.places, places, events, read_switched_on(self.conn))
        self.places = places
        self.last_event = max([self.last_event, *(event["event_id"] for event in events)])
        rows = self.conn.execute("SELECT item_id, stage, attempt, result FROM results").fetchall()
        assert {(row[0], row[1]): (row[2], row[3]) for row in rows} == self.results
