"""The handler `fetch`, against a real server."""

from __future__ import annotations

import hashlib
import re
import socket
import tracemalloc

import pytest
from werkzeug import Response

from handlers.desk import NoDesk
from handlers.fetch import Fetch
from handlers.inputs import find_input
from handlers.running import run_handler
from handlers.source_waits import LONGEST_RETRY_AFTER_SECONDS
from net.client import PoliteClient
from pipeline.errors import ArtifactError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip


@pytest.fixture
def fetch(httpserver, make_context):
    """Serve one answer at /page, and fetch it."""

    def run(
        body: bytes | str = "",
        status: int = 200,
        content_type: str | None = "text/html",
        headers=None,
        **params,
    ):
        response = Response(body, status, headers, content_type=content_type)
        if content_type is None:
            del response.headers["content-type"]
        httpserver.expect_request("/page").respond_with_response(response)
        return run_handler(Fetch(params), make_context(data={"url": httpserver.url_for("/page")}))

    return run


def test_a_page_is_fetched(fetch, httpserver):
    body = "<p>Grüße</p>".encode("latin-1")
    result = fetch(body, content_type="text/html; charset=iso-8859-1")
    assert result == {
        "url": httpserver.url_for("/page"),
        "status": 200,
        "content_type": "text/html",
        "text": "<p>Grüße</p>",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_the_url_is_where_the_redirects_led(httpserver, make_context):
    httpserver.expect_request("/old").respond_with_data(status=301, headers={"location": "/new"})
    httpserver.expect_request("/new").respond_with_data("here")
    context = make_context(data={"url": httpserver.url_for("/old")})
    assert run_handler(Fetch({}), context)["url"] == httpserver.url_for("/new")


def test_the_parameter_goes_before_the_items_own_url(httpserver, make_context):
    httpserver.expect_request("/mine").respond_with_data("mine")
    context = make_context(data={"url": httpserver.url_for("/other")})
    assert run_handler(Fetch({"url": httpserver.url_for("/mine")}), context)["text"] == "mine"


def test_the_accept_header_may_be_set(httpserver, make_context):
    httpserver.expect_request("/page", headers={"accept": "application/json"}).respond_with_data('{"a": 1}')
    context = make_context(data={"url": httpserver.url_for("/page")})
    assert run_handler(Fetch({"accept": "application/json"}), context)["text"] == '{"a": 1}'


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/atom+xml", "application/ld+json", None]
)
def test_what_is_text_is_given_as_text(fetch, content_type):
    assert fetch("text", content_type=content_type)["text"] == "text"


@pytest.mark.parametrize("content_type", ["image/x-odd", "application/pdf", "application/octet-stream", None])
def test_what_is_no_text_is_kept_as_an_artifact(fetch, make_context, content_type):
    body = bytes(range(256))
    result = fetch(body, content_type=content_type)
    assert make_context().open_artifact(result["body"]).read_bytes() == body
    assert result["body"]["name"].startswith("page")
    assert result["body"]["artifact"] == f"sha256:{result['sha256']}"
    assert "text" not in result


def test_a_text_larger_than_asked_for_is_kept_as_an_artifact(fetch, make_context):
    result = fetch("x" * 11, max_text_bytes=10)
    assert make_context().open_artifact(result["body"]).read_text() == "x" * 11
    assert "text" not in result


def test_a_text_that_is_kept_as_an_artifact_is_read_in_its_charset(fetch, make_context):
    body = "<p>Привет, мир</p>".encode("cp1251")
    result = fetch(body, content_type="text/html; charset=windows-1251", max_text_bytes=10)
    assert find_input(make_context(results={"fetch": result})).text == "<p>Привет, мир</p>"
    assert result["body"]["content_type"] == "text/html"


def test_a_text_as_large_as_asked_for_is_not(fetch):
    assert fetch("x" * 10, max_text_bytes=10)["text"] == "x" * 10


def test_a_body_over_the_stages_own_limit_is_given_up(fetch):
    assert "over 10 bytes" in fetch("x" * 11, max_bytes=10).reason


def test_a_large_body_is_never_in_memory(httpserver, make_context):
    mib, largest = 1024 * 1024, 0

    def grow(_request):
        nonlocal largest
        for _ in range(24):
            yield bytes(mib)
            largest = max(largest, tracemalloc.get_traced_memory()[1])

    httpserver.expect_request("/page").respond_with_handler(
        lambda _: Response(grow(_), mimetype="video/x-big")
    )
    tracemalloc.start()
    try:
        result = run_handler(
            Fetch({"max_bytes": 100 * mib}), make_context(data={"url": httpserver.url_for("/page")})
        )
    finally:
        tracemalloc.stop()
    assert result["bytes"] == 24 * mib
    assert largest < 12 * mib


