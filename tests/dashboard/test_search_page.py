from __future__ import annotations

import pytest
from hostile import SCRIPT, TEXTS, read_page

import tracker
from runner.runtime import Runtime
from runner.search_keeping import keep_search
from tracker import search_index

OFF = """
version: 1
jobs:
  papers:
    search: false
    discovery: {strategy: manual, items: [{key: a}]}
    stages: [{name: read, handler: read_file}]
"""


@pytest.fixture
def keep_up(settings):
    runtime = Runtime(settings, publisher=None)
    yield lambda: keep_search(runtime)
    runtime.close()


@pytest.fixture
def papers(conn, keep_up):
    tracker.upsert_items(
        conn, "papers", [{"key": f"k{n}", "data": {"text": f"honey {n}"}} for n in range(45)]
    )
    keep_up()


def test_one_box_finds_a_key_a_job_and_what_items_say_in_that_order(visit, conn, papers, keep_up):
    tracker.upsert_items(conn, "rss", [{"key": "papers", "data": {"text": "all about papers"}}])
    tracker.upsert_items(conn, "papers", [{"key": "z", "data": {"text": "about papers"}}])
    keep_up()
    text, links = read_page(visit().get("/search?q=papers"))
    places = [text.index(said) for said in ("Items with this key", "Jobs", "What items say")]
    assert places == sorted(places)
    assert (
        links.index("/items?job=rss&key=papers")
        < links.index("/jobs/papers")
        < links.index("/items?job=papers&key=z")
    )


def test_what_is_found_goes_on_by_a_plain_link(visit, papers):
    url, keys = "/search?q=honey", []
    while url:
        _, links = read_page(visit().get(url))
        keys += [one.split("key=")[1] for one in links if one.startswith("/items?")]
        url = next((one for one in links if one.startswith("/search?") and "before" in one), None)
    assert keys == [f"k{n}" for n in range(45)][::-1]


def test_what_fills_a_page_to_its_end_leads_to_no_empty_one(visit, conn, keep_up):
    tracker.upsert_items(conn, "papers", [{"key": f"k{n}", "data": {"text": "honey"}} for n in range(20)])
    keep_up()
    _, links = read_page(visit().get("/search?q=honey"))
    assert len([one for one in links if one.startswith("/items?")]) == 20
    assert not [one for one in links if "before=" in one]


@pytest.mark.parametrize(
    "typed", ["", " ", '"', "* (", "NEAR(a b)", "a AND OR", "\0", "x" * 5000, "-a", *list(TEXTS.values())]
)
def test_whatever_is_typed_is_answered(visit, papers, typed):
    read_page(visit().get("/search", params={"q": typed[:5000]}))


def test_a_job_that_is_not_searched_is_not_found_and_told(visit, settings, papers, keep_up):
    settings.jobs.write_text(OFF)
    runtime = Runtime(settings, publisher=None)
    keep_search(runtime)
    runtime.close()
    text, _ = read_page(visit().get("/search?q=honey"))
    assert "Nothing was found" in text
    assert "Not searched, by jobs.yaml: papers" in text


def test_it_is_told_when_not_all_is_read_in_yet(visit, conn, papers):
    tracker.upsert_items(conn, "papers", [{"key": "new"}])
    text, _ = read_page(visit().get("/search?q=honey"))
    assert "Not all items are read in yet of: papers" in text


def test_hostile_texts_that_are_found_run_nothing(visit, conn, keep_up):
    items = [{"key": text[:3000], "data": {"a": f"{text} honey {text}"}} for text in TEXTS.values()]
    tracker.upsert_items(conn, "papers", items)
    keep_up()
    answer = visit().get("/search?q=honey")
    text, _ = read_page(answer)
    assert SCRIPT in text
    assert len(answer.content) < 100_000


def test_who_reads_in_stops_after_its_time_and_the_next_goes_on(conn, settings):
    tracker.upsert_items(conn, "papers", [{"key": f"k{n}"} for n in range(1000)])
    runtime = Runtime(settings, publisher=None)
    assert keep_search(runtime, seconds=0.0) == 0
    assert keep_search(runtime, seconds=60) == 1000
    assert keep_search(runtime) == 0
    assert not search_index.is_behind(conn, "papers")
    runtime.close()
