"""What a handler logs is kept with its attempt, however much it is, and without secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import tracemalloc
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import RetryLater
from pipeline.redaction import KNOWN
from runner import remote
from runner.attempt_log import (
    FIRST_LINES,
    LAST_LINES,
    LONGEST_LINE,
    MOST_BYTES,
    AttemptLogHandler,
    Lines,
    find_lines,
)
from runner.far import run_away
from runner.far_cache import ArtifactCache
from runner.far_desk import Afar, Place
from runner.logs import configure_logs
from runner.lost import give_back_crashed
from tests.waiting import PATIENCE_SECONDS
from tracker.item_attempts import list_attempts
from tracker.renaming import rename_stage
from tracker.retention import forget_history

SECRET = "hunter2-hunter2-hunter2"  # noqa: S105 - of nothing
library = logging.getLogger("somebody.elses.library")


@pytest.fixture(autouse=True)
def keep_logs(monkeypatch):
    """Log as a worker of `--loglevel critical` does, and keep what attempts log from INFO on."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logs(logging.CRITICAL, logging.INFO)
    structlog.configure(cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def shop(open_workshop):
    return open_workshop(papers=job(step("read", retries=1, backoff=5), step("store")))


def attempts_of(shop, key="a"):
    """The attempts at an item, the newest first."""
    return list_attempts(shop.conn, shop.item_id(key))


def log_of(shop, key="a", stage="read"):
    return next(one.log for one in attempts_of(shop, key) if one.stage == stage)


def count_logs(shop):
    return shop.conn.execute("SELECT count(*) FROM attempt_logs").fetchone()[0]


def say(*lines, then=lambda context: {"key": context.key}):
    """Make what a stage does: it logs, and then goes on."""

    def act(context):
        for line in lines:
            context.log.info(line)
        return then(context)

    return act


def leave_out_others():
    """Let no handler of pytest's keep what is logged, or object to it."""
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if isinstance(one, AttemptLogHandler)]


def fail(_):
    raise ValueError("it is broken")


def test_what_a_handler_logs_is_kept_with_its_attempt_by_whichever_logger(shop):
    def read(context):
        context.log.info("begun", pages=3, note="two words")
        library.warning("a library says %s", "this")
        structlog.get_logger("mine").error("of my own")
        context.log.debug("too little to keep")
        return {}

    shop.acts["read"] = read
    shop.run("a")
    log = log_of(shop)
    lines = [line[13:] for line in log.text.splitlines()]
    assert lines == [
        "INFO    begun pages=3 note='two words'",
        "WARNING a library says this",
        "ERROR   of my own",
    ]
    assert (log.lines, log.left_out) == (3, 0)


def test_an_attempt_that_logs_nothing_writes_nothing(shop):
    shop.run("a")
    assert count_logs(shop) == 0
    assert [(one.stage, one.ended, one.log, one.log_is_lost) for one in attempts_of(shop)] == [
        ("store", "finish", None, False),
        ("read", "finish", None, False),
    ]


@pytest.mark.parametrize(
    ("then", "ended"),
    [(fail, "retry"), (lambda _: RetryLater(60, "busy"), "retry_later"), (lambda _: "no result", "retry")],
)
def test_an_attempt_that_fails_or_waits_keeps_its_log_too(shop, then, ended):
    shop.acts["read"] = say("so far so good", then=then)
    shop.run("a")
    (attempt,) = attempts_of(shop)
    assert attempt.ended == ended
    assert "so far so good" in attempt.log.text


def test_each_attempt_has_its_own_log(shop):
    shop.acts["read"] = say("the first time", then=fail)
    shop.run("a")
    shop.acts["read"] = say("the second time")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        shop.deliver(shop.publisher.countdowns[-1])
    assert [(one.attempt, one.log.text[21:]) for one in attempts_of(shop)] == [
        (2, "the second time"),
        (1, "the first time"),
    ]
    assert [one.failure is None for one in attempts_of(shop)] == [True, False]


