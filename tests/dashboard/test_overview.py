from __future__ import annotations

import re

import pytest

import tracker
from dashboard.job_cards import make_cards
from pipeline.jobs_file import load_jobs_file
from tracker.budgets import remember_budgets
from tracker.clock import now_ms
from tracker.discoveries import begin_discovery, fail_discovery
from tracker.host_waits import wait_for_host
from tracker.pauses import Target, pause

THREE_JOBS = """
version: 1
jobs:
  calm:
    discovery: {strategy: manual, items: []}
    stages: [read_file]
  papers:
    title: Papers <to> read
    schedule: every 1h
    budget: {usd_per_day: 5}
    discovery: {strategy: manual, items: [{key: a}]}
    stages: [{name: read, handler: read_file}, {name: note, handler: read_file}]
  resting:
    enabled: false
    discovery: {strategy: manual, items: []}
    stages: [read_file]
"""
STAGES = ["read", "note"]


@pytest.fixture
def jobs(settings):
    settings.jobs.write_text(THREE_JOBS)
    return load_jobs_file(settings.jobs)


def add(conn, *keys, job="papers"):
    tracker.upsert_items(conn, job, [{"key": key} for key in keys])
    return [tracker.items.find_item(conn, job, key)["item_id"] for key in keys]


def finish(conn, item_id, stages=STAGES):
    for stage in stages:
        tracker.mark_stage_in_progress(conn, item_id, stage, stages)
        tracker.mark_stage_done(conn, item_id, stage, stages)


def fail(conn, item_id, error="it broke"):
    tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
    tracker.mark_stage_failed(conn, item_id, "read", STAGES, error)


def card_of(page, job):
    return re.search(rf'<article [^>]*data-job="{job}".*?</article>', page.text, re.DOTALL)[0]


def figures_of(card):
    """Read the figures of a card as people do: by their names."""
    found = re.findall(r"<dt>([^<]+)</dt><dd[^>]*>(.*?)</dd>", card, re.DOTALL)
    return {name: re.sub(r"<[^>]+>", "", text).strip() for name, text in found}


def test_a_card_says_what_waits_what_was_done_today_and_what_failed(jobs, conn, visit):
    first, second, *_ = add(conn, *"abcd")
    finish(conn, first)
    fail(conn, second)
    figures = figures_of(card_of(visit().get("/"), "papers"))
    assert figures["waiting"] == "2"
    assert figures["running"] == "0"
    assert figures["done today"] == "1"
    assert figures["failed"] == "1"
    assert figures["a minute"] == "0.4"
    assert figures["oldest fresh"].startswith("found")


def test_a_card_says_the_one_cause_for_which_its_job_does_not_move(jobs, conn, visit):
    add(conn, "a")
    card = card_of(visit().get("/"), "papers")
    assert "no worker serves the queue celery" in card
    assert '<span class="stand stand-stuck">stuck</span>' in card


def test_problems_come_first_and_what_is_switched_off_last(jobs, conn):
    add(conn, "a")
    assert [(card.job, card.stand.value) for card in make_cards(conn, jobs)] == [
        ("papers", "stuck"),
        ("calm", "idle"),
        ("resting", "off"),
    ]


def test_of_those_that_stand_alike_the_one_with_failures_is_first(jobs, conn):
    fail(conn, *add(conn, "a"))
    pause(conn, Target.everything(), "x", by="ann")
    order = [card.job for card in make_cards(conn, jobs) if card.stand.value == "paused"]
    assert order == ["papers", "calm"]


def test_only_the_jobs_that_stand_in_one_way_can_be_shown(jobs, conn, visit):
    add(conn, "a")
    page = visit().get("/", params={"stand": "idle"})
    assert 'data-job="calm"' in page.text
    assert 'data-job="papers"' not in page.text
    assert 'aria-current="page">1 idle' in page.text


def test_what_was_spent_today_stands_beside_the_budget(jobs, conn, visit):
    (item_id,) = add(conn, "a")
    remember_budgets(conn, {"papers": jobs.jobs["papers"].budget})
    tracker.log_cost(conn, "papers", 1.25, "openai", item_id=item_id, stage="read", attempt=1)
    tracker.log_cost(conn, "papers", None, "openai", item_id=item_id, stage="note", attempt=1)
    assert (
        figures_of(card_of(visit().get("/"), "papers"))["spent today"]
        == "$1.25 of $5.00  and 1 of unknown price"
    )


