from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from discovery.base import Recalled, digest_wanted
from discovery.memory import mark_validator
from discovery.sec_filings import SecFilings
from pipeline.errors import SourceRejectedError, SourceUnavailableError

APPLE = "/submissions/CIK0000320193.json"
SEARCH = "/LATEST/search-index"


@pytest.fixture
def sec(access, sources_of):
    sources = sources_of("sec_filings")
    sources.serve("/files/company_tickers.json", "tickers")
    sources.serve(APPLE, "good")
    sources.serve("/submissions/CIK0000320193-submissions-001.json", "older")

    def start(access=access, **params):
        places = {name: sources.url() for name in ("www_url", "data_url", "search_url")}
        return SecFilings({**places, **params}, access)

    return start


def numbers(items):
    return [item.key for item in items]


def forms(items):
    return [item.data["form"] for item in items]


def paths(httpserver):
    return [request.path for request, _ in httpserver.log]


# -- by company -------------------------------------------------------------------------------------------


def test_a_filing_comes_with_what_its_row_says(sec, discover, httpserver):
    first, *_ = discover(sec(companies=["AAPL"]))
    server = httpserver.url_for("").rstrip("/")
    folder = f"{server}/Archives/edgar/data/320193/000032019326000101"
    assert first.key == "0000320193-26-000101"
    assert first.data == {
        "url": f"{folder}/aapl-20261102.htm",
        "title": "8-K Apple Inc. 2026-11-02",
        "published_at": "2026-11-02T00:00:00+00:00",
        "accession_number": "0000320193-26-000101",
        "form": "8-K",
        "company": "Apple Inc.",
        "cik": "0000320193",
        "tickers": ["AAPL"],
        "filed_on": "2026-11-02",
        "period_ends_on": "2026-11-02",
        "accepted": "2026-11-02T16:30:41.000Z",
        "description": "8-K",
        "items": ["2.02", "9.01"],
        "index_url": f"{folder}/0000320193-26-000101-index.htm",
        "documents": [f"{folder}/aapl-20261102.htm"],
    }


@pytest.mark.parametrize("company", ["320193", 320193, "0000320193", "CIK0000320193"])
def test_a_company_that_is_given_by_its_number_needs_no_list_of_tickers(sec, discover, httpserver, company):
    assert len(discover(sec(companies=[company]))) == 4
    assert paths(httpserver) == [APPLE]


def test_a_ticker_is_found_in_each_of_its_spellings(sec, discover, httpserver, sources_of):
    sources_of("sec_filings").serve("/submissions/CIK0001067983.json", "empty")
    strategy = sec(companies=["brk.b", "BRK-B"])
    assert discover(strategy) == []
    assert strategy.problems == []
    assert paths(httpserver) == ["/files/company_tickers.json", "/submissions/CIK0001067983.json"]


def test_an_unknown_ticker_is_told_and_does_not_stop_the_others(sec, discover):
    strategy = sec(companies=["AAPL", "NOPE"])
    assert len(discover(strategy)) == 4
    assert strategy.problems == ["the SEC knows no ticker NOPE"]


def test_when_no_ticker_is_known_it_is_rejected(sec, discover):
    with pytest.raises(SourceRejectedError, match="NOPE"):
        discover(sec(companies=["NOPE"]))


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"forms": ["10-K"]}, ["10-K", "10-K/A"]),
        ({"forms": ["10-K"], "amendments": False}, ["10-K"]),
        ({"forms": ["10-K/A"], "amendments": False}, ["10-K/A"]),
        ({"forms": ["4", "8-K"]}, ["8-K", "4"]),
        ({"start": "2026-06-17", "end": "2026-10-30"}, ["10-K", "4"]),
        ({"limit": 2}, ["8-K", "10-K"]),
    ],
)
def test_only_the_filings_that_were_asked_for_come(sec, discover, params, found):
    assert forms(discover(sec(companies=["320193"], **params))) == found


def test_what_was_filed_before_since_is_not_wanted(sec, discover, access):
    since = replace(access, since=datetime(2026, 10, 30, 23, tzinfo=UTC))
    assert forms(discover(sec(companies=["320193"], access=since))) == ["8-K", "10-K"]


def test_older_files_are_read_when_they_are_wanted_and_may_hold_something(sec, discover, httpserver):
    assert forms(discover(sec(companies=["320193"], older=True)))[-1] == "10-Q"
    httpserver.clear_log()
    discover(sec(companies=["320193"], older=True, start="2015-01-01"))
    discover(sec(companies=["320193"], older=True, limit=4))
    assert paths(httpserver) == [APPLE, APPLE]


def test_a_name_of_an_older_file_that_leads_elsewhere_is_not_followed(sec, discover, httpserver):
    answer = {"filings": {"recent": {}, "files": [{"name": "../../secret.json"}, {"name": 7}, None]}}
    httpserver.expect_request("/submissions/CIK0000000002.json").respond_with_json(answer)
    assert discover(sec(companies=["2"], older=True)) == []
    assert len(httpserver.log) == 1


def test_a_company_without_news_is_not_read_again(sec, discover, access, httpserver):
    known = mark_validator('"1"', digest_wanted(7))
    httpserver.clear()
    httpserver.expect_request(APPLE, headers={"If-None-Match": '"1"'}).respond_with_data("", 304)
    recalling = replace(access, recall=lambda _: Recalled(etag=known))
    assert discover(sec(companies=["320193"], limit=7, access=recalling)) == []


