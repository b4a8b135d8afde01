"""What the client does for APIs that is not for websites: their own pace, their own patience, their own limits."""

from __future__ import annotations

import asyncio
import time

import pytest
from werkzeug import Response

from net.client import PoliteClient
from net.host_rates import HostRate
from net.memory_manners import MemoryManners
from net.multipart import encode_form
from pipeline.errors import HostBusyError, SourceUnavailableError


@pytest.fixture
def make_client():
    def make(rate, **more):
        usual = {"contact": None, "allow_hosts": ["127.0.0.0/8"], "manners": MemoryManners()}
        return PoliteClient(**usual | {"find_rate": lambda _: rate, "patience_seconds": 0.0} | more)

    return make


def ask(client, httpserver, count, **more):
    async def main():
        for _ in range(count):
            await client.fetch(httpserver.url_for("/"), method="POST", json={}, **more)

    asyncio.run(main())


def test_who_has_a_pace_of_its_own_waits_for_no_turn_at_a_host_without_a_known_rate(make_client, httpserver):
    httpserver.expect_request("/").respond_with_data("ok")
    client = make_client(HostRate("api", 60.0, is_known=False))
    ask(client, httpserver, 5, paced=False)
    with pytest.raises(HostBusyError):
        ask(client, httpserver, 2)


def test_a_known_rate_holds_for_all(make_client, httpserver):
    httpserver.expect_request("/").respond_with_data("ok")
    with pytest.raises(HostBusyError):
        ask(make_client(HostRate("api", 60.0)), httpserver, 2, paced=False)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8.64s"}, 8.64),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms"}, 1),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "5s",
            },
            5,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "soon",
            },
            60,
        ),
        (
            {
                "retry-after": "3",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2h",
            },
            3,
        ),
    ],
)
def test_the_limit_that_is_used_up_says_when_to_come_back(make_client, httpserver, noon, headers, wait):
    httpserver.expect_request("/").respond_with_data("", 429, headers)
    client = make_client(HostRate("api", 0.0))
    for _ in range(2):  # once by the answer, once by what is remembered of it
        with pytest.raises(SourceUnavailableError) as caught:
            ask(client, httpserver, 1, paced=False)
        assert caught.value.retry_after_seconds == pytest.approx(wait)
    assert len(httpserver.log) == 1


def test_an_answer_that_takes_long_to_begin_is_waited_for_if_one_says_so(
    make_client, httpserver, monkeypatch
):
    monkeypatch.setattr("net.connections.READ_TIMEOUT_SECONDS", 0.1)

    def think(_):
        time.sleep(0.4)
        return Response("thought")

    httpserver.expect_request("/").respond_with_handler(think)
    client = make_client(HostRate("api", 0.0), total_seconds=0.2)
    with pytest.raises(SourceUnavailableError):
        ask(client, httpserver, 1)
    ask(client, httpserver, 1, total_seconds=20.0)


def test_a_form_with_a_file_arrives_whole(make_client, httpserver):
    came = {}

    def take(request):
        came.update(request.form)
        came["file"] = request.files["file"].read()
        came["name"], came["type"] = request.files["file"].filename, request.files["file"].mimetype
        return Response("ok")

    httpserver.expect_request("/").respond_with_handler(take)
    content = bytes(range(256)) * 9
    body, content_type = encode_form({"model": "größer"}, "file", 'a "talk".mp3', content)
    headers = {"Content-Type": content_type}
    client = make_client(HostRate("api", 0.0))
    asyncio.run(client.fetch(httpserver.url_for("/"), method="POST", content=body, headers=headers))
    assert came == {"model": "größer", "file": content, "name": 'a "talk".mp3', "type": "audio/mpeg"}
