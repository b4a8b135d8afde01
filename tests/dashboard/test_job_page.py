from __future__ import annotations

import re

import pytest

import tracker
from dashboard.job_page import SHOWN_SOURCES
from pipeline.budget import BudgetSpec
from tests.waiting import wait_until
from tracker.budgets import remember_budgets
from tracker.connection import write
from tracker.discoveries import Findings, begin_discovery, finish_discovery
from tracker.pauses import list_pauses
from tracker.plan import remember_plan
from tracker.sources import SourceLook

BRANCHES = """\
version: 1
jobs:
  other:
    discovery: {strategy: manual, items: []}
    stages: [read_file]
  papers:
    title: Papers to read
    schedule: every 1h
    discovery: {strategy: manual, items: [{key: a}]}
    stages:
      - {name: fetch, handler: read_file, queue: heavy, rate: 30/m, concurrency: 4}
      - {name: text, handler: read_file, needs: fetch}
      - {name: sound, handler: read_file, needs: fetch}
      - {name: note, handler: read_file, needs: [text, sound]}
"""
STAGES = ["fetch", "text", "sound", "note"]
HOLD = """
INSERT INTO held_items (job_id, key, data, priority, version, source, held_at)
VALUES ('papers', ?, '{}', 0, 'v', '', 0)
"""
HOSTILE = '<script>alert("x")</script>\u202e'


@pytest.fixture(autouse=True)
def jobs(settings):
    settings.jobs.write_text(BRANCHES)


@pytest.fixture
def page(visit):
    """Read the page of the job."""

    def read(**asked):
        answer = visit().get("/jobs/papers", params=asked)
        assert answer.status_code == 200
        return answer.text

    return read


def add(conn, *keys):
    tracker.upsert_items(conn, "papers", [{"key": key} for key in keys])
    return [tracker.items.find_item(conn, "papers", key)["item_id"] for key in keys]


def do(conn, item_id, stage, error=None):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    if error is None:
        tracker.mark_stage_done(conn, item_id, stage, STAGES)
    else:
        tracker.mark_stage_failed(conn, item_id, stage, STAGES, error)


def figure(page, stage, name):
    return re.search(rf'<tspan class="figure" data-live="papers/{stage}.{name}">([\d,]+)</tspan>', page)[1]


# -- the pipeline -----------------------------------------------------------------------------------------


def test_the_pipeline_is_drawn_with_each_stage_and_an_arrow_for_each_need(page):
    drawn = page()
    assert re.findall(r"<title>(\w+ needs \w+)</title>", drawn) == [
        "text needs fetch",
        "sound needs fetch",
        "note needs text",
        "note needs sound",
    ]


def test_a_box_says_what_waits_runs_is_done_and_failed_and_moves_while_one_looks(page, conn):
    first, second, _ = add(conn, "a", "b", "c")
    for stage in ("fetch", "text"):
        do(conn, first, stage)
    do(conn, second, "fetch", "it broke")
    tracker.mark_stage_in_progress(conn, first, "sound", STAGES)
    remember(conn)
    drawn = page()
    assert (figure(drawn, "fetch", "waiting"), figure(drawn, "fetch", "failed")) == ("1", "1")
    assert (figure(drawn, "text", "done"), figure(drawn, "sound", "in_progress")) == ("1", "1")


def remember(conn):
    needs = {"fetch": (), "text": ("fetch",), "sound": ("fetch",), "note": ("text", "sound")}
    with write(conn):
        remember_plan(conn, "papers", tracker.plan.StagePlan(tuple(STAGES), needs, frozenset(STAGES)))


def test_what_waits_for_another_stage_does_not_wait_at_its_own(page, conn):
    first, *_ = add(conn, "a", "b")
    do(conn, first, "fetch")
    drawn = page()
    assert figure(drawn, "text", "waiting") == "1"
    assert figure(drawn, "note", "waiting") == "0"


