"""The handlers `http_call` and `webhook`, against a real server."""

from __future__ import annotations

import json
import socket
import time

import pytest
from pydantic import ValidationError
from werkzeug import Response

from handlers.http_call import HttpCall
from handlers.running import run_handler
from handlers.sending import sign
from handlers.webhook import Webhook
from net.client import PoliteClient
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's own example


@pytest.fixture
def call(httpserver, make_context):
    """Call the server at a path; whatever it is asked there, it answers so."""

    def run(path="/api", answer=None, given=None, handler=HttpCall, **params):
        httpserver.expect_request("/api").respond_with_response(answer or Response("ok"))
        params.setdefault("url", httpserver.url_for(path))
        return run_handler(handler(params), make_context(**{"stage": "call"} | (given or {})))

    return run


@pytest.fixture
def asked(httpserver):
    """Give the requests that the server got."""
    return lambda: [request for request, _ in httpserver.log]


def answer_json(value):
    return Response(json.dumps(value), content_type="application/json")


# -- what is sent -----------------------------------------------------------------------------------------


def test_url_headers_and_body_are_templates(call, asked):
    given = {"data": {"id": "a b/c?", "title": 'Gr"üße'}, "results": {"llm": {"text": "T"}}}
    body = {"title": "{{ item.title }}", "deep": [{"text": "{{ results.llm.text }}"}, 1, None, True]}
    call(
        "/api?id={{ item.id | urlencode }}",
        None,
        given,
        method="PUT",
        body=body,
        headers={"X-Key": "{{ item.key }}"},
    )
    (request,) = asked()
    assert (request.method, request.args["id"], request.headers["X-Key"]) == ("PUT", "a b/c?", "k1")
    assert request.json == {"title": 'Gr"üße', "deep": [{"text": "T"}, 1, None, True]}
    assert request.headers["Content-Type"] == "application/json"


def test_a_text_is_sent_as_it_is(call, asked):
    body = '{"n": {{ item.n }}, "t": {{ item.t | tojson }}}'
    given = {"data": {"n": 3, "t": 'a"b'}}
    call(given=given, method="POST", body=body, headers={"content-type": "application/json"})
    assert asked()[0].get_data() == b'{"n": 3, "t": "a\\"b"}'
    assert asked()[0].headers.getlist("Content-Type") == ["application/json"]


def test_what_a_template_wants_and_is_not_there_is_given_up_and_nothing_is_sent(call, asked):
    for params in (
        {"body": {"x": "{{ item.titel }}"}, "method": "POST"},
        {"headers": {"X": "{{ item.titel }}"}},
    ):
        outcome = call(given={"data": {"title": "x"}}, **params)
        assert isinstance(outcome, GiveUp)
        assert "did you mean 'title'?" in outcome.reason
    assert asked() == []


@pytest.mark.parametrize("hostile", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "ü"])
def test_a_header_that_would_not_stay_in_its_line_is_given_up(call, asked, hostile):
    outcome = call(given={"data": {"x": hostile}}, headers={"X-Title": "{{ item.x }}"})
    assert outcome == GiveUp("no header can be made of 'X-Title': its value has a line break or the like")
    assert asked() == []


def test_an_item_cannot_lead_into_a_private_network(call, make_context, asked):
    context = make_context(http=PoliteClient(contact=None), data={"host": "127.0.0.1"})
    assert isinstance(run_handler(HttpCall({"url": "http://{{ item.host }}/"}), context), GiveUp)
    assert asked() == []


@pytest.mark.parametrize(
    "url", ["file:///etc/s3cret", "http://?s3cret", "no s3cret", "http://[::1s3cret", "gopher://x/s3cret"]
)
def test_what_is_no_web_address_is_given_up_without_being_told(call, url):
    outcome = call(given={"data": {"url": url}}, url="{{ item.url }}")
    assert isinstance(outcome, GiveUp)
    assert "s3cret" not in outcome.reason


def test_a_get_has_no_body_and_mistakes_are_found_before_anything_is_sent():
    for params, told in [
        ({"body": "x"}, "GET sends no body"),
        ({"headers": {"X": "{{ nope }}"}}, "knows no 'nope'"),
        ({"method": "POST", "body": {"a": ["{{ nope }}"]}}, "knows no 'nope'"),
        ({"secret": "whsec_c2hvcnQ="}, "24 to 64 random bytes"),
        ({"headers": {"X Title": "{{ item.x }}"}}, "'X Title' is no header"),
        ({"headers": {"X": "s3crét"}}, "'X' is no header"),
        ({"url": "s3cret.example.org"}, "not an http or https address"),
    ]:
        with pytest.raises(ValidationError, match=told):
            HttpCall({"url": "https://example.org", **params})
    assert HttpCall({"url": " https://example.org/\n", "headers": {"X": " a b "}})


# -- signed, and safe to repeat ---------------------------------------------------------------------------


def test_it_is_signed_over_exactly_what_is_sent(call, asked):
    call(given={"data": {"t": "Grüße"}}, method="POST", body={"t": "{{ item.t }}"}, secret=SECRET)
    (request,) = asked()
    name, stamp = request.headers["webhook-id"], int(request.headers["webhook-timestamp"])
    assert request.headers["webhook-signature"] == sign(SECRET, name, stamp, request.get_data())
    assert abs(stamp - time.time()) < 60
    assert "." not in name


