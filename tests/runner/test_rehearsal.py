"""A dry run shows what each stage would give, and writes nothing."""

from __future__ import annotations

import pytest
from workshop import job, step

from pipeline.errors import NotFoundError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.context import RunContext
from runner.dry_run import rehearse


def rehearsed(shop, **run):
    return list(rehearse(shop.runtime, "papers", RunContext(mode="dry_run", **run)))


def endings(shop, **run):
    return {one.stage: one.ending for one in rehearsed(shop, **run)}


@pytest.fixture
def found(shop):
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b"}, {"key": "c"}]
    return shop


def test_a_dry_run_shows_what_each_stage_would_give(found):
    given = rehearsed(found, limit=1)
    assert [(one.key, one.stage, one.ending) for one in given] == [
        ("a", "fetch", "done"),
        ("a", "extract", "done"),
        ("a", "store", "done"),
    ]
    assert given[2].result == {"key": "a", "saw": ["extract"]}


def test_a_dry_run_leaves_the_tracker_byte_for_byte_as_it_is(found):
    found.run("a", "kept")
    found.runtime.close()
    folder = found.runtime.settings.data
    before = {path: path.read_bytes() for path in folder.glob("tracker.db*")}
    rehearsed(found)
    assert {path: path.read_bytes() for path in folder.glob("tracker.db*")} == before


def test_a_dry_run_does_not_make_a_tracker(found):
    found.runtime.settings.db_path.unlink()
    rehearsed(found, limit=1)
    assert list(found.runtime.settings.data.glob("tracker.db*")) == []


def test_a_dry_run_needs_no_broker(found):
    found.runtime._publisher = None
    assert len(rehearsed(found)) == 9


def test_a_dry_run_keeps_to_its_limit_and_to_its_item(found):
    assert {one.key for one in rehearsed(found, limit=2)} == {"a", "b"}
    assert {one.key for one in rehearsed(found, test_item="b")} == {"b"}


def test_an_item_that_is_not_found_is_named(found):
    with pytest.raises(NotFoundError, match="'z'"):
        rehearsed(found, test_item="z")


def test_a_stage_that_does_not_exist_is_named_before_the_source_is_asked(shop):
    shop.plugins.find = pytest.fail
    with pytest.raises(NotFoundError, match="did you mean 'store'"):
        rehearsed(shop, test_stage="stor")


def test_what_the_source_raises_comes_through(shop):
    def away():
        raise SourceUnavailableError("down")

    shop.plugins.find = away
    with pytest.raises(SourceUnavailableError):
        rehearsed(shop)


def test_a_stage_is_rehearsed_with_what_leads_to_it_and_no_more(open_workshop):
    shop = open_workshop(
        papers=job(
            step("fetch"), step("images"), step("text", needs=["fetch"]), step("store", needs=["text"])
        )
    )
    shop.plugins.find = lambda: [{"key": "a"}]
    assert list(endings(shop, test_stage="text")) == ["fetch", "text"]


def test_each_stage_is_rehearsed_after_those_that_it_needs(open_workshop):
    shop = open_workshop(papers=job(step("store", needs=["fetch"]), step("fetch", needs=[])))
    shop.plugins.find = lambda: [{"key": "a"}]
    assert rehearsed(shop)[1].result == {"key": "a", "saw": ["fetch"]}


@pytest.mark.parametrize(
    ("outcome", "ending", "after"),
    [
        (Skip("not needed"), "skipped", "done"),
        (Skip("an advertisement", rest=True), "skipped", "skipped"),
        (RetryLater(60, "busy"), "retry_later", "not_reached"),
        (GiveUp("gone"), "gave_up", "not_reached"),
        (None, "failed", "not_reached"),
    ],
)
def test_each_ending_is_shown_and_what_it_means_for_the_next_stages(found, outcome, ending, after):
    found.acts["fetch"] = lambda _: outcome
    assert endings(found, limit=1) == {"fetch": ending, "extract": after, "store": after}


def test_where_branches_join_a_skip_of_the_rest_goes_further_than_a_failure(open_workshop):
    shop = open_workshop(
        papers=job(step("text", needs=[]), step("images", needs=[]), step("join", needs=["text", "images"]))
    )
    shop.plugins.find = lambda: [{"key": "a"}]
    shop.acts.update(text=lambda _: 1 / 0, images=lambda _: Skip("no", rest=True))
    assert endings(shop)["join"] == "skipped"


def test_whatever_a_handler_raises_is_shown_and_the_next_item_goes_on(found):
    found.acts["fetch"] = lambda context: 1 / 0 if context.key == "a" else {"ok": True}
    given = rehearsed(found, limit=2)
    assert given[0].reason == "ZeroDivisionError: division by zero"
    assert [one.ending for one in given[3:]] == ["done"] * 3


def test_a_dry_run_can_be_interrupted(found):
    def interrupt(context):
        raise KeyboardInterrupt

    found.acts["fetch"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        rehearsed(found)


def test_switched_off_stages_are_left_out(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", enabled=False), step("store")))
    shop.plugins.find = lambda: [{"key": "a"}]
    assert endings(shop) == {"fetch": "done", "store": "done"}
    assert endings(shop, test_stage="extract") == {"fetch": "done"}


def test_costs_are_not_recorded(found):
    found.acts["fetch"] = lambda context: context.cost(1.0, "openai") or {"ok": True}
    rehearsed(found)
    assert found.conn.execute("SELECT count(*) FROM costs").fetchone()[0] == 0