def test_items_that_nobody_has_begun_wait_at_the_first_stage(page, conn):
    add(conn, "a", "b", "c")
    drawn = page()
    assert figure(drawn, "fetch", "waiting") == "3"
    assert figure(drawn, "text", "waiting") == "0"


def test_the_stage_where_the_job_queues_up_is_marked(page, conn):
    add(conn, *"abc")
    drawn = page()
    assert drawn.count("queues up here") == 2  # in the picture, and in the table
    assert re.search(r'<g class="box narrow">.*?>fetch</text>', drawn, re.DOTALL)


def test_each_stage_says_its_queue_its_limits_its_times_and_what_it_costs(page, conn):
    (item_id,) = add(conn, "a")
    do(conn, item_id, "fetch")
    tracker.log_cost(conn, "papers", 0.25, "openai", item_id=item_id, stage="fetch", attempt=1)
    drawn = page()
    assert "<td>heavy</td>" in drawn
    assert "4 at once 30/m" in drawn
    assert "$0.2500 each" in drawn
    assert re.search(r"p50 \d+ ms, p95 \d+ ms", drawn)


def test_a_budget_that_is_not_reached_is_called_one_once(page, conn):
    remember_budgets(conn, {"papers": BudgetSpec(usd_total=2)})
    assert "<dt>budget</dt><dd>$0.00 of $2.00 in all</dd>" in page()


def test_a_stage_that_jobs_yaml_has_no_more_is_shown_as_that(page, conn):
    (item_id,) = add(conn, "a")
    tracker.mark_stage_in_progress(conn, item_id, "older", ["older", *STAGES])
    assert "not in jobs.yaml" in page()


# -- over time --------------------------------------------------------------------------------------------


def test_the_charts_have_their_numbers_from_a_route(visit, conn):
    first, second = add(conn, "a", "b")
    do(conn, first, "fetch")
    do(conn, first, "text")
    do(conn, second, "fetch", "it broke")
    tracker.log_cost(conn, "papers", 0.5, "openai", item_id=first, stage="fetch", attempt=1)
    series = visit().get("/jobs/papers/series", params={"span": "3h"}).json()
    sums = {line["name"]: sum(line["values"]) for line in series["settled"]["lines"]}
    assert sums == {"fetch": 2, "text": 1, "failed": 1}
    assert (
        {len(line["values"]) for line in series["settled"]["lines"]}
        == {len(series["settled"]["at"])}
        == {180}
    )
    assert sum(series["spent"]["lines"][0]["values"]) == 0.5


@pytest.mark.parametrize("span", ["3h", "24h", "7d"])
def test_how_far_back_the_charts_go_is_in_the_address(page, span):
    assert f'data-chart="/jobs/papers/series?span={span}"' in page(span=span)
    assert f'aria-current="page">{span}</a>' in page(span=span)


def test_another_span_is_not_there(visit):
    assert visit().get("/jobs/papers/series", params={"span": "99y"}).status_code == 404


# -- sources and discovery --------------------------------------------------------------------------------


def look(conn, *looks):
    run = begin_discovery(conn, "papers")
    finish_discovery(conn, run, Findings(looks=looks))


def test_sources_and_looks_are_shown_with_their_health(page, conn):
    look(conn, SourceLook("https://good.example/feed", requests=1, found=5, new=2))
    look(conn, SourceLook("https://bad.example/feed", requests=1, error="503 Service Unavailable"))
    look(conn, SourceLook("https://bad.example/feed", requests=1, error="503 Service Unavailable"))
    text = page()
    assert "failed 2 times in a row: 503 Service Unavailable" in text
    assert text.index("bad.example") < text.index("good.example")
    assert "every 1 h" in text


def test_a_look_says_why_it_refused_what_it_refused(page, visit, conn):
    finish_discovery(conn, begin_discovery(conn, "papers"), Findings({HOSTILE: 2, "no key": 1}))
    for text in (page(), visit().get("/sources?job=papers").text):
        assert re.search(r"refused: &lt;script&gt;alert.*: 2, no key: 1</td>", text)