def test_a_body_is_named_as_its_server_does(fetch):
    named = {"content-disposition": "attachment; filename*=UTF-8''..%2F..%2Fjahres%20bericht.pdf"}
    assert fetch(b"%PDF-1.7", headers=named)["body"]["name"] == "jahres bericht.pdf"


@pytest.mark.parametrize(
    ("declared", "body", "found"),
    [
        ("text/html", b"%PDF-1.7\n", "application/pdf"),
        ("image/png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("application/pdf", b"<!DOCTYPE html><p>Sign in", "text/html"),
        ("audio/mpeg", b"<html>", "text/html"),
        ("text/plain", b"MZ\x90\0\3", "application/octet-stream"),
        ("application/epub+zip", b"PK\3\4", "application/epub+zip"),
        ("text/plain", b"PK\3\4", "application/zip"),
        ("audio/x-m4a", b"\0\0\0\x20ftypM4A ", "audio/x-m4a"),
        ("application/octet-stream", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("binary/octet-stream", b'{"a": 1}', "application/json"),
        (None, b"  <html lang=en>", "text/html"),
        (None, b"<?xml version='1.0'?><rss/>", "application/xml"),
        (None, b"[1] A note", "text/plain"),
        (None, b"[" * 60_000, "text/plain"),
        (None, "\ufeffhi".encode("utf-16"), "text/plain"),
        ("nonsense", b"hi", "text/plain"),
        ("application/vnd.api+json", b"{", "application/vnd.api+json"),
    ],
)
def test_the_type_is_that_of_the_bytes_where_these_are_certain(fetch, declared, body, found):
    assert fetch(body, content_type=declared)["content_type"] == found


def test_a_worker_far_from_the_data_folder_fetches_what_fits_into_a_result(httpserver, make_context):
    httpserver.expect_request("/text").respond_with_data("text", headers={"ETag": '"one"'})
    httpserver.expect_request("/file").respond_with_data(b"%PDF-1.7")
    context = make_context(desk=NoDesk())
    assert run_handler(Fetch({"url": httpserver.url_for("/text")}), context)["text"] == "text"
    with pytest.raises(ArtifactError, match="does not reach the tracker's folder"):
        run_handler(Fetch({"url": httpserver.url_for("/file")}), context)


# -- what has not changed ---------------------------------------------------------------------------------


@pytest.fixture
def page(httpserver):
    """Serve a page that has a version; what was asked, and a way to change it."""

    class Page:
        url = httpserver.url_for("/page")
        etag: str | None = '"one"'
        body, content_type, statuses = "one", "text/html", []

        def answer(self, request):
            known = self.etag and request.headers.get("If-None-Match") == self.etag
            self.statuses.append(304 if known else 200)
            headers = {"ETag": self.etag} if self.etag else {}
            return Response(
                "" if known else self.body, self.statuses[-1], headers, content_type=self.content_type
            )

    page = Page()
    page.statuses = []
    httpserver.expect_request("/page").respond_with_handler(page.answer)
    return page


def run(page, make_context, key="k1", **params):
    return run_handler(Fetch(params), make_context(key=key, data={"url": page.url}))


def test_what_has_not_changed_is_not_sent_again_and_gives_the_same_result(page, make_context):
    first = run(page, make_context)
    assert run(page, make_context, key="another item") == first
    assert page.statuses == [200, 304]


def test_what_has_changed_is_sent_again(page, make_context):
    run(page, make_context)
    page.body, page.etag = "two", '"two"'
    assert run(page, make_context)["text"] == "two"
    assert run(page, make_context)["text"] == "two"
    assert page.statuses == [200, 200, 304]


def test_a_page_without_etag_and_date_is_always_sent(page, make_context):
    page.etag = None
    assert run(page, make_context) == run(page, make_context)
    assert page.statuses == [200, 200]


def test_a_date_does_for_an_etag(httpserver, make_context):
    date = "Wed, 21 Oct 2025 07:28:00 GMT"
    url = httpserver.url_for("/dated")
    httpserver.expect_oneshot_request("/dated").respond_with_data("old", headers={"Last-Modified": date})
    httpserver.expect_request("/dated", headers={"If-Modified-Since": date}).respond_with_data(status=304)
    first = run_handler(Fetch({"url": url}), make_context())
    assert run_handler(Fetch({"url": url}), make_context()) == first


def test_another_accept_header_is_another_page(page, make_context):
    run(page, make_context)
    run(page, make_context, accept="application/json")
    assert page.statuses == [200, 200]


def test_asking_only_for_changes_may_be_switched_off(page, make_context):
    run(page, make_context)
    run(page, make_context, conditional=False)
    assert page.statuses == [200, 200]


def test_a_body_whose_artifact_was_removed_is_sent_again(page, make_context):
    page.body, page.content_type = b"%PDF-1.7", "application/pdf"
    first = run(page, make_context)
    assert run(page, make_context) == first
    make_context().open_artifact(first["body"]).unlink()
    assert run(page, make_context) == first
    assert page.statuses == [200, 304, 200]
    assert make_context().open_artifact(first["body"]).read_bytes() == b"%PDF-1.7"


def test_a_redirect_to_another_page_gives_that_page_though_it_is_older(httpserver, make_context):
    dates = {"/v1": "Wed, 10 Jun 2026 00:00:00 GMT", "/v2": "Tue, 09 Jun 2026 00:00:00 GMT"}
    leads_to = "/v1"

    def answer(request):
        if request.path == "/latest":
            return Response("", 302, {"Location": leads_to})
        if "If-Modified-Since" in request.headers:
            return Response("", 304)
        return Response(request.path, 200, {"Last-Modified": dates[request.path]}, content_type="text/plain")

    httpserver.expect_request(re.compile("/.*")).respond_with_handler(answer)

    def fetch():
        return run_handler(Fetch({"url": httpserver.url_for("/latest")}), make_context())["text"]

    assert [fetch(), fetch()] == ["/v1", "/v1"]
    leads_to = "/v2"
    assert [fetch(), fetch()] == ["/v2", "/v2"]
    assert [response.status_code for _, response in httpserver.log][1::2] == [200, 304, 304, 200, 304]


def test_a_304_that_nobody_asked_for_is_given_up(fetch):
    assert "304" in fetch(status=304).reason


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_given_up(fetch, status):
    outcome = fetch(status=status)
    assert isinstance(outcome, GiveUp)
    assert str(status) in outcome.reason


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_names_a_time_is_asked_again_then(fetch, status):
    outcome = fetch(status=status, headers={"retry-after": "120"})
    assert isinstance(outcome, RetryLater)
    assert outcome.delay == 120
    assert str(status) in outcome.reason


def test_a_wait_of_years_is_cut_to_a_day(fetch):
    assert fetch(status=503, headers={"retry-after": "999999999"}).delay == LONGEST_RETRY_AFTER_SECONDS


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failing_server_is_left_to_the_stages_retries(fetch, status):
    with pytest.raises(SourceUnavailableError, match=str(status)):
        fetch(status=status)


def test_no_connection_is_left_to_the_stages_retries(make_context):
    with socket.socket() as taken_but_not_listening:
        taken_but_not_listening.bind(("127.0.0.1", 0))
        port = taken_but_not_listening.getsockname()[1]
        with pytest.raises(SourceUnavailableError):
            run_handler(Fetch({"url": f"http://127.0.0.1:{port}/"}), make_context())


def test_an_address_in_a_private_network_is_given_up(httpserver, make_context):
    context = make_context(data={"url": httpserver.url_for("/page")}, http=PoliteClient(contact=None))
    assert isinstance(run_handler(Fetch({}), context), GiveUp)
    assert not httpserver.log


@pytest.mark.parametrize("url", ["file:///etc/passwd", "not an address", "http://"])
def test_what_is_no_web_address_is_given_up(make_context, url):
    assert isinstance(run_handler(Fetch({"url": url}), make_context()), GiveUp)


def test_an_item_without_url_passes_its_own_text_through(make_context):
    result = run_handler(Fetch({}), make_context(data={"url": None, "text": "Ask: why? <p>Because."}))
    assert result["text"] == "Ask: why? <p>Because."
    assert result["url"] is None
    assert result["content_type"] == "text/html"


@pytest.mark.parametrize("data", [{}, {"url": None}, {"url": "", "text": " "}, {"url": 7}])
def test_an_item_without_url_and_text_is_skipped(make_context, data):
    assert run_handler(Fetch({}), make_context(data=data)) == Skip("the item has no url to fetch and no text")
