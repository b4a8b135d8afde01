from __future__ import annotations

import re
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tracker
from pipeline.filters import EVERYTHING, parse_filter
from tracker import filter_plans, filter_routes
from tracker.clock import now_ms
from tracker.events import log_cost
from tracker.filter_conditions import as_sql
from tracker.selecting import Count, Cursor, count_matching, select_batches, select_page

STAGES = ["fetch", "extract", "store"]
DAY_MS = 86_400_000


def fail(conn, item_id, stage, error):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    tracker.mark_stage_failed(conn, item_id, stage, STAGES, error)


def finish(conn, item_id, stage, result=None, version="3"):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    tracker.mark_stage_done(conn, item_id, stage, STAGES, result or {}, handler_version=version)


SET = "UPDATE work_items SET discovered_at = :at, source = :source WHERE item_id = :item_id"


@pytest.fixture
def papers(conn, add_items, add_opened):
    """Fill a tracker with two jobs: items of every status, from several hosts and sources, of several ages."""
    ids = dict(
        zip(
            "abcdef",
            add_opened("a")
            + add_opened("b", "c", "d", "e", "f", data={"url": "https://x.org/1"}, priority=5),
            strict=True,
        )
    )
    ids["g"], ids["h"] = add_items("g", "h", data={"link": "http://y.org/rate"})
    ids["z"] = add_opened("z", job_id="rss", data={"url": "https://x.org/2"})[0]
    finish(conn, ids["a"], "fetch", {"text": 'it said "no" to 100%'}, "2")
    finish(conn, ids["b"], "fetch", version="v1")
    fail(conn, ids["b"], "extract", TimeoutError("no answer in 30 s"))
    fail(conn, ids["c"], "fetch", OSError("no such file 7"))
    for stage in STAGES:
        finish(conn, ids["d"], stage)
    tracker.mark_skipped(conn, ids["e"], "not wanted")
    tracker.mark_stage_in_progress(conn, ids["f"], "fetch", STAGES)
    fail(conn, ids["z"], "fetch", TimeoutError("no answer in 9 s"))
    log_cost(conn, "papers", 0.2, "openai", item_id=ids["d"], stage="fetch", attempt=1)
    log_cost(conn, "papers", 0.1, "openai", item_id=ids["d"], stage="store", attempt=1)
    for days, key in enumerate("abcdefgh"):
        asked = {"at": now_ms() - days * DAY_MS, "source": f"feed-{days % 2}", "item_id": ids[key]}
        conn.execute(SET, asked)
    return ids


def list_keys(conn, text, limit=100):
    rows = select_page(conn, parse_filter(text), limit=limit).rows
    return " ".join(f"{one.key}.{one.stage}" if one.stage else one.key for one in rows)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("job:papers", "a b c d e f g h"),
        ("job:rss,papers", "a b c d e f g h z"),
        ("job:p*", "a b c d e f g h"),
        ("-job:papers", "z"),
        ("key:a,c,a", "a c"),
        ("key:a*,a", "a"),
        ("status:failed", "b c z"),
        ("status:pending", "a g h"),
        ("status:done,in_progress", "d e f"),
        ("-status:failed,pending", "d e f"),
        ("host:x.org", "b c d e f z"),
        ("host:y*", "g h"),
        ("-host:x.org", "a g h"),
        ("-host:*", "a"),
        ("source:feed-1", "b d f h"),
        ("source:*", "a b c d e f g h"),
        ("age:<36h", "a b z"),
        ("age:>36h", "c d e f g h"),
        ("age:>36h age:<84h", "c d"),
        ("age:<36h,>6d12h", "a b h z"),
        ("priority:>0", "b c d e f"),
        ("priority:<=0 job:papers", "a g h"),
        ("priority:5 status:failed", "b c"),
        ("cost:>0.25", "d"),
        ("cost:0.3", "d"),
        ("cost:0 status:failed", "b c z"),
        ('text:"no\\" to 100%"', "a"),
        ("text:RATE", "g h"),
        ("text:g", "b c d e f g h z"),
        ("-text:http", "a"),
        ("stage:fetch", "a.fetch b.fetch c.fetch d.fetch e.fetch f.fetch z.fetch"),
        ("stage:fetch status:failed", "c.fetch z.fetch"),
        ("stage:e* status:failed,pending", "a.extract b.extract c.extract f.extract z.extract"),
        ("stage:* status:skipped", "e.extract e.fetch e.store"),
        ("error:Timeout", "b.extract z.fetch"),
        ("error:TimeoutError job:papers", "b.extract"),
        ("error:ANSWER", "b.extract z.fetch"),
        ("error:OSError,TimeoutError", "b.extract c.fetch z.fetch"),
        ("-error:timeout status:failed", "c.fetch"),
        ('signature:"OSError: no such file <n>"', "c.fetch"),
        ("signature:Timeout*", "b.extract z.fetch"),
        ("version:<3", "a.fetch"),
        ("version:3", "d.extract d.fetch d.store"),
        ("version:v1,2", "a.fetch b.fetch"),
        ("version:>=3", "d.extract d.fetch d.store"),
        ("stage:fetch -version:3", "a.fetch b.fetch c.fetch e.fetch f.fetch z.fetch"),
        ("stage:fetch cost:>0.25", ""),
        ("stage:fetch cost:>0.15", "d.fetch"),
        ("attempt:1 status:failed", "b.extract c.fetch z.fetch"),
        ("attempt:>1", ""),
        ("backfill:yes", ""),
        ('worker:"by hand" status:in_progress', "f.fetch"),
        ("stage:fetch host:x.org age:>60h", "d.fetch e.fetch f.fetch"),
        ("stage:store key:d", "d.store"),
        ("job:nowhere", ""),
    ],
)
def test_a_filter_selects(conn, papers, text, keys):
    assert list_keys(conn, text) == keys


