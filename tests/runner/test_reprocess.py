"""Results made again: quoted, tried out on a canary, behind what is fresh, and no further than they are others."""

from __future__ import annotations

import sys

import pytest
from workshop import job, step

import tracker
from pipeline import catalog
from pipeline.errors import InvalidFilterError, NotFoundError, PluginError
from pipeline.outcomes import RetryLater
from runner import actions
from runner.canary import approve_canary, find_changed_shares, run_canary
from runner.comparing import compare_stored
from runner.reprocess import make_wish, quote, reprocess
from runner.sweep import sweep
from tracker.history import list_history
from tracker.item_data import set_data

KEYS = ("a", "b", "c", "d")
THREE = {"papers": job(step("fetch"), step("extract"), step("store"))}


def number(context):
    return {"n": len(context.key)}


def follow(context):
    return {"n": context.results["fetch"]["n"]}


@pytest.fixture
def shop(open_workshop):
    """Open the workshop with four items that version 1 has done, each stage at a price."""
    opened = open_workshop(**THREE)
    opened.acts["fetch"] = lambda context: (context.cost(0.5, "gas"), number(context))[1]
    opened.acts["extract"] = follow
    opened.run(*KEYS)
    opened.plugins.seen.clear()
    return opened


def renew(shop, act=None):
    """Let every handler be of version 2, and `fetch` do something else."""
    shop.plugins.Step.VERSION = "2"
    shop.runtime._prepared.clear()
    if act is not None:
        shop.acts["fetch"] = act


def another_for_a(context):
    return {"n": 7 if context.key == "a" else 1}


def rerun(shop, **more):
    acted = reprocess(shop.runtime, make_wish(shop.runtime, "papers", **more), "ann")
    shop.work()
    return acted


def count_rows(shop, *tables):
    return [shop.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608


# -- how far it goes --------------------------------------------------------------------------------------


def test_without_a_stage_items_begin_again_and_what_comes_out_the_same_goes_no_further(shop):
    renew(shop, another_for_a)
    acted = rerun(shop)
    assert (acted.items, acted.counts) == (4, "stages")
    assert sorted(shop.plugins.seen) == [("extract", "a"), *(("fetch", key) for key in KEYS), ("store", "a")]
    assert shop.result("a", "extract") == {"n": 7}
    assert [event["detail"]["spared"] for event in shop.events("cutoff")] == [["extract", "store"]] * 3


def test_stale_results_are_made_again_of_every_stage_and_each_once(shop):
    renew(shop)
    assert rerun(shop, stale=True).items == 12
    assert len(shop.plugins.seen) == len(set(shop.plugins.seen)) == 12
    assert tracker.get_stale_count(shop.conn, "papers", "store", "2") == 0
    assert rerun(shop, stale=True).items == 0


def test_one_stage_may_be_named(shop):
    assert rerun(shop, stage="store").items == 4
    assert {stage for stage, _ in shop.plugins.seen} == {"store"}


def test_a_filter_says_which_items_or_which_stages(shop):
    assert rerun(shop, filter_text="key:a,b").items == 2
    assert {key for _, key in shop.plugins.seen} == {"a", "b"}
    shop.plugins.seen.clear()
    rerun(shop, filter_text="stage:extract key:c")
    assert shop.plugins.seen == [("extract", "c")]


def test_what_was_not_done_is_left_alone(shop):
    shop.conn.execute("UPDATE item_stages SET status = 'pending', ended_at = NULL WHERE stage = 'store'")
    assert rerun(shop, stage="store").items == 0


def test_what_is_made_again_goes_as_backfill(shop):
    reprocess(shop.runtime, make_wish(shop.runtime, "papers"), "ann")
    assert [shop.row(key, "fetch")["backfill"] for key in KEYS] == [1, 1, 1, 1]


def test_one_event_says_who_and_how_many(shop):
    rerun(shop, stage="store")
    (event,) = shop.events("reprocess")
    assert event["by"] == "ann"
    assert (event["detail"]["stages"], event["detail"]["stale"]) == (["store"], False)


def test_the_older_result_is_kept_and_compared(shop):
    renew(shop, another_for_a)
    rerun(shop)
    compared = compare_stored(shop.runtime, shop.conn, "papers", "a", "fetch")
    assert (compared.before.handler_version, compared.after.handler_version) == ("1", "2")
    assert [(one.path, one.delta) for one in compared.diff] == [("n", 6)]


def test_it_is_undone_where_nothing_has_run_since(shop):
    reprocess(shop.runtime, make_wish(shop.runtime, "papers", stale=False, filter_text="key:a,b"), "ann")
    shop.take()
    action = actions.find_undoable(shop.runtime)
    assert actions.undo(shop.runtime, action, "bob").items == 1
    ran = next(key for key in "ab" if shop.row(key, "fetch")["attempt"] == 2)
    other = "b" if ran == "a" else "a"
    assert (shop.status(other, "fetch"), shop.row(other, "fetch")["again"]) == ("done", None)


def test_what_waited_waits_no_more_when_it_is_undone(shop):
    renew(shop)
    reprocess(shop.runtime, make_wish(shop.runtime, "papers", stale=True), "ann")
    assert (shop.row("a", "store")["status"], shop.row("a", "store")["again"]) == ("done", "waits")
    actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "bob")
    rows = shop.conn.execute("SELECT DISTINCT status, again FROM item_stages").fetchall()
    assert [tuple(row) for row in rows] == [("done", None)]