def test_a_hostile_source_is_text_and_is_cut(page, visit, conn):
    look(conn, SourceLook(HOSTILE + "x" * 100_000, error=HOSTILE + "y" * 1_000_000))
    for text in (page(), visit().get("/sources").text, visit().get("/sources?job=papers").text):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
        assert len(text) < 100_000


def test_the_page_of_sources_shows_those_of_one_job_or_of_all(visit, conn):
    look(conn, *(SourceLook(f"source {number:02}", found=1) for number in range(SHOWN_SOURCES + 15)))
    everything = visit().get("/sources").text
    assert "source 19" in everything
    assert "source 20" not in everything
    assert 'href="/sources?job=papers&amp;limit=200"' in everything
    assert "source 24" in visit().get("/sources?job=papers").text
    assert visit().get("/sources?job=paper").status_code == 404


# -- jobs.yaml --------------------------------------------------------------------------------------------


def read_lines(text):
    found = re.findall(r'id="line-(\d+)">\d+</th><td><code>(.*?)</code>(.*?)</td>', text, re.DOTALL)
    return {int(number): (line, rest.strip()) for number, line, rest in found}


def test_the_jobs_own_lines_of_the_file_are_shown_with_their_numbers(page):
    lines = read_lines(page())
    assert list(lines) == list(range(6, 15))
    assert lines[6] == ("  papers:", "")


def test_a_fault_stands_at_its_line_while_the_last_good_file_is_in_force(settings, visit, monkeypatch):
    browser = visit()
    assert browser.get("/jobs/papers").status_code == 200
    monkeypatch.setattr("pipeline.jobs_file.LOOK_SECONDS", 0.0)
    settings.jobs.write_text(
        BRANCHES.replace("rate: 30/m", 'rate: "<b>fast"').replace("[read_file]", "[raed_file]")
    )
    text = browser.get("/jobs/papers").text
    line, problem = read_lines(text)[11]
    assert "&lt;b&gt;fast" in line
    assert "is no rate" in problem
    assert "The file is refused as it is now" in text
    assert "raed_file" not in text  # the fault of another job


def test_a_file_that_is_no_yaml_shows_what_stands_around_the_fault(settings, visit):
    settings.jobs.write_text(BRANCHES.replace("needs: [text, sound]", "needs: [text, sound"))
    tracker_only = visit().get("/jobs/papers")
    assert tracker_only.status_code == 404  # nothing knows the job, neither a good file nor the tracker
    assert visit().get("/").status_code == 200


def test_a_job_of_the_tracker_shows_the_fault_of_a_file_that_is_no_yaml(settings, conn, page):
    add(conn, "a")
    settings.jobs.write_text(BRANCHES.replace("needs: [text, sound]", "needs: [text, sound"))
    text = page()
    assert "expected" in text
    assert any(problem for _, problem in read_lines(text).values())


def test_a_job_that_only_the_tracker_knows_is_shown_too(settings, conn, page):
    (item_id,) = add(conn, "a")
    do(conn, item_id, "fetch")
    settings.jobs.write_text(BRANCHES.replace("papers:", "articles:"))
    text = page()
    assert "its job is not in jobs.yaml" in text
    assert "The file has no job of this name." in text


def test_what_jobs_yaml_would_change_is_shown_and_an_admin_may_apply_it(settings, conn, log_in):
    (item_id,) = add(conn, "a")
    do(conn, item_id, "fetch")
    remember(conn)
    settings.jobs.write_text(
        BRANCHES.replace("version: 1", "version: 1\napply_above: 0")
        + "      - {name: tell, handler: read_file}\n"
    )
    browser = log_in("admin")
    text = browser.get("/jobs/papers").text
    assert "+ tell is new: 1 item gets it" in text
    assert 'href="/jobs/papers/apply"' in text
    assert "it touches 1 item." in text
    assert "<strong>1</strong> item at most is brought" in browser.get("/jobs/papers/apply").text
    assert browser.post("/jobs/papers/apply").headers["location"] == "/jobs/papers?did=apply"
    assert "What jobs.yaml would change" not in browser.get("/jobs/papers").text
    assert 'href="/jobs/papers/apply"' not in log_in("operator").get("/jobs/papers").text


