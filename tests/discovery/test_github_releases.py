from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.base import Recalled
from discovery.github import read_repository
from discovery.github_releases import GithubReleases
from pipeline.errors import SourceUnavailableError
from pipeline.variables import fill_from_environment, resolve_variables

WORKS = "/repos/sample/works/releases"
TOKEN = "a-very-secret-token"  # noqa: S105 - it opens nothing


@pytest.fixture
def github(access, sources_of):
    sources = sources_of("github_releases")

    def start(*repositories, access=access, **params):
        given = {"repositories": repositories or ["sample/works"], "base_url": sources.url(), **params}
        return GithubReleases(given, access)

    return start


@pytest.fixture
def serve(sources_of):
    """Serve the pages of a repository's releases from recordings."""

    def start(*recordings, size, path=WORKS):
        for number, recording in enumerate(recordings, 1):
            query = {"per_page": str(size), "page": str(number)}
            sources_of("github_releases").serve(path, recording, query_string=query)

    return start


def test_a_release_comes_with_what_github_says(github, serve, discover):
    serve("good", size=2)
    first, second = discover(github(limit=2))
    assert first.key == "sample/works/releases/202"
    assert first.data == {
        "url": "https://github.com/sample/works/releases/tag/v2.0",
        "repository": "sample/works",
        "kind": "release",
        "tag": "v2.0",
        "title": "Works v2.0",
        "text": "## Changed\r\n\r\n* Faster.",
        "author": "ann",
        "prerelease": False,
        "draft": False,
        "published_at": "2026-11-20T10:15:00+00:00",
        "commit": "main",
        "assets": [
            {
                "name": "works-2.0.tar.gz",
                "url": "https://github.com/sample/works/releases/download/v2.0/works-2.0.tar.gz",
                "size": 48211,
                "type": "application/gzip",
            }
        ],
    }
    assert (second.data["title"], second.data["prerelease"]) == ("v2.0rc1", True)
    assert first.version != second.version


def test_pages_are_followed_as_far_as_the_limit(github, serve, discover, httpserver):
    serve("good", "good-2", size=100)
    assert [item.data["tag"] for item in discover(github(limit=300))] == ["v2.0", "v2.0rc1", "v1.0"]
    assert len(httpserver.log) == 2
    assert len(discover(github(limit=100))) == 2


def test_pages_that_repeat_come_to_an_end(github, sources_of, discover, httpserver):
    sources_of("github_releases").serve(WORKS, "good")
    assert len(discover(github(limit=1000))) == 2
    assert len(httpserver.log) == 2


def test_prereleases_and_drafts_come_only_when_wanted(github, httpserver, discover):
    kinds = [{"id": 1}, {"id": 2, "prerelease": True}, {"id": 3, "draft": True}]
    httpserver.expect_request(WORKS).respond_with_json(kinds)
    numbers = lambda **params: [item.key[-1] for item in discover(github(**params))]  # noqa: E731 - thrice below
    assert numbers() == ["1", "2"]
    assert numbers(prereleases=False) == ["1"]
    assert numbers(drafts=True) == ["1", "2", "3"]


def test_the_tags_of_a_repository_without_releases_come_when_wanted(github, sources_of, discover):
    sources = sources_of("github_releases")
    sources.serve("/repos/sample/bare/releases", "empty")
    sources.serve("/repos/sample/bare/tags", "tags")
    assert discover(github("sample/bare")) == []
    (item,) = discover(github("Sample/Bare".lower(), tags=True))
    assert (item.key, item.data["kind"]) == ("sample/bare/tags/v0.1", "tag")
    assert item.version == item.data["commit"] == "c5b97d5ae6c19d5c5df71a34c7fbeeda2479ccbc"


def test_a_repository_without_news_is_not_read_again(github, httpserver, discover, access):
    httpserver.expect_request(WORKS, headers={"If-None-Match": '"1"'}).respond_with_data("", 304)
    strategy = github(access=replace(access, recall=lambda _: Recalled(etag='"1"')))
    assert discover(strategy) == []
    assert [look.unchanged for look in strategy.looks.values()] == [True]


def test_new_tags_are_found_although_the_releases_are_as_they_were(github, sources_of, discover, access):
    sources = sources_of("github_releases")
    unchanged = {"If-None-Match": '"1"'}
    sources.httpserver.expect_request("/repos/sample/bare/releases", headers=unchanged).respond_with_data(
        "", 304
    )
    sources.serve("/repos/sample/bare/releases", "empty")
    sources.serve("/repos/sample/bare/tags", "tags")
    known = replace(access, recall=lambda _: Recalled(etag='"1"'))
    assert len(discover(github("sample/bare", tags=True, access=known))) == 1


# -- the token --------------------------------------------------------------------------------------------