def test_what_waited_for_a_stage_that_is_switched_off_while_it_runs_waits_no_more(shop):
    def switch_off_and_wait(_):
        shop.edit(papers=job(step("fetch", enabled=False), step("extract"), step("store")))
        sweep(shop.runtime)
        return RetryLater(3600)

    renew(shop, switch_off_and_wait)
    shop.acts["extract"] = number
    rerun(shop, stale=True, filter_text="key:a")
    sweep(shop.runtime)
    shop.work()
    assert shop.status("a", "fetch") == "skipped"
    assert shop.plugins.seen.count(("store", "a")) == 1
    assert [shop.row("a", stage)["again"] for stage in ("fetch", "extract", "store")] == [None] * 3


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"stage": "fech"}, NotFoundError),
        ({"filter_text": "stage:fech"}, NotFoundError),
        ({"filter_text": "key"}, InvalidFilterError),
    ],
)
def test_what_is_not_there_is_named_and_nothing_is_done(shop, more, error):
    with pytest.raises(error, match=r"'fetch'|text:key"):
        make_wish(shop.runtime, "papers", **more)
    assert shop.events("reprocess") == []


# -- the quote --------------------------------------------------------------------------------------------


def test_a_quote_counts_runs_and_costs_by_what_it_cost_so_far(shop):
    found = quote(shop.runtime, make_wish(shop.runtime, "papers"))
    assert [(one.stage, one.runs, one.at_most, one.usd) for one in found.stages] == [
        ("fetch", 4, False, 2.0),
        ("extract", 4, True, None),
        ("store", 4, True, None),
    ]
    assert (found.items, found.usd, found.days) == (4, 2.0, None)
    assert found.seconds is not None


def test_a_quote_counts_the_days_that_the_budget_takes(shop):
    shop.edit(papers=job(step("fetch"), step("extract"), step("store"), budget={"usd_per_day": 2.5}))
    found = quote(shop.runtime, make_wish(shop.runtime, "papers"))
    assert (found.usd_per_day, found.days) == (2.5, 2)  # 2.00 of today's are spent


def test_a_stages_limit_makes_it_take_longer(shop):
    shop.edit(papers=job(step("fetch", rate="1/m"), step("extract"), step("store")))
    found = quote(shop.runtime, make_wish(shop.runtime, "papers"))
    assert found.seconds == pytest.approx(240)


def test_a_quote_for_which_nothing_is_spent_takes_no_days_of_the_budget(shop):
    shop.edit(papers=job(step("fetch"), step("extract"), step("store"), budget={"usd_per_day": 2.5}))
    found = quote(shop.runtime, make_wish(shop.runtime, "papers", stage="extract"))
    assert (found.usd, found.days) == (0.0, None)
    assert "a day" not in found.words