def test_the_trace_of_an_exception_that_is_logged_is_kept(shop):
    def read(context):
        try:
            fail(context)
        except ValueError:
            context.log.exception("caught")
            library.exception("caught as well")
        return {}

    shop.acts["read"] = read
    shop.run("a")
    assert log_of(shop).text.count("ValueError: it is broken") == 2


def test_lines_of_an_asynchronous_handler_and_of_the_threads_it_starts_belong_to_its_attempt(shop):
    async def read(_):
        await asyncio.gather(asyncio.to_thread(library.info, "aside"), asyncio.sleep(0))
        other = threading.Thread(target=library.info, args=("from a thread of its own",))
        other.start()
        other.join()
        return {}

    shop.acts["read"] = read
    shop.run("a")
    assert [line[21:] for line in log_of(shop).text.splitlines()] == ["aside", "from a thread of its own"]


def test_lines_of_threads_that_were_there_before_belong_to_no_attempt(shop):
    may_log, has_logged = threading.Event(), threading.Event()

    def wait_and_log():
        may_log.wait(PATIENCE_SECONDS)
        library.info("none of its business")
        has_logged.set()

    threading.Thread(target=wait_and_log).start()

    def read(_):
        may_log.set()
        has_logged.wait(PATIENCE_SECONDS)
        return {}

    shop.acts["read"] = read
    shop.run("a")
    assert count_logs(shop) == 0


def test_what_a_thread_logs_when_the_attempt_is_over_is_not_kept(shop):
    go_on, over = threading.Event(), threading.Event()
    kept = []

    def read(_):
        def log_late():
            go_on.wait(PATIENCE_SECONDS)
            library.info("too late")
            over.set()

        context = copy_context()
        threading.Thread(target=context.run, args=(log_late,)).start()
        kept.append(find_lines())
        return {}

    shop.acts["read"] = read
    shop.run("a")
    go_on.set()
    assert over.wait(PATIENCE_SECONDS)
    assert kept[0].count == 0


def test_very_many_lines_cost_a_bounded_memory_and_leave_the_first_and_the_last(shop):
    leave_out_others()

    def read(_):
        tracemalloc.start()
        for number in range(20_000):
            library.info("line %d of a great many", number)
        shop.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return {}

    shop.acts["read"] = read
    shop.run("a")
    log = log_of(shop)
    lines = log.text.splitlines()
    assert len(lines) == FIRST_LINES + LAST_LINES + 1
    assert lines[FIRST_LINES] == f"… {20_000 - FIRST_LINES - LAST_LINES:,} lines left out …"
    assert (log.lines, log.left_out) == (20_000, 20_000 - FIRST_LINES - LAST_LINES)
    assert "line 0 of" in lines[0]
    assert "line 19999 of" in lines[-1]
    assert shop.peak < 1_000_000


def test_long_lines_are_cut_and_the_whole_is_never_above_64_kilobytes(shop):
    shop.acts["read"] = say(*["€" * 1_000_000] * 2, *["ž" * 3_000] * 300)
    shop.run("a")
    log = log_of(shop)
    assert len(log.text.encode()) <= MOST_BYTES + 100
    assert len(log.text.encode()) > MOST_BYTES / 2
    first = log.text.splitlines()[0]
    assert len(first) < LONGEST_LINE + 50
    assert "more characters" in first
    assert f"… {log.left_out:,} lines left out …" in log.text
    assert log.left_out == 302 - (len(log.text.splitlines()) - 1)


@pytest.mark.parametrize("before", [0, LONGEST_LINE - 45, 900_000])
def test_a_secret_is_struck_out_wherever_it_stands(shop, monkeypatch, before):
    monkeypatch.setattr(KNOWN, "_names", {})
    KNOWN.learn("TOKEN", SECRET, is_secret=True)
    shop.acts["read"] = say(f"{'x' * before} {SECRET} {SECRET}")
    shop.run("a")
    text = log_of(shop).text
    assert SECRET[:8] not in text
    assert before or "${TOKEN} ${TOKEN}" in text


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __repr__


