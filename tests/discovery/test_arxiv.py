from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.arxiv import Arxiv
from pipeline.errors import SourceRejectedError, SourceUnavailableError

NAMES = 'xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"'


@pytest.fixture
def arxiv(access, httpserver):
    def start(access=access, **params):
        given = {"categories": ["cs.DB"], "base_url": httpserver.url_for("/")}
        return Arxiv({**given, **params}, access)

    return start


@pytest.fixture
def serve(httpserver):
    """Answer each request from a function of its start and count: the total, and the ids of the papers."""

    def start(respond):
        def handle(request):
            total, ids = respond(int(request.args["start"]), int(request.args["max_results"]))
            entries = "".join(
                f"<entry><id>http://arxiv.org/abs/{each}</id><published>2026-11-{20 - index // 100:02}T00:00:00Z"
                "</published></entry>"
                for index, each in enumerate(ids)
            )
            total_results = f"<opensearch:totalResults>{total}</opensearch:totalResults>"
            return Response(f"<feed {NAMES}>{total_results}{entries}</feed>")

        httpserver.expect_request("/api/query").respond_with_handler(handle)

    return start


def papers(start, count, total=250):
    return total, [f"2611.{number:05}v1" for number in range(start, min(start + count, total))]


def starts(httpserver):
    return [int(request.args["start"]) for request, _ in httpserver.log]


def test_a_paper_comes_with_what_its_entry_says(arxiv, discover, sources_of):
    sources_of("arxiv").serve("/api/query", "good")
    first, second = discover(arxiv())
    assert (first.key, first.version) == ("2611.01234", "v2")
    assert first.data == {
        "url": "https://arxiv.org/abs/2611.01234",
        "pdf_url": "https://arxiv.org/pdf/2611.01234v2",
        "title": "On Queues and Clocks",
        "summary": "We show that waiting takes time.",
        "authors": ["Ann Author", "Ben Writer"],
        "categories": ["cs.DB", "cs.DC"],
        "primary_category": "cs.DB",
        "published_at": "2026-11-20T17:59:59+00:00",
        "modified_at": "2026-11-24T10:00:00+00:00",
        "paper_version": 2,
        "doi": "10.1000/sample.1",
        "journal": "J. Samples 1 (2026) 1-12",
        "comment": "12 pages",
    }
    assert (second.key, second.version) == ("hep-th/9901001", "v1")


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"categories": ["cs.DB", "cs.DC"]}, "(cat:cs.DB OR cat:cs.DC)"),
        ({"categories": [], "query": "ti:queue"}, "(ti:queue)"),
        ({"query": "ti:a OR ti:b"}, "(cat:cs.DB) AND (ti:a OR ti:b)"),
    ],
)
def test_subjects_and_query_are_asked_for_together(arxiv, discover, serve, httpserver, params, query):
    serve(lambda *_: (0, []))
    discover(arxiv(**params, sort_by="lastUpdatedDate"))
    assert dict(httpserver.log[0][0].args) == {
        "search_query": query,
        "sortBy": "lastUpdatedDate",
        "sortOrder": "descending",
        "start": "0",
        "max_results": "100",
    }


def test_pages_are_read_as_far_as_the_limit(arxiv, discover, serve, httpserver):
    serve(papers)
    assert len(discover(arxiv(limit=150))) == 150
    assert starts(httpserver) == [0, 100]
    assert len(discover(arxiv(limit=2000))) == 250


def test_what_is_older_than_since_is_not_asked_for(arxiv, discover, serve, httpserver, access):
    serve(papers)
    discover(arxiv(limit=2000, access=replace(access, since=datetime(2026, 11, 21, tzinfo=UTC))))
    assert starts(httpserver) == [0]


def test_an_empty_page_is_asked_for_once_more(arxiv, discover, serve, httpserver):
    waves = iter([False, True, False, False])
    serve(lambda start, count: (250, []) if next(waves) else papers(start, count))
    strategy = arxiv(limit=2000)
    assert len(discover(strategy)) == 250
    assert (starts(httpserver), strategy.problems) == ([0, 100, 100, 200], [])


@pytest.mark.parametrize("page", [lambda: (250, []), lambda: papers(0, 100)])
def test_pages_that_stay_empty_or_repeat_end_the_reading_with_a_problem(
    arxiv, discover, serve, httpserver, page
):
    serve(lambda start, count: page() if start else papers(start, count))
    strategy = arxiv(limit=2000)
    assert len(discover(strategy)) == 100
    assert "nothing new at 100 of 250" in strategy.problems[0]
    assert len(httpserver.log) <= 3


def test_a_first_page_without_what_it_says_it_has_means_later(arxiv, discover, serve):
    serve(lambda *_: (250, []))
    with pytest.raises(SourceUnavailableError, match="none of the papers"):
        discover(arxiv())


@pytest.mark.parametrize("recording", ["broken", "refused"])
def test_an_error_that_looks_like_a_paper_is_none(arxiv, discover, sources_of, recording):
    sources_of("arxiv").serve("/api/query", recording)
    with pytest.raises(SourceRejectedError, match="max_results must be an integer"):
        discover(arxiv())


def test_a_rate_exceeded_in_a_good_answer_means_later(arxiv, discover, sources_of):
    sources_of("arxiv").serve("/api/query", "rate-exceeded")
    with pytest.raises(SourceUnavailableError, match="Rate exceeded"):
        discover(arxiv())


def test_a_paper_without_an_id_is_counted(arxiv, discover, serve):
    serve(lambda *_: (2, ["", "2611.00001v3"]))
    strategy = arxiv()
    assert [item.key for item in discover(strategy)] == ["2611.00001"]
    assert strategy.refused == {"no key": 1}


def test_an_answer_that_breaks_off_gives_what_came_before(arxiv, discover, httpserver, sources_of):
    whole = sources_of("arxiv").recording("good").body
    httpserver.expect_request("/api/query").respond_with_data(whole[: whole.index(b"hep-th")])
    strategy = arxiv()
    assert [item.key for item in discover(strategy)] == ["2611.01234"]
    assert "broke" in strategy.problems[0]


@pytest.mark.parametrize(
    "wrong", [{}, {"categories": ["cs.DB OR all"]}, {"query": ""}, {"query": "a", "limit": 3000}]
)
def test_what_cannot_be_asked_is_refused_at_check(wrong):
    with pytest.raises(ValidationError):
        Arxiv(wrong)
