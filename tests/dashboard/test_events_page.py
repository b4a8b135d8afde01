from __future__ import annotations

import re

import pytest
from filled import fill

import tracker
from dashboard.events_page import read_query
from tracker.event_pages import LOOK_AT, WantedEvents


def rows_of(page):
    """List the events that a page shows, as (kind, by)."""
    rows = re.findall(r'<tr data-row="[0-9]+">\s*(<td>.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [(row[3], row[4]) for row in cells if len(row) == 6]


@pytest.fixture
def acts(conn):
    for number in range(120):
        tracker.log_event(conn, "papers", "wake", by=f"person {number}")


def test_the_newest_come_first_with_who_did_it(visit, acts):
    shown = rows_of(visit().get("/events").text)
    assert shown[0] == ("wake", "person 119")
    assert len(shown) == 50


def test_older_ones_are_reached_page_by_page_by_a_link(visit, acts):
    seen, url = [], "/events"
    while url:
        page = visit().get(url).text
        seen += [by for _, by in rows_of(page)]
        found = re.search(r'href="(/events\?before=\d+)">Older events', page)
        url = found[1] if found else None
    assert seen == [f"person {number}" for number in reversed(range(120))]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("job=talks", {"discover"}),
        ("kind=pause", {"pause"}),
        ("by=ann", {"pause"}),
        ("acts=true", {"apply_plan", "pause", "discover"}),
        ("job=papers&acts=true", {"apply_plan", "pause"}),
        ("job=papers&kind=fail", {"fail"}),
        ("kind=nothing", set()),
    ],
)
def test_it_is_narrowed_by_job_kind_and_person(visit, conn, query, kinds):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    tracker.upsert_items(conn, "talks", [{"key": "t"}])
    tracker.log_event(conn, "talks", "discover", by="beat")
    assert {kind for kind, _ in rows_of(visit().get(f"/events?{query}").text)} == kinds


def test_an_unknown_job_is_said(visit):
    assert visit().get("/events?job=nope").status_code == 404


def test_a_page_of_the_newest_is_kept_up_to_date_as_it_is_narrowed(visit, acts):
    assert 'data-watch="page=events&amp;subject="' in visit().get("/events").text
    narrowed = visit().get("/events?kind=wake&by=ann+b").text
    assert 'data-watch="page=events&amp;subject=kind%3Dwake%26by%3Dann%2Bb"' in narrowed
    assert read_query("kind=wake&by=ann+b&acts=true") == WantedEvents(None, "wake", "ann b", acts=True)


def test_a_page_that_is_held_still_watches_nothing(visit, acts):
    assert "data-watch" not in visit().get("/events?live=false").text
    assert "data-watch" not in visit().get("/events?before=50").text


def test_an_action_leads_to_its_page(visit, conn):
    fill(conn)
    visit().post("/api/jobs/papers/retry", json={"all": True})
    assert re.search(r'href="/actions/\d+"', visit().get("/events?acts=true").text)


def test_details_are_texts_and_cut(visit, conn):
    hostile = "<script>alert(1)</script>"
    tracker.log_event(conn, "papers", hostile, by=hostile, detail={hostile: hostile, "long": "x" * 1_000_000})
    page = visit().get("/events").text
    assert hostile not in page
    assert len(page) < 50_000


def test_one_page_looks_at_so_many_and_says_so(visit, conn):
    rows = [(1, "papers", 7, "claim")] * (LOOK_AT + 10)
    tracker.log_event(conn, "papers", "rare", item_id=7)
    conn.execute("BEGIN")
    conn.executemany("INSERT INTO events (at, job_id, item_id, kind) VALUES (?, ?, ?, ?)", rows)
    conn.execute("COMMIT")
    page = visit().get("/events?kind=rare").text
    assert rows_of(page) == []
    assert f"Look further back: {LOOK_AT:,} were looked at" in page
    further = re.search(r'href="(/events\?kind=rare[^"]+before=\d+)"', page)[1].replace("&amp;", "&")
    assert rows_of(visit().get(further).text) == [("rare", "")]
