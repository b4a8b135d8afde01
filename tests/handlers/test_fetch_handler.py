"""The handler `fetch`, against a real server."""

from __future__ import annotations

import base64
import hashlib
import socket
from datetime import datetime

import pytest
from werkzeug import Response

from handlers.fetch import MAX_BINARY_BYTES, MAX_RETRY_AFTER_SECONDS, Fetch
from handlers.running import run_handler
from net.client import PoliteClient
from pipeline.errors import SourceUnavailableError
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
    assert datetime.fromisoformat(result.pop("fetched_at")).utcoffset().total_seconds() == 0
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


@pytest.mark.parametrize("content_type", ["image/png", "application/pdf", "application/octet-stream", None])
def test_what_is_no_text_is_given_in_base64(fetch, content_type):
    body = bytes(range(256))
    result = fetch(body, content_type=content_type)
    assert base64.b64decode(result["body_base64"]) == body
    assert "text" not in result


def test_a_binary_too_large_for_a_result_is_given_up(fetch):
    assert (
        "a result holds at most 1,048,576"
        in fetch(b"\0" * (MAX_BINARY_BYTES + 1), content_type="image/png").reason
    )


def test_a_body_over_the_stages_own_limit_is_given_up(fetch):
    assert "has 11 bytes, more than max_bytes (10)" in fetch("x" * 11, max_bytes=10).reason


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
    assert fetch(status=503, headers={"retry-after": "999999999"}).delay == MAX_RETRY_AFTER_SECONDS


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