def test_what_is_selected_is_told_with_its_stage(conn, papers):
    (one,) = select_page(conn, parse_filter("stage:fetch status:failed job:papers"), limit=9).rows
    assert (one.job_id, one.key, one.stage, one.status, one.attempt) == ("papers", "c", "fetch", "failed", 1)
    assert (one.host, one.source, one.priority) == ("x.org", "feed-0", 5)
    assert one.reason == "OSError: no such file 7"
    item = select_page(conn, parse_filter("key:c"), limit=9).rows[0]
    assert (item.stage, item.attempt, item.status) == (None, None, "failed")


def test_what_is_done_again_is_backfill(conn, papers):
    tracker.retry_failed(conn, "papers", keys=["c"])
    assert list_keys(conn, "backfill:yes stage:fetch") == "c.fetch"


def test_a_group_of_failures_is_selected_by_its_id(conn, papers):
    name = conn.execute("SELECT name FROM failure_groups WHERE error_type = 'OSError'").fetchone()[0]
    assert list_keys(conn, f"signature:{name}") == "c.fetch"


def test_a_failed_stage_is_no_more_selected_by_its_error_once_it_is_tried_again(conn, papers):
    tracker.retry_failed(conn, "papers", keys=["c"])
    assert list_keys(conn, "error:OSError") == ""


def test_pages_go_on_where_the_last_ended_across_jobs(conn, papers):
    wanted, after, keys = EVERYTHING, None, []
    for _ in range(10):
        page = select_page(conn, wanted, after=after, limit=2)
        keys.append("".join(one.key for one in page.rows))
        after = page.next_after and Cursor.parse(str(page.next_after))
        if after is None:
            break
    assert keys == ["ab", "cd", "ef", "gh", "z"]


def test_a_last_page_that_is_full_says_that_it_is_the_last(conn, papers):
    assert select_page(conn, parse_filter("job:rss"), limit=1).next_after is None


def test_batches_leave_out_what_no_longer_fits_and_give_nothing_twice(conn, papers):
    seen = []
    for batch in select_batches(conn, parse_filter("status:failed"), 1):
        seen += [one.key for one in batch]
        tracker.retry_failed(conn, "papers")
    assert seen == ["b", "z"]


def test_batches_of_nothing_are_none(conn, papers):
    assert list(select_batches(conn, parse_filter("job:nowhere"), 5)) == []


# -- every way gives the same -----------------------------------------------------------------------------

TERMS = [
    "job:papers", "-job:rss", "key:a*,b,c", "-key:a", "status:failed", "status:pending,done",
    "status:in_progress,failed", "host:x.org", "host:x*,y.org", "-host:y.org", "source:feed-0", "source:feed*",
    "age:>36h", "age:<84h", "-age:>36h", "priority:5", "priority:<5", "-priority:5", "cost:>0.15", "text:no",
    "stage:fetch", "stage:e*,store", "-stage:fetch", "error:Timeout", "-error:Timeout", "signature:Timeout*,OS*",
    "version:<3", "version:3,v1", "-version:3", "attempt:1", "backfill:no",
]  # fmt: skip

ALL_ITEMS = "SELECT i.job_id, i.item_id, '' AS stage FROM work_items i"
ALL_STAGES = """
SELECT s.job_id, s.item_id, s.stage FROM item_stages s JOIN work_items i ON i.item_id = s.item_id
"""


def walk_over_all(conn, wanted, now):
    """Select as the condition alone would, from all rows."""
    where = as_sql(wanted, now)
    sql = f"{ALL_STAGES if wanted.selects_stages else ALL_ITEMS} WHERE {where.sql} ORDER BY 1, 2, 3"
    return [Cursor(*row) for row in conn.execute(sql, where.bindings)]


def list_newest_first(conn, wanted, limit):
    """Read page by page, the newest first."""
    found, after = [], None
    while True:
        page = select_page(conn, wanted, after=after, limit=limit, newest_first=True)
        found += [one.cursor for one in page.rows]
        after = page.next_after
        if after is None:
            return found


