"""Replay steps of the protocol's machine on the real tracker: a real file, a clock of its own, nothing in between."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import time_machine

import tracker
from pipeline.lifecycle import ENDED, RETRY, Status
from pipeline.settings import Settings
from runner.advance import conclude
from runner.claimed import Claimed
from runner.dispatch import dispatch_job
from runner.judge import judge_failure
from runner.lost import give_back_crashed, hand_back_unbegun
from runner.runtime import Runtime
from tests.chaos.promises import AT_EVERY_MOMENT, list_broken
from tests.model.states import Lease, Message, Row, Step, Wait
from tracker import claims, messages, recovery
from tracker import dispatch as tracker_dispatch
from tracker.clock import now_ms
from tracker.connection import open_db, open_readonly, write
from tracker.endings import Ending, Failure
from tracker.plan import open_items

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOB, NAMES = "papers", ("fetch", "store")
BROKEN = Failure.named("ValueError", "broken")
SHORT_MS, LONG_MS = 20_000, 2_000_000
"""A wait that the broker counts down, and one that is parked in the tracker."""

OUTSIDE = {"lose", "duplicate", "flush", "publish", "die before publishing", "lose the parent too"}
"""What befalls the broker and the processes alone, and writes nothing."""


class Outbox:
    """Takes what is to be published, and looks whether what it announces is on record by then."""

    def __init__(self, db_path: Path) -> None:
        self.db_path, self.taken, self.complaints = db_path, [], []

    def publish_stages(self, job, sent):  # noqa: ARG002 - the publisher's contract
        self.taken += [Message(NAMES.index(one.stage), one.attempt) for one in sent]
        with open_readonly(self.db_path) as conn:
            for one in sent:
                row = read_row(conn, one.stage)
                if not row.stamped or row.attempt != one.attempt - 1:
                    self.complaints.append(
                        f"the message of {one.stage}, {one.attempt} runs ahead of the record"
                    )

    def has_waiting_messages(self):
        return False


READ_ROW = """
SELECT status, needs_left, attempt, queued_at IS NOT NULL, retry_at, leased_until, retries, crashes,
       (SELECT count(*) FROM results r WHERE r.item_id = s.item_id AND r.stage = s.stage)
  FROM item_stages s
 WHERE stage = :stage
"""


def read_row(conn: Any, stage: str) -> Row:
    """Read a stage's row as the machine has it. What an ended stage has been through is left out there."""
    row = conn.execute(READ_ROW, {"stage": stage}).fetchone()
    status, needs_left, attempt, stamped, retry_at, leased_until, retries, crashes, results = row
    now, status = now_ms(), Status(status)
    wait, lease = Wait.NONE, Lease.NONE
    if retry_at is not None:
        wait = Wait.AHEAD if retry_at > now + claims.EARLY_MS else Wait.DUE
    if leased_until is not None:
        lease = Lease.RUN_OUT if leased_until < now else Lease.HELD
    if status in ENDED:
        retries = crashes = 0
    return Row(status, needs_left, attempt, bool(stamped), wait, lease, retries, crashes, results)