def test_a_job_that_is_not_there_is_answered_with_the_nearest(visit):
    answer = visit().get("/jobs/paper")
    assert answer.status_code == 404
    assert "papers" in answer.text


# -- what can be done -------------------------------------------------------------------------------------


def number_of(answer):
    assert answer.status_code == 200
    return int(re.search(r"<strong>([\d,]+)</strong>", answer.text)[1])


def test_a_job_is_paused_with_a_reason_and_an_end_and_let_go_on(conn, log_in):
    add(conn, "a", "b")
    browser = log_in("operator")
    assert number_of(browser.get("/jobs/papers/pause")) == 2
    answer = browser.post("/jobs/papers/pause", data={"reason": HOSTILE, "until": "1h"})
    assert answer.headers["location"] == "/jobs/papers?did=pause"
    (held,) = list_pauses(conn)
    assert (held.job_id, held.by, held.until_at is not None) == ("papers", "the operator", True)
    text = browser.get("/jobs/papers").text
    assert "<script>alert" not in text
    assert ">Let it go on</a>" in text
    browser.post("/jobs/papers/unpause")
    assert list_pauses(conn) == []


def test_one_stage_is_paused_and_let_go_on(conn, visit):
    browser = visit()
    assert 'name="stage" value="text"' in browser.get("/jobs/papers/pause?stage=text").text
    browser.post("/jobs/papers/pause", data={"reason": "wrong model", "stage": "text"})
    assert [held.stage for held in list_pauses(conn)] == ["text"]
    assert "The stage text is paused by" in browser.get("/jobs/papers").text
    browser.post("/jobs/papers/unpause", data={"stage": "text"})
    assert list_pauses(conn) == []


def test_before_a_stage_is_paused_those_are_counted_that_are_not_through_it(conn, visit):
    first, _, _ = add(conn, "a", "b", "c")
    do(conn, first, "fetch")
    page = visit().get("/jobs/papers/pause?stage=fetch")
    assert number_of(page) == 2
    assert "items are not through this stage" in page.text
    assert number_of(visit().get("/jobs/papers/pause?stage=text")) == 3


def test_a_stage_that_is_not_there_cannot_be_paused(conn, visit):
    assert visit().post("/jobs/papers/pause", data={"reason": "x", "stage": "txt"}).status_code == 404
    assert list_pauses(conn) == []


def test_a_job_is_woken(conn, visit):
    assert number_of(visit().get("/jobs/papers/wake")) == 1
    assert visit().post("/jobs/papers/wake").headers["location"] == "/jobs/papers?did=wake"
    assert tracker.get_events(conn, "papers", limit=1)[0]["kind"] == "wake"


def hold(conn, *keys):
    with write(conn):
        conn.executemany(HOLD, [(key,) for key in keys])


def test_held_items_are_let_in(conn, visit):
    hold(conn, "a", "b")
    assert "Let in 2 held" in visit().get("/jobs/papers").text
    assert number_of(visit().get("/jobs/papers/approve")) == 2
    assert visit().post("/jobs/papers/approve").headers["location"] == "/jobs/papers?did=approve"
    assert tracker.get_pending_count(conn, "papers") == 2


def test_held_items_are_left_out(conn, visit):
    hold(conn, "a", "b")
    assert number_of(visit().get("/jobs/papers/dismiss")) == 2
    visit().post("/jobs/papers/dismiss")
    assert tracker.get_pending_count(conn, "papers") == 0
    assert "Leave out" not in visit().get("/jobs/papers").text