def test_a_quote_of_nothing_is_empty(shop):
    assert quote(shop.runtime, make_wish(shop.runtime, "papers", stale=True)).is_empty


def test_stages_whose_versions_cannot_be_told_are_named(shop, monkeypatch, settings):
    assert shop.runtime.jobs
    (settings.data / "plugins" / "workshop_plugins.py").write_text("raise OSError('no ladle')")
    monkeypatch.delitem(sys.modules, "workshop_plugins")
    catalog.load.cache_clear()
    wish = make_wish(shop.runtime, "papers", stale=True)
    assert list(wish.unknown) == ["fetch", "extract", "store"]
    assert "no ladle" in wish.unknown["store"]
    assert quote(shop.runtime, wish).is_empty
    with pytest.raises(PluginError, match="no ladle"):
        make_wish(shop.runtime, "papers", stage="store", stale=True)
    monkeypatch.undo()


# -- the canary -------------------------------------------------------------------------------------------


def try_out(shop, count=2, **more):
    wish = make_wish(shop.runtime, "papers", **more)
    return wish, list(run_canary(shop.runtime, wish.job, wish.how, count))


def test_a_canary_shows_old_and_new_and_leaves_nothing_but_its_costs(shop):
    renew(shop, lambda context: (context.cost(0.25, "gas"), another_for_a(context))[1])
    tables = ("results", "events", "results_history", "failures", "artifacts", "answers")
    before, costs = count_rows(shop, *tables), count_rows(shop, "costs")[0]
    _, tried = try_out(shop)
    assert [(one.key, [bool(done.diff) for done in one.stages]) for one in tried] == [
        ("a", [True]),
        ("b", [False]),
    ]
    assert count_rows(shop, *tables) == before
    assert count_rows(shop, "costs")[0] == costs + 2
    assert [tuple(row) for row in shop.conn.execute("SELECT DISTINCT status FROM item_stages")] == [("done",)]


def test_a_canary_says_how_much_follows(shop):
    renew(shop, another_for_a)
    wish, tried = try_out(shop)
    assert find_changed_shares(tried) == {"fetch": 0.5}
    found = quote(shop.runtime, wish, find_changed_shares(tried))
    assert [(one.stage, one.expected) for one in found.stages] == [
        ("fetch", 4),
        ("extract", 2),
        ("store", None),
    ]


def test_an_approved_canary_counts_and_is_not_run_once_more(shop):
    renew(shop, another_for_a)
    wish, tried = try_out(shop)
    seen_to = approve_canary(shop.runtime, "papers", tried, "ann")
    assert (shop.result("a", "fetch"), shop.row("a", "fetch")["attempt"]) == ({"n": 7}, 2)
    assert (shop.status("a", "extract"), shop.status("b", "extract")) == ("pending", "done")
    shop.plugins.seen.clear()
    assert reprocess(shop.runtime, wish, "ann", seen_to=seen_to).items == 2
    shop.work()
    assert sorted(key for stage, key in shop.plugins.seen if stage == "fetch") == ["c", "d"]
    assert shop.result("a", "extract") == {"n": 7}
    (event,) = shop.events("approve_canary")
    assert (event["by"], event["detail"]) == ("ann", {"items": 2})


def test_what_was_cancelled_before_follows_another_result_of_a_canary(shop):
    shop.conn.execute("UPDATE item_stages SET cancelled_by = 'ann' WHERE stage = 'extract'")
    renew(shop, another_for_a)
    _, tried = try_out(shop)
    approve_canary(shop.runtime, "papers", tried, "ann")
    assert (shop.status("a", "extract"), shop.status("b", "extract")) == ("pending", "done")


def test_stages_of_a_canary_see_each_others_new_results(shop):
    renew(shop, another_for_a)
    _, tried = try_out(shop, count=1, stale=True)
    assert [(done.stage, done.ran.result.get("n")) for done in tried[0].stages][:2] == [
        ("fetch", 7),
        ("extract", 7),
    ]
    approve_canary(shop.runtime, "papers", tried, "ann")
    assert shop.status("a") == "done"


