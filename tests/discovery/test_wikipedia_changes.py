from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from discovery.wikipedia_changes import WikipediaChanges
from pipeline.errors import SourceRejectedError, SourceUnavailableError

API = "/w/api.php"
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def wiki(sources_of):
    """Serve two pages of changes: the second for whoever goes on where the first says."""
    sources = sources_of("wikipedia_changes")
    sources.httpserver.expect_request(API).respond_with_handler(
        lambda request: sources.recording("good-2" if "rccontinue" in request.args else "good").answer(
            request
        )
    )
    return sources


@pytest.fixture
def changes(access, wiki):
    return lambda **params: WikipediaChanges(
        {"base_url": wiki.url(API), **params}, replace(access, since=SINCE)
    )


def queries(httpserver):
    return [dict(request.args) for request, _ in httpserver.log]


def test_a_change_comes_with_what_the_wiki_says_of_it(discover, changes, wiki):
    edit, new, log = discover(changes())
    assert edit.key == "1900000001"
    assert edit.data == {
        "title": "Celery",
        "url": wiki.url("/w/index.php?diff=1300000002&oldid=1300000001"),
        "kind": "edit",
        "page_id": 6123,
        "revision": 1300000002,
        "previous": 1300000001,
        "by": "Alice",
        "comment": "/* Uses */ typo",
        "minor": True,
        "size": 90,
        "size_change": -10,
        "published_at": "2026-11-01T10:00:00+00:00",
    }
    assert (new.data["kind"], new.data["by"], new.data["comment"]) == ("new", "", "")  # hidden
    assert (log.data["kind"], log.data["url"]) == ("log", wiki.url("/w/index.php?curid=6123"))


def test_the_first_discovery_begins_at_since_and_goes_on_as_the_wiki_says(discover, changes, httpserver):
    discover(changes())
    first, second = queries(httpserver)
    assert first["rcstart"] == second["rcstart"] == "2026-11-01T00:00:00Z"
    assert second["rccontinue"] == "20261101100500|1900000002"
    assert second["continue"] == "-||"


def test_the_next_discovery_goes_on_from_the_last_change(memory, wiki):
    for _ in range(2):
        wiki.httpserver.clear_log()
        memory.discover(WikipediaChanges, {"base_url": wiki.url(API)}, since=SINCE)
    assert queries(wiki.httpserver)[0]["rcstart"] == "2026-11-01T10:06:00Z"


def test_a_discovery_that_was_killed_goes_on_at_the_page_that_it_had_come_to(memory, wiki):
    with memory.killed_after(1):
        memory.discover(WikipediaChanges, {"base_url": wiki.url(API)}, since=SINCE)
    wiki.httpserver.clear_log()
    memory.discover(WikipediaChanges, {"base_url": wiki.url(API)}, since=SINCE)
    assert [query.get("rccontinue") for query in queries(wiki.httpserver)] == ["20261101100500|1900000002"]
    assert len(memory.items) == 3


def test_bots_and_other_namespaces_are_left_out_unless_wanted(discover, changes, httpserver):
    discover(changes())
    discover(changes(bots=True, namespaces=[]))
    without, _, everything, _ = queries(httpserver)
    assert (without["rcshow"], without["rcnamespace"]) == ("!bot", "0")
    assert not {"rcshow", "rcnamespace"} & set(everything)


def test_the_changes_of_a_page_are_its_revisions(discover, changes, wiki):
    wiki.serve_everywhere("page")
    [item] = discover(changes(page="Celery"))
    assert item.key == "1300000002"
    assert (item.data["title"], item.data["kind"], item.data["size"]) == ("Celery", "edit", 90)
    asked = queries(wiki.httpserver)[0]
    assert (asked["prop"], asked["titles"], asked["rvdir"]) == ("revisions", "Celery", "newer")


def test_what_comes_into_a_category_is_known_by_its_page(discover, changes, wiki):
    wiki.serve_everywhere("category")
    [item] = discover(changes(category="Vegetables"))
    assert (item.key, item.data["kind"]) == ("6123", "page")
    assert item.data["url"] == wiki.url("/w/index.php?curid=6123")
    assert queries(wiki.httpserver)[0]["cmtitle"] == "Category:Vegetables"


def test_a_page_that_is_not_there_is_told(discover, changes, wiki):
    wiki.serve_everywhere("no-page")
    with pytest.raises(SourceRejectedError, match="has no page 'Nowhere'"):
        discover(changes(page="Nowhere"))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("maxlag", SourceUnavailableError),
        ("ratelimited", SourceUnavailableError),
        ("internal_api_error_DBQueryError", SourceUnavailableError),
        ("badvalue", SourceRejectedError),
    ],
)
def test_an_error_of_the_wiki_is_told_by_whether_it_will_pass(discover, changes, httpserver, code, error):
    httpserver.clear()
    httpserver.expect_request(API).respond_with_json(
        {"error": {"code": code, "info": "Waiting for a server"}}, headers={"Retry-After": "5"}
    )
    with pytest.raises(error, match=f"{code}: Waiting for a server") as caught:
        discover(changes())
    assert getattr(caught.value, "retry_after_seconds", 5) == 5


def test_one_thing_is_asked_for():
    with pytest.raises(ValidationError, match="page or category, not both"):
        WikipediaChanges({"page": "a", "category": "b"})