@dataclass
class House:
    """The tracker of one item, and the attempts that its workers have in hand."""

    runtime: Runtime
    outbox: Outbox
    clock: Any
    working: dict[Message, Claimed] = field(default_factory=dict)
    stopped: dict[Message, Claimed] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def conn(self):
        return self.runtime.tracker

    @property
    def job(self):
        return self.runtime.jobs.get_job(JOB)

    def read_rows(self) -> tuple[Row, Row]:
        first, second = (read_row(self.conn, name) for name in NAMES)
        return first, second

    def do(self, step: Step) -> list[Message]:
        """Do what a step says; what was stamped by it, to be published next."""
        self.outbox.taken.clear()
        if step.name not in OUTSIDE:
            act: Callable[[Step], None] = getattr(self, f"_{step.name.replace(' ', '_').replace(',', '')}")
            act(step)
        return list(self.outbox.taken)

    def finish_what_lives(self) -> None:
        """Let every worker that lives and was never stopped settle; its result must count."""
        for about, claimed in list(self.working.items()):
            if conclude(self.runtime, claimed, _finished(about)) is None:
                self.complaints.append(f"{_name(about)} lives, and its result is refused")

    def list_broken(self) -> list[str]:
        """List what is broken: by the file, and by what the workers met."""
        makers = self.conn.execute("SELECT stage, attempt, result ->> 'made_by' FROM results").fetchall()
        swapped = [
            f"the result of {stage}, attempt {attempt}, is attempt {maker}'s"
            for stage, attempt, maker in makers
            if attempt != maker
        ]
        file = [str(one) for one in list_broken(self.conn, AT_EVERY_MOMENT)]
        return [*file, *swapped, *self.outbox.complaints, *self.complaints]

    # -- messages -----------------------------------------------------------------------------------------

    def _claim(self, step: Step) -> None:
        about = step.about
        claim = claims.claim(self.conn, 1, NAMES[about.stage], about.attempt, worker="a worker")
        if claim is not None:
            self.working[about] = Claimed(self.runtime, claim)

    def _claim_while_paused(self, step: Step) -> None:
        tracker.pause_job(self.conn, JOB, "a test")
        self._claim(step)
        tracker.unpause_job(self.conn, JOB)

    def _hand_back(self, step: Step) -> None:
        hand_back_unbegun(self.runtime, [(1, NAMES[step.about.stage], step.about.attempt)])

    def _find_the_broker_away(self, step: Step) -> None:
        with write(self.conn):
            tracker_dispatch.take_back_stamps(self.conn, [(1, NAMES[step.about.stage], step.about.attempt)])

    _publish_and_hear_nothing = _find_the_broker_away

    # -- an attempt ---------------------------------------------------------------------------------------

    def _stop(self, step: Step) -> None:
        if step.about in self.working:
            self.stopped[step.about] = self.working.pop(step.about)

    def _renew(self, step: Step) -> None:
        claimed = self.stopped.pop(step.about)
        if claimed.renew(self.conn):
            self.working[step.about] = claimed

    def _die(self, step: Step) -> None:
        self._forget(step.about)

    def _hear_of_the_death(self, step: Step) -> None:
        give_back_crashed(self.runtime, 1, NAMES[step.about.stage], step.about.attempt, "killed")

    _hear_of_the_death_twice = _hear_of_the_death

    def _settle(self, step: Step) -> None:
        claimed = self._forget(step.about)
        if claimed is None:
            return
        if step.ending == "stopped" and not step.stamps:
            claimed.give_back()
            return
        ending = self._make_ending(step, claimed)
        is_held_back = not step.stamps and ending.retry_at is None
        if is_held_back:  # as if its runway were full: nothing is refilled
            tracker.pause_job(self.conn, JOB, "a test")
        conclude(self.runtime, claimed, ending)
        if is_held_back:
            tracker.unpause_job(self.conn, JOB)

    def _publish_too_early(self, _: Step) -> None:
        """Settle the claimed stage before the one announced: a sound tracker publishes when that is committed."""
        (about,) = self.working
        self._settle(Step("settle", about, "finish", stamps=True))

    def _forget(self, about: Message) -> Claimed | None:
        return self.working.pop(about, None) or self.stopped.pop(about, None)

    def _make_ending(self, step: Step, claimed: Claimed) -> Ending:
        retry_at = now_ms() + (SHORT_MS if step.stamps else LONG_MS)
        spec = self.job.stage(claimed.claim.stage)
        failed = judge_failure(spec, claimed.claim.retries, BROKEN)
        return {
            "finish": _finished(step.about),
            "skip": Ending.skipped("empty"),
            "skip with the rest": Ending.skipped("empty", rest=True),
            "give up": Ending.gave_up("gone"),
            "error": replace(failed, retry_at=retry_at) if failed.move is RETRY else failed,
            "later": Ending.later("quota", retry_at),
            "stopped": Ending.released("not in this worker's jobs.yaml"),
        }[step.ending]

    # -- time, and the sweep ------------------------------------------------------------------------------

    def _lease_runs_out(self, _: Step) -> None:
        """Let 40 seconds pass; who lives renews every 10."""
        for _ in range(4):
            self.clock.shift(10)
            for claimed in self.working.values():
                claimed.renew(self.conn)

    def _time_comes(self, step: Step) -> None:
        self._pass_until("retry_at", step)

    def _expire(self, _: Step) -> None:
        recovery.reclaim_stuck_stages(self.conn)

    def _wake(self, _: Step) -> None:
        messages.wake_parked_stages(self.conn)

    def _take_back(self, step: Step) -> None:
        self._pass_until("resend_at", step)
        messages.take_back_lost_messages(self.conn)

    def _take_back_vanished(self, _: Step) -> None:
        sql = "SELECT max(sends) FROM item_stages WHERE queued_at IS NOT NULL"
        sends = self.conn.execute(sql).fetchone()[0]
        self.clock.shift((messages.BROKER_LOSS_MS << min(sends - 1, 8)) / 1000)
        messages.take_back_vanished_messages(self.conn)

    def _dispatch(self, _: Step) -> None:
        dispatch_job(self.runtime, self.job)

    def _pass_until(self, column: str, step: Step) -> None:
        sql = f"SELECT {column} FROM item_stages WHERE stage = ?"  # noqa: S608 - a name of ours
        until = self.conn.execute(sql, (NAMES[step.about.stage],)).fetchone()[0]
        self.clock.move_to(datetime.fromtimestamp(max(until, now_ms()) / 1000, UTC))


def _finished(about: Message) -> Ending:
    return Ending.finished(json.dumps({"made_by": about.attempt}), "v1", input_hash="in", output_hash="out")


def _name(about: Message) -> str:
    return f"attempt {about.attempt} of {NAMES[about.stage]}"


class OpenHouse:
    """A house in a folder, with its clock, for the length of a `with` block."""

    def __init__(self, folder: Path, retries: int) -> None:
        stages = [{"name": name, "handler": "summarise_text", "retries": retries} for name in NAMES]
        jobs = {JOB: {"discovery": {"strategy": "manual", "items": ["a"]}, "stages": stages}}
        (folder / "jobs.yaml").write_text(json.dumps({"version": 1, "jobs": jobs}))
        self.settings = Settings(jobs=folder / "jobs.yaml", data=folder)
        self.travel = time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False)

    def __enter__(self) -> House:
        clock = self.travel.start()
        with open_db(self.settings.db_path) as conn:
            tracker.upsert_items(conn, JOB, [{"key": "a"}])
        outbox = Outbox(self.settings.db_path)
        self.runtime = Runtime(self.settings, outbox)
        with write(self.runtime.tracker):
            open_items(self.runtime.tracker, JOB, [1], self.runtime.plan(self.runtime.jobs.get_job(JOB)))
        return House(self.runtime, outbox, clock)

    def __exit__(self, *_: object) -> None:
        self.runtime.close()
        self.travel.stop()