def test_hostile_lines_harm_neither_the_attempt_nor_whoever_reads_them(shop):
    leave_out_others()

    def read(context):
        context.log.info("an odd one", value=Unspeakable())
        library.info("%s", Unspeakable())
        context.log.info("\x1b[31mred\x1b[0m\0\r\x07\udce9 <script>alert(1)</script> \u202eright to left")
        context.log.info(
            "with its own fields", key=context.key, stage="elsewhere", job=["x"], attempt=Unspeakable
        )
        return {}

    shop.acts["read"] = read
    shop.run("a")
    lines = log_of(shop).text.splitlines()
    assert [line[21:] for line in lines[:2]] == ["(a line that cannot be written: RuntimeError)"] * 2
    assert lines[2][21:] == (
        "\\x1b[31mred\\x1b[0m\\x00\\x0d\\x07\\udce9 <script>alert(1)</script> \u202eright to left"
    )
    assert "stage=elsewhere" in lines[3]
    assert shop.status("a") == "done"


def test_a_killed_attempt_says_that_its_log_is_lost(shop):
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting.popleft()
    tracker.claims.claim(shop.conn, message.item_id, "read", message.attempt, worker="w")
    assert [(one.ended, one.log_is_lost) for one in attempts_of(shop)] == [(None, False)]
    give_back_crashed(shop.runtime, message.item_id, "read", message.attempt, reason="signal 9")
    assert [(one.ended, one.log_is_lost) for one in attempts_of(shop)] == [("release", True)]


def test_a_worker_that_is_stopped_keeps_what_was_logged_so_far(open_workshop):
    shop = open_workshop(papers=job(step("read")))

    def read(context):
        context.log.info("before the stop")
        raise KeyboardInterrupt

    shop.acts["read"] = read
    with pytest.raises(KeyboardInterrupt):
        shop.run("a")
    (attempt,) = attempts_of(shop)
    assert (attempt.ended, attempt.log_is_lost) == ("release", False)
    assert "before the stop" in attempt.log.text


def test_an_attempt_that_was_overtaken_leaves_no_log(shop):
    def read(context):
        context.log.info("too slow")
        shop.conn.execute("UPDATE item_stages SET attempt = attempt + 1 WHERE stage = 'read'")
        return {}

    shop.acts["read"] = read
    shop.run("a")
    assert count_logs(shop) == 0


def test_of_several_together_each_has_its_own_lines_and_those_of_all(open_workshop):
    bulk = {"name": "bulk", "handler": "workshop_plugins:Together", "params": {"do": "bulk"}, "batch": 3}
    shop = open_workshop(papers=job(bulk))

    def together(contexts):
        library.info("begun together")
        for context in contexts:
            context.log.info("only this", n=len(context.key))
            context.log.info("only %s", context.key)
        library.info("ended together")
        return [{} for _ in contexts]

    shop.acts["bulk"] = together
    shop.run("a", "b", "c")
    for key in "abc":
        lines = [line[21:] for line in log_of(shop, key, "bulk").text.splitlines()]
        assert lines == ["begun together", "only this n=1", f"only {key}", "ended together"]


class FarLine:
    """The line of a remote attempt; JSON is all that goes over it."""

    def __init__(self, shop, message):
        self.shop, self.ids = shop, (message.item_id, message.stage, message.attempt)

    def begun(self):
        remote.note_begun(self.shop.runtime, *self.ids, worker="far")

    def alive(self, told):
        remote.note_alive(self.shop.runtime, *self.ids, told)

    def ended(self, report):
        self.report = json.loads(json.dumps(report))
        remote.note_ended(self.shop.runtime, *self.ids, worker="far", report=self.report)


@pytest.mark.parametrize("then", [lambda _: {}, fail])
def test_a_remote_attempt_sends_its_log_with_its_ending(open_workshop, tmp_path, then):
    shop = open_workshop(papers=job(step("read", queue="far", remote=True)))
    shop.acts["read"] = say("far away", then=then)
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting.popleft()
    line, place = FarLine(shop, message), Place(message.item_id, "read", message.attempt, "far")
    afar = Afar(ArtifactCache(tmp_path / "cache", 1_000_000))
    run_away(message.cargo, place, shop.runtime.remote_http, line, TimeoutError, afar)
    assert "far away" in log_of(shop).text
    assert line.report["log"]["lines"] == 1