@given(
    texts=st.lists(st.sampled_from(TERMS), min_size=1, max_size=4),
    probe=st.sampled_from([0, 2, 20_000]),
    span=st.sampled_from([1, 3, 200_000]),
    branches=st.sampled_from([1, 100]),
    limit=st.integers(1, 5),
)
@example(texts=["age:<84h", "stage:fetch"], probe=0, span=200_000, branches=1, limit=2)
@example(texts=["age:<84h", "stage:fetch"], probe=0, span=1, branches=1, limit=2)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whichever_way_is_taken_the_pages_hold_what_the_condition_says(
    conn, papers, texts, probe, span, branches, limit
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filter_plans, "PROBE_AT_MOST", probe)
        patch.setattr(filter_plans, "SPAN_AT_MOST", span)
        patch.setattr("tracker.filter_ways.BRANCHES_MOST", branches)
        wanted = parse_filter(" ".join(texts))
        expected = walk_over_all(conn, wanted, now_ms())
        batches = list(select_batches(conn, wanted, limit))
        assert [one.cursor for batch in batches for one in batch] == expected
        assert list_newest_first(conn, wanted, limit) == expected[::-1]
        assert {len(batch) for batch in batches[:-1]} <= {limit}
        assert count_matching(conn, wanted, None) == Count(len(expected))
        assert count_matching(conn, wanted).number == len(expected)


# -- counts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["status:failed", "stage:fetch status:failed", "error:Timeout", "job:papers"]
)
def test_a_count_that_counters_know_looks_at_no_row(conn, papers, text):
    expected = len(select_page(conn, parse_filter(text), limit=99).rows)
    assert count_matching(conn, parse_filter(text), 0) == Count(expected)


def test_a_count_that_looks_at_too_many_rows_is_told_as_at_least(conn, papers):
    found = count_matching(conn, parse_filter("job:papers text:x.org"), 4)
    assert found == Count(3, is_exact=False)
    assert str(found) == "at least 3"
    assert count_matching(conn, parse_filter("job:papers text:x.org"), None) == Count(5)
    assert str(Count(12_345)) == "12,345"


# -- the statements ---------------------------------------------------------------------------------------

STAGE_JOINS = {"items": [False, True], "running": [False, True], "stages": [True], "results": [True]}
PAGES = [
    pytest.param(route, of_stages, id=f"{name}-{'stages' if of_stages else 'items'}")
    for name, route in vars(filter_routes).items()
    if isinstance(route, filter_routes.Route)
    for of_stages in STAGE_JOINS[route.gives]
]


def explain(conn, sql):
    bindings = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
    return [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


@pytest.mark.parametrize(("route", "of_stages"), PAGES)
def test_a_page_reads_one_range_of_its_routes_index(conn, route, of_stages):
    plan = explain(conn, filter_routes.write_page(route, "true", of_stages=of_stages))
    index = route.table.split("INDEXED BY ")[1]
    if route.is_short:
        # the whole of an index that holds but what runs
        assert plan[0] == f"SCAN {route.table.split()[1]} USING INDEX {index}"
    else:
        searched = rf"SEARCH . USING (COVERING )?INDEX {index} \((job_id|failure_group)=\?( AND |\))"
        assert re.match(searched, plan[0]), plan
    assert not [step for step in plan[1:] if step.startswith("SCAN")], plan
    assert all(
        "(item_id=?" in step or "(rowid=?" in step for step in plan[1:] if step.startswith("SEARCH")
    ), plan


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("route", "of_stages"), PAGES)
def test_a_page_of_an_ordered_route_sorts_nothing(conn, route, of_stages, newest_first):
    sql = filter_routes.write_page(route, "true", of_stages=of_stages, newest_first=newest_first)
    plan = explain(conn, sql)
    assert ("USE TEMP B-TREE FOR ORDER BY" not in plan) is route.is_ordered


@pytest.mark.parametrize(("route", "of_stages"), PAGES)
def test_a_probe_and_a_count_read_the_index_alone_and_stop_at_their_limit(conn, route, of_stages):
    index = route.table.split("INDEXED BY ")[1]
    assert (
        f"USING {'' if route.is_short else 'COVERING '}INDEX {index}"
        in explain(conn, filter_routes.write_probe(route))[1]
    )
    counted = explain(conn, filter_routes.write_count(route, "true", of_stages=of_stages))
    assert [step for step in counted if step.startswith("SCAN")] in (
        ["SCAN found"],
        [counted[1], "SCAN found"],
    )


@pytest.mark.parametrize("text", TERMS)
def test_a_condition_looks_up_what_belongs_to_its_row_by_keys(conn, text):
    wanted = parse_filter(text)
    where = as_sql(wanted)
    route = filter_routes.BY_STAGE if wanted.selects_stages else filter_routes.WHOLE_JOB
    plan = explain(conn, filter_routes.write_page(route, where.sql, of_stages=wanted.selects_stages))
    scanned = {step.split()[1] for step in plan if step.startswith("SCAN")}
    assert scanned <= {"json_each", "g"}, plan  # the values, and the groups of failures, which are few


def test_the_routes_were_all_found():
    assert len(PAGES) >= len(filter_routes.ROUTES)
    numbers = count()
    assert {id(page.values[0]): next(numbers) for page in PAGES}.keys() == {
        id(one) for one in filter_routes.ROUTES
    }