def test_the_token_is_sent_to_the_api_alone(github, httpserver, discover):
    elsewhere = '<http://localhost:1/steal?page=2>; rel="next"'
    rows = iter([[{"id": 1}], [{"id": 2}]])

    def handle(request):
        return Response(
            json.dumps(next(rows)), headers={"Link": elsewhere if request.args["page"] == "1" else ""}
        )

    httpserver.expect_request(WORKS).respond_with_handler(handle)
    assert len(discover(github(token=TOKEN, limit=200))) == 2
    assert {request.headers["Authorization"] for request, _ in httpserver.log} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("params", [{}, {"token": ""}, {"token": None}])
def test_without_a_token_none_is_sent(github, serve, discover, httpserver, params):
    serve("good", size=30)
    discover(github(**params))
    assert "Authorization" not in httpserver.log[0][0].headers


def test_the_token_may_be_missing_from_the_environment():
    params = fill_from_environment(GithubReleases, {"repositories": ["a/b"]})
    assert not GithubReleases(resolve_variables(params, {})).params.token.get_secret_value()
    assert (
        GithubReleases(resolve_variables(params, {"GITHUB_TOKEN": "t"})).params.token.get_secret_value()
        == "t"
    )


# -- what GitHub refuses ----------------------------------------------------------------------------------


def test_spent_requests_mean_later_by_as_long_as_github_says(github, sources_of, httpserver, discover):
    spent = sources_of("github_releases").recording("spent")
    headers = spent.headers | {"X-RateLimit-Reset": str(int(time.time()) + 600)}
    httpserver.expect_request(WORKS).respond_with_data(spent.body, 403, headers)
    with pytest.raises(SourceUnavailableError, match="API rate limit exceeded") as caught:
        discover(github())
    assert 400 < caught.value.retry_after_seconds <= 600


@pytest.mark.parametrize("reset", ["", "soon", "-1", "9" * 40])
def test_a_reset_that_is_no_instant_is_no_wait(github, httpserver, discover, reset):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    httpserver.expect_request(WORKS).respond_with_data("", 429, headers)
    with pytest.raises(SourceUnavailableError) as caught:
        discover(github())
    assert caught.value.retry_after_seconds is None


def test_once_requests_are_spent_no_more_are_made(github, sources_of, discover, httpserver):
    sources_of("github_releases").serve_everywhere("spent")
    with pytest.raises(SourceUnavailableError, match="and 19 more"):
        discover(github(*(f"sample/works{number}" for number in range(20))))
    assert len(httpserver.log) <= 4


def test_a_new_discovery_asks_again(github, sources_of, discover):
    sources_of("github_releases").serve_everywhere("spent")
    strategy = github()
    with pytest.raises(SourceUnavailableError):
        discover(strategy)
    sources_of("github_releases").serve_everywhere("good")
    assert discover(strategy)


@pytest.mark.parametrize(("recording", "word"), [("bad-token", "GITHUB_TOKEN"), ("broken", "JSON")])
def test_a_repository_that_fails_does_not_stop_the_others(
    github, sources_of, serve, discover, recording, word
):
    sources_of("github_releases").serve("/repos/sample/other/releases", recording)
    serve("good", size=30)
    strategy = github("sample/other", "sample/works", token=TOKEN)
    assert len(discover(strategy)) == 2
    assert word in strategy.problems[0]
    assert TOKEN not in strategy.problems[0]


def test_a_refusal_for_another_reason_is_rejected(github, httpserver, serve, discover):
    refusal = {"message": "Repository access blocked"}
    httpserver.expect_request("/repos/sample/other/releases").respond_with_json(refusal, 403)
    serve("good", size=30)
    strategy = github("sample/other", "sample/works")
    assert len(discover(strategy)) == 2  # unlike spent requests, it does not stop the asking


@pytest.mark.parametrize("row", [{}, {"id": "1"}, {"id": None, "assets": 7}, {"id": True}])
def test_a_release_without_a_number_is_counted(github, httpserver, discover, row):
    httpserver.expect_request(WORKS).respond_with_json(
        [row, 7, None, {"id": 1, "author": [], "assets": [1, {}]}]
    )
    strategy = github()
    assert len(discover(strategy)) == 1
    assert strategy.refused == {"no key": 1}


@pytest.mark.parametrize(
    "text", ["a/b", "https://github.com/a/b/releases", "http://www.github.com/a/b.git", " a/b "]
)
def test_a_repository_is_read_from_each_of_its_spellings(text):
    assert read_repository(text) == "a/b"


@pytest.mark.parametrize("text", ["", "a", "a/..", "https://example.org/a/b", "a/b c", "a/b%2f"])
def test_what_is_no_repository_is_refused_at_check(text):
    with pytest.raises(ValidationError, match="no repository of GitHub"):
        GithubReleases({"repositories": [text]})