def test_a_repeat_has_the_same_idempotency_key_and_other_content_another(call, asked):
    for attempt, text in [(1, "a"), (2, "a"), (3, "b")]:
        call(given={"attempt": attempt}, method="POST", body=text)
    first, again, other = (request.headers["Idempotency-Key"] for request in asked())
    assert first == again != other


def test_a_mere_question_has_no_idempotency_key(call, asked):
    call()
    assert "Idempotency-Key" not in asked()[0].headers


# -- what comes back --------------------------------------------------------------------------------------


def test_an_answer_in_json_is_a_value(call):
    assert call(answer=answer_json({"id": 7})) == {
        "status": 200,
        "content_type": "application/json",
        "json": {"id": 7},
        "text": None,
        "bytes": 9,
    }


@pytest.mark.parametrize("text", ["{", "NaN", "[" * 600 + "]" * 600, '"\\ud800"'])
def test_json_that_is_none_or_that_no_result_can_hold_stays_text(call, text):
    result = call(answer=Response(text, content_type="application/json"))
    assert (result["json"], result["text"]) == (None, text)


def test_other_text_and_an_empty_answer_are_text(call):
    assert call(answer=Response("héllo", content_type="text/plain"))["text"] == "héllo"


def test_what_is_no_text_is_an_artifact(call, make_context):
    result = call(answer=Response(b"\x89PNG\0", content_type="image/png"))
    assert make_context().open_artifact(result["file"]).read_bytes() == b"\x89PNG\0"
    assert (result["text"], result["file"]["content_type"]) == (None, "image/png")


def test_a_larger_answer_than_allowed_is_given_up(call):
    assert isinstance(call(answer=Response("x" * 11), max_bytes=10), GiveUp)


def test_the_statuses_expected_are_results_and_no_others(call, httpserver):
    assert call(answer=Response("none", 404), expect=[200, 404])["status"] == 404
    httpserver.clear_all_handlers()
    assert call(answer=Response(status=204), expect=[200]) == GiveUp("answered 204, which is none of 200")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_a_refusal_is_given_up_and_its_address_not_told(call, httpserver, status):
    outcome = call("/api?token=s3cret", Response(status=status))
    assert isinstance(outcome, GiveUp)
    assert str(status) in outcome.reason
    assert "/api" not in outcome.reason


def test_who_asks_to_slow_down_is_asked_again_then(call):
    outcome = call(answer=Response(status=429, headers={"retry-after": "120"}))
    assert isinstance(outcome, RetryLater)
    assert outcome.delay == 120


def test_a_failing_server_and_none_are_left_to_the_stages_retries(call):
    with pytest.raises(SourceUnavailableError, match="500"):
        call(answer=Response(status=500))
    with socket.socket() as taken_but_not_listening:
        taken_but_not_listening.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnavailableError):
            call(url=f"http://127.0.0.1:{taken_but_not_listening.getsockname()[1]}/")


def test_a_question_follows_a_redirect_and_a_change_does_not(call, httpserver, asked):
    httpserver.expect_request("/old").respond_with_data(status=301, headers={"location": "/api"})
    assert call("/old")["text"] == "ok"
    outcome = call("/old", method="POST", body="x")
    assert isinstance(outcome, GiveUp)
    assert "301" in outcome.reason
    assert [request.method for request in asked()] == ["GET", "GET", "POST"]


# -- webhook ----------------------------------------------------------------------------------------------


def test_a_webhook_posts_the_item_and_the_results_chosen_signed(call, asked):
    given = {"data": {"title": "Grüße"}, "results": {"article": {"text": "a"}, "llm": {"n": 1}}}
    result = call(given=given, handler=Webhook, results=["llm", "skipped"], secret=SECRET)
    (request,) = asked()
    about = {"job": "demo", "key": "k1", "data": {"title": "Grüße"}, "results": {"llm": {"n": 1}}}
    assert request.json == {"type": "item.done", "data": about}
    assert result == {"status": 200, "message_id": request.headers["webhook-id"]}
    stamp = int(request.headers["webhook-timestamp"])
    assert request.headers["webhook-signature"] == sign(
        SECRET, result["message_id"], stamp, request.get_data()
    )


def test_a_webhook_posts_all_results_unless_told_and_may_go_unsigned(call, asked):
    given = {"results": {"article": {"text": "a"}, "llm": {"n": 1}}}
    call(given=given, handler=Webhook, type="item.seen", headers={"X-Key": "{{ item.key }}"})
    (request,) = asked()
    assert request.json["data"]["results"] == given["results"]
    assert (request.json["type"], request.headers["X-Key"]) == ("item.seen", "k1")
    assert "webhook-signature" not in request.headers


def test_a_webhook_that_moved_is_given_up_and_not_lost_on_the_way(call, httpserver, asked):
    httpserver.expect_request("/old").respond_with_data(status=302, headers={"location": "/api"})
    assert isinstance(call("/old", handler=Webhook), GiveUp)
    assert len(asked()) == 1