def test_other_filings_of_a_company_are_another_source(sec, discover):
    one, other = sec(companies=["320193"], forms=["8-K"]), sec(companies=["320193"], forms=["10-K"])
    discover(one), discover(other)
    assert set(one.looks) != set(other.looks)


@pytest.mark.parametrize(
    "recent",
    [
        {"accessionNumber": ["../../etc", 7, None, ""]},
        {"accessionNumber": "0000320193-26-000101"},
        {"accessionNumber": {"0": "x"}, "form": None},
    ],
)
def test_rows_without_a_number_become_no_items(sec, discover, httpserver, recent):
    answer = {"name": 7, "tickers": "A", "filings": {"recent": recent, "files": 3}}
    httpserver.expect_request("/submissions/CIK0000000002.json").respond_with_json(answer)
    assert discover(sec(companies=["2"])) == []


def test_short_columns_read_as_empty(sec, discover, httpserver):
    recent = {"accessionNumber": ["0000320193-26-000101"], "form": []}
    httpserver.expect_request("/submissions/CIK0000000002.json").respond_with_json(
        {"filings": {"recent": recent}}
    )
    (item,) = discover(sec(companies=["2"]))
    assert (item.data["form"], item.data["published_at"], item.data["url"]) == (
        "",
        None,
        item.data["index_url"],
    )


# -- by the full text -------------------------------------------------------------------------------------


def test_a_search_gives_each_filing_once_with_all_the_documents_it_found(
    sec, discover, sources_of, httpserver
):
    sources = sources_of("sec_filings")
    sources.serve(SEARCH, "search", query_string={"q": '"a phrase"'})
    sources.serve(SEARCH, "search-2", query_string={"q": '"a phrase"', "from": "2"})
    first, second = discover(sec(search='"a phrase"'))
    assert [url.rpartition("/")[2] for url in first.data["documents"]] == ["aapl-20261102.htm", "ex991.htm"]
    assert first.data["url"] == first.data["documents"][0]
    assert (second.data["company"], second.data["tickers"]) == ("Alphabet Inc.", ["GOOGL", "GOOG"])
    assert second.data["cik"] == "0001652044"
    assert len(httpserver.log) == 2


def test_a_search_is_narrowed_by_company_form_and_day(sec, discover, sources_of, httpserver):
    sources_of("sec_filings").serve(SEARCH, "search")
    discover(
        sec(search="phrase", companies=["AAPL"], forms=["8-K", "10-K"], start="2026-01-01", end="2026-06-30")
    )
    assert dict(httpserver.log[1][0].args) == {
        "q": "phrase",
        "ciks": "0000320193",
        "forms": "8-K,10-K",
        "dateRange": "custom",
        "startdt": "2026-01-01",
        "enddt": "2026-06-30",
    }


def test_a_search_whose_pages_repeat_comes_to_an_end(sec, discover, sources_of, httpserver):
    sources_of("sec_filings").serve(SEARCH, "search")
    assert len(discover(sec(search="phrase"))) == 1
    assert len(httpserver.log) == 2


def test_an_error_in_a_good_answer_is_rejected(sec, discover, sources_of):
    sources_of("sec_filings").serve(SEARCH, "search-error")
    with pytest.raises(SourceRejectedError, match="Result window is too large"):
        discover(sec(search="phrase"))


@pytest.mark.parametrize(
    "hit", [{}, {"_id": 7}, {"_source": []}, {"_id": "x:y", "_source": {"adsh": "x", "ciks": 1}}]
)
def test_a_hit_that_names_no_filing_is_counted(sec, discover, httpserver, hit):
    httpserver.expect_request(SEARCH).respond_with_json({"hits": {"hits": [hit], "total": "many"}})
    strategy = sec(search="phrase")
    assert discover(strategy) == []
    assert strategy.refused["no key"] == 1


# -- what the SEC refuses ---------------------------------------------------------------------------------


def test_too_many_requests_mean_later(sec, discover, sources_of):
    sources_of("sec_filings").serve_everywhere("throttled")
    with pytest.raises(SourceUnavailableError, match=r"Request Rate Threshold Exceeded.*CELERIAC_CONTACT"):
        discover(sec(companies=["AAPL"]))


def test_a_missing_contact_is_told_as_such(sec, discover, sources_of):
    sources_of("sec_filings").serve_everywhere("undeclared")
    with pytest.raises(SourceRejectedError, match="CELERIAC_CONTACT"):
        discover(sec(companies=["AAPL"]))


def test_another_refusal_is_rejected(sec, discover, httpserver):
    httpserver.clear()
    httpserver.expect_request(SEARCH).respond_with_data("<Error><Code>AccessDenied</Code></Error>", 403)
    with pytest.raises(SourceRejectedError, match="403"):
        discover(sec(search="phrase"))


@pytest.mark.parametrize(
    "wrong",
    [{}, {"companies": ["a b"]}, {"companies": ["12345678901"]}, {"search": "x"}],
)
def test_what_cannot_be_asked_is_refused_at_check(wrong):
    with pytest.raises(ValidationError):
        SecFilings(wrong)


def test_days_in_the_wrong_order_are_refused_at_check():
    with pytest.raises(ValidationError, match="start is after end"):
        SecFilings({"companies": ["1"], "start": "2026-02-01", "end": "2026-01-01"})
