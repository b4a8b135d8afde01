"""Words from afar are recorded together: one transaction for as many as wait, and each by itself if it must be."""

from __future__ import annotations

import json

import pytest
from test_remote import Wire
from workshop import job, step

from pipeline.errors import TrackerFullError, TrackerNewerError
from pipeline.outcomes import RetryLater
from runner import far, remote
from runner.big_results import CONTENT_TYPE
from runner.far_desk import Place
from runner.remote import Word, hear

KEYS = [f"k{number:02}" for number in range(20)]


@pytest.fixture
def shop(open_workshop):
    """Open the workshop with a remote stage, before which many items stand, and one after it."""
    shop = open_workshop(papers=job(step("model", queue="far", remote=True), step("store")))
    shop.add(*KEYS)
    shop.dispatch()
    return shop


def collect(shop, count=None):
    """Run what waits for remote workers far away, and give the words that come home, one after the other."""
    words = []

    class Collecting(Wire):
        def begun(self):
            words.append(Word("begun", (*self.ids, "far away")))

        def ended(self, report):
            words.append(Word("ended", (*self.ids, "far away", json.loads(json.dumps(report)))))

    waiting = [one for one in shop.publisher.waiting if one.stage == "model"][:count]
    for message in waiting:
        shop.publisher.waiting.remove(message)
        line = Collecting(shop, message)
        place = Place(*line.ids, "far away")
        far.run_away(
            json.loads(json.dumps(message.cargo)),
            place,
            shop.runtime.http,
            line,
            TimeoutError,
            shop.runtime.afar,
        )
    return words


@pytest.fixture
def commits(shop):
    """Count the transactions that are committed."""
    counted = []
    shop.conn.set_commit_hook(lambda: bool(counted.append(1)))
    yield counted
    shop.conn.set_commit_hook(None)


def finished(shop):
    return [key for key in KEYS if shop.status(key, "model") == "done"]


def test_as_many_words_as_wait_are_one_transaction(shop, commits):
    words = collect(shop, 8)
    commits.clear()
    hear(shop.runtime, words)
    assert len(commits) == 1
    assert len(finished(shop)) == 8
    assert [one.key for one in shop.publisher.waiting if one.stage == "store"] == finished(shop)


def test_a_word_that_comes_twice_in_a_batch_counts_once(shop):
    words = collect(shop, 3)
    hear(shop.runtime, [*words, *words])
    hear(shop.runtime, words)
    assert [event["kind"] for event in shop.events()].count("finish") == 3
    assert shop.conn.execute("SELECT count(*) FROM results").fetchone()[0] == 3


def test_one_word_that_cannot_be_recorded_takes_no_other_with_it(shop):
    words = collect(shop, 5)
    spoilt = words[5]
    assert spoilt.kind == "ended"
    words[5] = Word("ended", (*spoilt.args[:4], {"ended": "nonsense"}))
    hear(shop.runtime, words)
    assert len(finished(shop)) == 4


@pytest.mark.parametrize(
    "args",
    [
        (1, "model", 1),
        ([], {}, 1, "far away", {}),
        (1, "model", 1, "far away", None),
        (1, "model", 1, "far away", {"result_json": f"no JSON {CONTENT_TYPE}"}),
    ],
)
def test_one_word_that_nobody_can_read_takes_no_other_with_it(shop, args):
    words = collect(shop, 3)
    hear(shop.runtime, [*words[:3], Word("ended", args), *words[3:]])
    assert len(finished(shop)) == 3


def test_one_that_was_overtaken_changes_nothing_and_the_others_are_settled(shop):
    words = collect(shop, 3)
    hear(shop.runtime, [word for word in words if word.kind == "begun"])
    shop.conn.execute("UPDATE item_stages SET attempt = 7 WHERE item_id = ?", (shop.item_id(KEYS[1]),))
    hear(shop.runtime, words)
    assert finished(shop) == [KEYS[0], KEYS[2]]


def test_failures_in_a_batch_are_retried_by_the_stages_policy(shop):
    shop.acts["model"] = lambda context: 1 / 0 if context.key == KEYS[1] else {"ok": True}
    hear(shop.runtime, collect(shop, 3))
    assert (shop.status(KEYS[1], "model"), shop.row(KEYS[1], "model")["retries"]) == ("pending", 1)
    assert finished(shop) == [KEYS[0], KEYS[2]]


def test_a_short_wait_in_a_batch_is_sent_as_a_countdown(shop):
    shop.acts["model"] = lambda _: RetryLater(20, "busy")
    hear(shop.runtime, collect(shop, 2))
    assert [(one.key, one.attempt) for one in shop.publisher.countdowns] == [(KEYS[0], 2), (KEYS[1], 2)]


def test_a_batch_waits_for_room_on_a_full_disk_and_loses_nothing(shop, monkeypatch):
    words, full = collect(shop, 4), [True]
    original = remote.conclude_together

    def conclude_together(*args):
        if full and full.pop():
            raise TrackerFullError("no room left")
        return original(*args)

    monkeypatch.setattr(remote, "conclude_together", conclude_together)
    monkeypatch.setattr("time.sleep", lambda _: None)
    hear(shop.runtime, words)
    assert len(finished(shop)) == 4


def test_a_remote_process_that_died_gives_its_stage_back_at_once(shop):
    words = collect(shop, 1)
    hear(shop.runtime, words[:1])
    place = words[0].args[:3]
    hear(shop.runtime, [Word("lost", (*place, "killed"))])
    row = shop.row(KEYS[0], "model")
    assert (row["status"], row["crashes"], row["attempt"]) == ("pending", 1, 1)
    hear(shop.runtime, words[1:])  # what it had said before it died is too late
    assert shop.status(KEYS[0], "model") == "pending"


def test_what_a_remote_worker_had_not_begun_is_at_once_ready_to_be_sent_again(shop):
    message = shop.publisher.waiting.popleft()
    place = (message.item_id, message.stage, message.attempt)
    hear(shop.runtime, [Word("handed_back", ([list(place)],))])
    assert shop.row(message.key, "model")["queued_at"] is None


@pytest.mark.parametrize("brings_files", [False, True])
def test_a_process_that_was_lost_after_it_had_said_how_its_stage_ended_takes_nothing_with_it(
    shop, brings_files
):
    if brings_files:
        shop.acts["model"] = lambda context: {"file": context.artifact("a.html", b"<p>a", "text/html")}
    begun, ended = collect(shop, 1)
    item_id, stage, attempt = ended.args[:3]
    hear(shop.runtime, [begun, ended, Word("lost", (item_id, stage, attempt, "its process died"))])
    row = shop.row(KEYS[0], "model")
    assert (row["status"], row["crashes"]) == ("done", 0)


def test_words_for_a_file_of_a_newer_celeriac_are_not_dropped_one_by_one(shop):
    words = collect(shop, 1)
    shop.conn.pragma("user_version", 999)
    with pytest.raises(TrackerNewerError):
        hear(shop.runtime, words)
