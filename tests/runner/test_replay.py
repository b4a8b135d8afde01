"""A stage run again on what is stored: it sees all that the stage saw, and leaves nothing behind."""

from __future__ import annotations

import pytest
from workshop import job, step

from runner.big_results import MAX_CHARS
from runner.replay import replay_aside

PAIR = {"papers": job(step("fetch"), step("extract"))}
TABLES = ("artifacts", "answers", "fingerprints", "results", "events", "costs")


@pytest.fixture
def shop(open_workshop):
    return open_workshop(**PAIR)


def count_rows(shop):
    return [shop.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # noqa: S608


def replay(shop, stage="extract", key="a"):
    """Replay a stage, and see that nothing was written."""
    before = count_rows(shop)
    replayed = replay_aside(shop.runtime, "papers", key, stage)
    assert count_rows(shop) == before
    return replayed


def test_it_sees_the_items_data_the_results_and_the_files_of_the_stages_before(shop):
    shop.acts["fetch"] = lambda context: {"page": context.artifact("page", b"hello")}
    shop.acts["extract"] = lambda context: {
        "text": context.open_artifact(context.results["fetch"]["page"]).read_text(),
        "stage": context.stage,
    }
    shop.run("a")
    replayed = replay(shop)
    assert replayed.ran.result == {"text": "hello", "stage": "extract"}
    assert (replayed.diff, replayed.before.result) == ([], replayed.ran.result)
    assert replayed.version == replayed.before.version


def test_a_big_result_is_read_back_from_its_file(shop):
    shop.acts["fetch"] = lambda _: {"text": "x" * MAX_CHARS}
    shop.acts["extract"] = lambda context: {"text": context.results["fetch"]["text"] + "y"}
    shop.run("a")
    replayed = replay(shop)
    assert len(replayed.before.result["text"]) == MAX_CHARS + 1
    assert replayed.diff == []


def test_it_recalls_what_was_remembered_and_its_own_is_forgotten(shop):
    def remember(context):
        known = context.recall("answer")
        context.remember("answer", (known or 0) + 1)
        return {"known": known, "now": context.recall("answer")}

    shop.acts["extract"] = remember
    shop.run("a")
    for _ in range(2):
        assert replay(shop).ran.result == {"known": 1, "now": 2}


def test_it_finds_the_twin_that_the_stage_found(shop):
    shop.acts["extract"] = lambda context: {"twin": context.find_twin(7, 3)}
    for key in ("a", "b", "c"):
        shop.run(key)
    assert [replay(shop, key=key).ran.result["twin"] for key in ("a", "b", "c")] == [None, "a", "a"]


def test_an_item_that_noted_nothing_yet_comes_after_all_that_did(shop):
    shop.acts["extract"] = lambda context: {"twin": context.find_twin(7, 3)}
    shop.run("b")
    shop.acts["extract"] = lambda _: {"twin": "not asked"}
    shop.run("a")
    shop.acts["extract"] = lambda context: {"twin": context.find_twin(7, 3)}
    assert replay(shop).ran.result == {"twin": "b"}


def test_what_it_spends_and_raises_is_told_and_not_recorded(shop):
    def spend(context):
        context.cost(0.5, "gas")
        raise KeyError("ladle")

    shop.run("a")
    shop.acts["extract"] = spend
    seen = []
    replayed = replay_aside(shop.runtime, "papers", "a", "extract", seen.append)
    assert (replayed.ran.ending, replayed.ran.reason) == ("failed", "KeyError: 'ladle'")
    assert [cost["usd"] for cost in replayed.ran.costs] == [0.5]
    assert [type(error) for error in seen] == [KeyError]
    assert shop.conn.execute("SELECT count(*) FROM costs").fetchone()[0] == 0