def test_a_log_goes_with_its_item(shop):
    shop.acts["read"] = say("here")
    shop.run("a")
    assert count_logs(shop) == 1
    shop.conn.execute("DELETE FROM work_items")
    assert count_logs(shop) == 0


def test_old_logs_are_forgotten_with_the_history_but_not_those_of_what_is_failed_still(open_workshop):
    shop = open_workshop(papers=job(step("read", retries=0)))
    shop.acts["read"] = lambda context: say("here", then=fail if context.key == "bad" else lambda _: {})(
        context
    )
    shop.run("good", "bad")
    assert count_logs(shop) == 2
    assert forget_history(shop.conn, 1) == 0
    assert forget_history(shop.conn, tracker.clock.now_ms() + 1000) == 1
    assert "here" in log_of(shop, "bad").text
    assert attempts_of(shop, "good")[0].log is None


def test_of_what_is_failed_still_the_earlier_logs_are_forgotten(open_workshop):
    shop = open_workshop(papers=job(step("read", retries=1)))
    shop.acts["read"] = say("here", then=fail)
    shop.run("bad")
    shop.conn.execute("UPDATE item_stages SET retry_at = 1 WHERE retry_at IS NOT NULL")  # later
    shop.deliver(shop.publisher.countdowns.pop())
    assert (shop.status("bad", "read"), count_logs(shop)) == ("failed", 2)
    assert forget_history(shop.conn, tracker.clock.now_ms() + 1000) == 2  # the failure too
    assert [one.log is None for one in attempts_of(shop, "bad")] in ([False, True], [True, False])
    assert "here" in log_of(shop, "bad").text


@pytest.mark.parametrize("behind", range(1, 6))
def test_a_clock_that_was_behind_for_a_while_has_no_young_log_forgotten(open_workshop, behind):
    shop = open_workshop(papers=job(step("read")))
    shop.acts["read"] = say("here")
    shop.run(*"abcdef")
    shop.conn.execute("UPDATE attempt_logs SET ended_at = 1000")
    shop.conn.execute("UPDATE attempt_logs SET ended_at = 1 WHERE log_id = ?", (behind,))
    forget_history(shop.conn, 500)
    assert count_logs(shop) >= 5


def test_a_log_has_the_new_name_of_its_stage(shop):
    shop.acts["read"] = say("here")
    shop.run("a")
    rename_stage(shop.conn, "papers", "read", "fetch")
    assert shop.conn.execute("SELECT stage FROM attempt_logs").fetchall() == [("fetch",)]


def test_nothing_of_an_attempt_is_left_running_when_its_handler_is_stopped():
    lines = Lines(job="j", key="k", stage="s", attempt=1)
    with suppress(KeyboardInterrupt), lines:
        library.info("inside")
        raise KeyboardInterrupt
    library.info("outside")
    assert lines.count == 1


def test_what_discovery_was_given_is_struck_out_of_a_stage_in_a_process_that_discovered_nothing(
    open_workshop, monkeypatch
):
    for known in ("_names", "_secrets"):
        monkeypatch.setattr(KNOWN, known, {})
    monkeypatch.setenv("API_TOKEN", SECRET)
    found_at = {
        "strategy": "json_api",
        "url": "https://example.org/list",
        "headers": {"x-key": "${API_TOKEN}"},
    }
    shop = open_workshop(papers={"discovery": found_at, "stages": [step("fetch", retries=0)]})

    def refuse(context):
        raise ValueError(f"no answer to {SECRET} for {context.key}")

    shop.acts["fetch"] = refuse
    shop.run("a")
    (reason,) = shop.conn.execute("SELECT reason FROM item_stages").fetchone()
    assert reason == "ValueError: no answer to ${API_TOKEN} for a"
