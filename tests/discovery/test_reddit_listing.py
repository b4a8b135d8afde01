from __future__ import annotations

import pytest
from pydantic import ValidationError

from discovery.reddit_listing import RedditListing
from pipeline.errors import SourceRejectedError, SourceUnavailableError

TOKEN = "a-secret-token"  # noqa: S105  no token of anybody


@pytest.fixture
def listing(sources_of, access):
    sources = sources_of("reddit_listing")
    sources.serve("/r/programming/new.json", "good-2", query_string="raw_json=1&limit=100&after=t3_8xwlh")
    sources.serve("/r/programming/new.json", "good", query_string="raw_json=1&limit=100")
    about = {"base_url": sources.url(), "oauth_url": sources.url("/oauth")}
    return lambda **params: RedditListing(about | (params or {"subreddit": "programming"}), access)


@pytest.fixture
def serve_everywhere(sources_of):
    return sources_of("reddit_listing").serve_everywhere


def test_a_post_comes_with_what_reddit_says_of_it(discover, listing):
    link, text = discover(listing(subreddit="programming", limit=100))
    assert (link.key, link.version) == ("t3_8xwlg", "unedited")
    assert link.data == {
        "url": "https://example.org/8xwlg?a=1&b=2",
        "title": "Post 8xwlg",
        "by": "someone",
        "subreddit": "programming",
        "points": 1659,
        "comments": 42,
        "comments_url": "https://www.reddit.com/r/programming/comments/8xwlg/post/",
        "text": "",
        "flair": "",
        "adult": False,
        "published_at": "2026-05-28T20:26:40+00:00",
    }
    assert (text.data["url"], text.data["text"], text.data["flair"]) == (None, "Why *so*?", "Question")


def test_a_listing_is_read_a_hundred_posts_at_a_time(discover, listing, httpserver):
    assert [item.key for item in discover(listing(subreddit="programming", limit=200))] == [
        "t3_8xwlg",
        "t3_8xwlh",
        "t3_8xwli",
    ]
    assert [request.args.get("after") for request, _ in httpserver.log] == [None, "t3_8xwlh"]


def test_no_more_than_the_limit_is_found(discover, listing, serve_everywhere):
    serve_everywhere("good")
    assert len(discover(listing(subreddit="programming", limit=1))) == 1


def test_a_token_is_sent_to_the_oauth_address_and_shown_nowhere(
    discover, listing, serve_everywhere, httpserver
):
    serve_everywhere("good-2")
    strategy = listing(subreddit="programming", token=TOKEN)
    assert discover(strategy)
    request = httpserver.log[0][0]
    assert (request.path, request.headers["Authorization"]) == (
        "/oauth/r/programming/new.json",
        f"Bearer {TOKEN}",
    )
    assert TOKEN not in f"{strategy.problems} {[*strategy.looks]} {strategy.params!r}"


@pytest.mark.parametrize(
    ("params", "path", "query"),
    [
        (
            {"user": "spez", "sort": "top", "time": "all"},
            "/user/spez/submitted.json",
            {"sort": "top", "t": "all"},
        ),
        ({"search": "a b"}, "/search.json", {"q": "a b", "restrict_sr": "0", "type": "link"}),
        ({"search": "a", "subreddit": "x+y"}, "/r/x+y/search.json", {"q": "a", "restrict_sr": "1"}),
        ({"subreddit": "x", "sort": "hot", "limit": 7}, "/r/x/hot.json", {"limit": "7", "raw_json": "1"}),
    ],
)
def test_it_asks_for_the_listing_that_is_wanted(
    discover, listing, serve_everywhere, httpserver, params, path, query
):
    serve_everywhere("empty")
    assert discover(listing(**params)) == []
    request = httpserver.log[0][0]
    assert request.path == path
    assert dict(request.args) | query == dict(request.args)


def test_a_limit_on_requests_is_waited_for_to_its_end(discover, listing, httpserver):
    httpserver.clear()
    httpserver.expect_request("/r/x/new.json").respond_with_data(
        "", 429, {"x-ratelimit-reset": "412", "Retry-After": "5"}
    )
    with pytest.raises(SourceUnavailableError) as caught:
        discover(listing(subreddit="x"))
    assert caught.value.retry_after_seconds == 412


def test_a_later_page_that_fails_ends_the_listing_with_what_was_there(discover, listing, httpserver):
    first = [request for request in httpserver.handlers if "after" in str(request.matcher.query_string)]
    for handler in first:
        httpserver.handlers.remove(handler)
    strategy = listing(subreddit="programming", limit=200)
    assert len(discover(strategy)) == 2
    assert "what comes after it is missing" in strategy.problems[0]


def test_a_subreddit_that_is_none_is_told(discover, listing, sources_of, httpserver):
    httpserver.clear()
    httpserver.expect_request("/r/nowhere/new.json").respond_with_data(
        "", 302, {"Location": "/subreddits/search.json?q=nowhere"}
    )
    sources_of("reddit_listing").serve("/subreddits/search.json", "empty")
    with pytest.raises(SourceRejectedError, match="there is no such subreddit"):
        discover(listing(subreddit="nowhere"))


def test_what_reddit_says_of_a_listing_that_it_will_not_give_is_told(discover, listing, httpserver):
    httpserver.clear()
    httpserver.expect_request("/r/x/new.json").respond_with_json({"message": "Forbidden", "error": 403})
    with pytest.raises(SourceRejectedError, match="gave no listing but Forbidden"):
        discover(listing(subreddit="x"))


@pytest.mark.parametrize(
    "params", [{}, {"user": "a", "subreddit": "b"}, {"subreddit": "a/b"}, {"subreddit": "a", "sort": "best"}]
)
def test_parameters_that_name_no_listing_are_told(params):
    with pytest.raises(ValidationError):
        RedditListing(params)