def test_a_stage_of_a_canary_that_has_to_wait_for_another_is_left_to_workers(shop):
    renew(shop, another_for_a)
    shop.conn.execute("UPDATE results SET handler_version = '2' WHERE stage = 'extract'")
    _, tried = try_out(shop, count=1, stale=True)
    assert ([done.stage for done in tried[0].stages], tried[0].left) == (["fetch"], ("store",))


def test_a_canary_that_kept_a_file_does_not_count(shop):
    renew(shop, lambda context: {"page": context.artifact("page", b"new")})
    wish, tried = try_out(shop, count=1)
    assert approve_canary(shop.runtime, "papers", tried, "ann") == []
    assert reprocess(shop.runtime, wish, "ann").items == 4


def test_a_canary_that_fails_says_so_and_changes_nothing(shop):
    def fail(context):
        raise KeyError("ladle")

    renew(shop, fail)
    _, tried = try_out(shop, count=1)
    assert [done.has_failed for done in tried[0].stages] == [True]
    assert approve_canary(shop.runtime, "papers", tried, "ann") == []
    assert shop.status("a") == "done"


def test_what_was_done_after_the_canary_is_not_replaced_by_what_is_older(shop):
    renew(shop, lambda _: {"n": 8})
    wish, tried = try_out(shop)
    shop.acts["fetch"] = lambda _: {"n": 9}
    rerun(shop, stage="fetch", filter_text="key:a")
    seen_to = approve_canary(shop.runtime, "papers", tried, "ann")
    assert [shop.result(key, "fetch") for key in "ab"] == [{"n": 9}, {"n": 8}]
    assert seen_to == [shop.item_id("b")]
    assert reprocess(shop.runtime, wish, "ann", seen_to=seen_to).items == 3
    assert shop.status("a", "fetch") == "pending"


def test_a_stage_that_is_to_run_after_the_canary_is_left_to_workers(shop):
    renew(shop, another_for_a)
    _, tried = try_out(shop, count=1)
    tracker.reset_stage(shop.conn, "papers", "fetch")
    assert approve_canary(shop.runtime, "papers", tried, "ann") == []
    assert (shop.status("a", "fetch"), shop.result("a", "fetch")) == ("pending", {"n": 1})


def test_a_canary_made_of_other_data_does_not_count(shop):
    renew(shop, another_for_a)
    wish, tried = try_out(shop, count=1)
    with tracker.write(shop.conn):
        set_data(shop.conn, shop.item_id("a"), '{"rev": 2}', None)
    assert approve_canary(shop.runtime, "papers", tried, "ann") == []
    assert (shop.status("a", "fetch"), shop.result("a", "fetch")) == ("done", {"n": 1})
    assert shop.events("approve_canary") == []
    assert reprocess(shop.runtime, wish, "ann").items == 4


def test_nothing_counts_while_the_job_is_paused(shop):
    renew(shop, another_for_a)
    _, tried = try_out(shop, count=1)
    tracker.set_job_paused(shop.conn, "papers", True, reason="lunch")
    approve_canary(shop.runtime, "papers", tried, "ann")
    assert (shop.status("a", "fetch"), shop.result("a", "fetch")) == ("pending", {"n": 1})


# -- how many older results are kept ----------------------------------------------------------------------


def test_jobs_yaml_says_how_many_older_results_of_a_stage_are_kept(shop):
    shop.edit(papers=job(step("fetch", keep=1), step("extract", keep=0), step("store")))
    sweep(shop.runtime)
    for n in range(2, 5):
        shop.acts["fetch"] = lambda _, n=n: {"n": n}
        rerun(shop)
    kept = {
        stage: len(list_history(shop.conn, "papers", "a", stage)) for stage in ("fetch", "extract", "store")
    }
    assert kept == {"fetch": 1, "extract": 0, "store": 0}
    rows = shop.conn.execute("SELECT stage, keep FROM job_stages ORDER BY position").fetchall()
    assert [tuple(row) for row in rows] == [("fetch", 1), ("extract", 0), ("store", 3)]