def test_what_failed_is_tried_again_and_that_is_undone(conn, log_in):
    for item_id in add(conn, "a", "b"):
        do(conn, item_id, "fetch", "it broke")
    remember(conn)
    browser = log_in("operator")
    assert number_of(browser.get("/jobs/papers/retry")) == 2
    went_to = browser.post("/jobs/papers/retry").headers["location"]
    assert re.fullmatch(r"/jobs/papers\?done=\d+", went_to)
    text = browser.get(went_to).text
    assert "retry of papers: 2 stages, by the operator" in text
    action = went_to.partition("done=")[2]
    assert f'href="/undo?action={action}"' in text
    assert number_of(browser.get(f"/undo?action={action}")) == 2
    undone = browser.post("/undo", data={"action": action}).headers["location"]
    assert "undo of the retry of papers: 2 stages" in browser.get(undone).text
    assert tracker.get_failed(conn, "papers")
    assert browser.get(f"/undo?action={action}").status_code == 409


def test_a_question_agrees_with_its_number(conn, visit):
    first, second = add(conn, "a", "b")
    do(conn, first, "fetch", "it broke")
    remember(conn)
    assert "<strong>1</strong> failed stage is tried again." in visit().get("/jobs/papers/retry").text
    do(conn, second, "fetch", "it broke")
    assert "<strong>2</strong> failed stages are tried again." in visit().get("/jobs/papers/retry").text


def test_of_one_stage_only_what_failed_there_is_tried_again(conn, visit):
    first, second = add(conn, "a", "b")
    do(conn, first, "fetch", "it broke")
    do(conn, second, "fetch")
    do(conn, second, "text", "it broke")
    remember(conn)
    assert number_of(visit().get("/jobs/papers/retry?stage=text")) == 1
    visit().post("/jobs/papers/retry", data={"stage": "text"})
    assert tracker.get_stage_status(conn, first, "fetch") == "failed"
    assert tracker.get_stage_status(conn, second, "text") == "pending"


def test_where_nothing_failed_nothing_is_done_and_that_is_said(visit):
    went_to = visit().post("/jobs/papers/retry").headers["location"]
    assert went_to == "/jobs/papers?did=nothing"
    assert "There was nothing to do." in visit().get(went_to).text


def test_a_page_says_only_what_is_on_record(visit):
    for query in ("done=999999", "done=<b>", "done=" + "9" * 40, "did=<script>", "did=everything"):
        answer = visit().get(f"/?{query}")
        assert answer.status_code == 200
        assert 'id="done"' not in answer.text


def test_an_action_that_is_not_there_has_no_page(visit):
    assert visit().get("/actions/999").status_code == 404


def test_an_action_that_goes_on_shows_how_far_it_is(conn, visit):
    how = {"by": "failed"}
    action = tracker.actions.begin(conn, "retry", "papers", None, how, by="ann <b>", total=2000)
    for path in (f"/?done={action.action_id}", f"/actions/{action.action_id}"):
        text = visit().get(path).text
        assert "retry of papers: 0 of 2,000 stages" in text
        assert '<progress value="0" max="2000"' in text
        assert f'hx-get="/actions/{action.action_id}" hx-trigger="every 1s"' in text
    assert "ann &lt;b&gt;" in text


def test_what_takes_long_goes_on_behind_the_page(conn, visit, monkeypatch):
    for item_id in add(conn, *map(str, range(300))):
        do(conn, item_id, "fetch", "it broke")
    remember(conn)
    monkeypatch.setattr("dashboard.deeds.PATIENCE_SECONDS", 0.0)
    went_to = visit().post("/jobs/papers/retry").headers["location"]
    action_id = int(went_to.partition("done=")[2])
    wait_until(lambda: tracker.actions.get_action(conn, action_id).finished_at)
    assert "retry of papers: 300 stages" in visit().get(went_to).text


def test_what_cannot_be_done_is_said(conn, visit, monkeypatch):
    monkeypatch.setattr("dashboard.deeds.PATIENCE_SECONDS", 10.0)
    answer = visit().post("/jobs/papers/retry", data={"stage": "txt"})
    assert answer.status_code == 404
    assert "text" in answer.text