def test_the_last_24_hours_are_drawn_and_said_in_words(jobs, conn, visit):
    first, second = add(conn, "a", "b")
    finish(conn, first)
    fail(conn, second)
    card = card_of(visit().get("/"), "papers")
    assert "Items within the last 24 hours: 1 done, 1 failed; most in the half hour from " in card
    assert '<path class="done" d="M' in card
    assert '<path class="failed" d="M' in card


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("papers", "looks for items again <time"),
        ("calm", "looks for items only when asked"),
        ("resting", "does not look for items"),
    ],
)
def test_the_next_discovery_is_said_in_words(jobs, visit, job, words):
    assert words in card_of(visit().get("/"), job)


def test_a_look_that_failed_says_when_it_is_tried_again(jobs, conn, visit):
    run = begin_discovery(conn, "papers")
    fail_discovery(conn, run, "no <route> to host", now_ms() + 60_000)
    card = card_of(visit().get("/"), "papers")
    assert "tries again to look for items <time" in card
    assert "no &lt;route&gt; to host" in card


def test_a_look_that_met_a_paused_host_waits_for_it_and_did_not_fail(jobs, conn, visit):
    wait_for_host(conn, begin_discovery(conn, "papers"), "example.org", "it is paused", now_ms() + 60_000)
    assert "waits for the paused host example.org; looks again <time" in card_of(visit().get("/"), "papers")
    assert "<td>waiting</td>" in visit().get("/sources?job=papers").text


def test_numbers_carry_the_names_by_which_they_move(jobs, conn, visit):
    (item_id,) = add(conn, "a")
    finish(conn, item_id)
    card = card_of(visit().get("/"), "papers")
    assert 'data-live="papers.pending"' in card
    assert 'data-live-today="papers.done" data-before="1" data-today="1"' in card


def test_a_title_is_text_and_never_markup(jobs, visit):
    assert "Papers &lt;to&gt; read" in card_of(visit().get("/"), "papers")


def test_a_refused_jobs_file_is_told_while_the_last_good_one_stays(settings, jobs, visit, monkeypatch):
    browser = visit()
    assert "refused" not in browser.get("/").text
    monkeypatch.setattr("pipeline.jobs_file.LOOK_SECONDS", 0.0)
    settings.jobs.write_text(THREE_JOBS.replace("usd_per_day: 5", "usd_per_day: -5"))
    page = browser.get("/")
    assert "jobs.yaml is refused" in page.text
    assert 'data-job="papers"' in page.text


# -- everything -------------------------------------------------------------------------------------------


def test_pausing_everything_asks_first_with_the_number_that_it_touches(jobs, conn, visit):
    add(conn, "a", "b")
    add(conn, "c", job="calm")
    page = visit().get("/pause")
    assert "<strong>3</strong> unfinished items" in page.text
    assert tracker.pauses.list_pauses(conn) == []


def test_everything_is_paused_and_let_go_on_with_who_did_it(jobs, conn, log_in):
    browser = log_in("operator")
    answer = browser.post("/pause", data={"reason": "disk <full>", "until": "2h"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?did=pause")
    page = browser.get("/?did=pause")
    assert "It is paused" in page.text
    assert "Everything is paused by the operator" in page.text
    assert "disk &lt;full&gt;" in page.text
    assert browser.post("/unpause").headers["location"] == "/?did=unpause"
    assert tracker.pauses.list_pauses(conn) == []
    events = [(event["kind"], event["by"]) for event in tracker.get_events(conn, limit=2)]
    assert events == [("unpause", "the operator"), ("pause", "the operator")]


@pytest.mark.parametrize(
    "data", [{"reason": "  "}, {"reason": "x", "until": "yesterday"}, {"reason": "x", "until": "-1h"}]
)
def test_a_pause_without_a_reason_or_with_no_time_to_come_is_asked_for_again(jobs, conn, visit, data):
    page = visit().post("/pause", data=data)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert tracker.pauses.list_pauses(conn) == []


def test_a_viewer_is_not_offered_what_a_viewer_may_not_do(jobs, log_in):
    assert 'href="/pause"' not in log_in("viewer").get("/").text
    assert 'href="/pause"' in log_in("operator").get("/").text


def test_looking_changes_nothing(jobs, conn, visit):
    fail(conn, *add(conn, "a"))
    before = conn.execute("PRAGMA data_version").fetchone()[0]
    for path in ("/", "/pause", "/jobs/papers", "/jobs/papers/pause", "/jobs/papers/retry", "/jobs/papers/apply",
                 "/jobs/papers/approve", "/jobs/papers/series", "/sources", "/sources?job=papers"):  # fmt: skip
        assert visit().get(path).status_code == 200, path
    assert conn.execute("PRAGMA data_version").fetchone()[0] == before
