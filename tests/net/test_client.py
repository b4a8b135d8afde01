from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from net.client import PoliteClient
from pipeline.errors import (
    BlockedAddressError,
    OperatorError,
    SourceError,
    SourceRejectedError,
    SourceUnavailableError,
)


def test_an_answer_comes_back_whole(client, httpserver):
    httpserver.expect_request("/page").respond_with_data(
        "déjà", content_type="Text/Plain; charset=utf-8", headers={"ETag": '"1"'}
    )
    fetched = client.fetch_now(httpserver.url_for("/page"))
    assert (fetched.status, fetched.text, fetched.content_type) == (200, "déjà", "text/plain")
    assert fetched.headers["etag"] == '"1"'
    assert fetched.url == httpserver.url_for("/page")
    assert abs((datetime.now(UTC) - fetched.fetched_at).total_seconds()) < 300


def test_every_request_says_who_asks_and_how_to_reach_them(client, httpserver):
    httpserver.expect_request("/").respond_with_data("")
    client.fetch_now(httpserver.url_for("/"))
    agent = httpserver.log[0][0].headers["User-Agent"]
    assert agent.startswith("Celeriac/")
    assert agent.endswith(" (+ops@example.org)")


@pytest.mark.parametrize("contact", ["a\r\nHost: b", "né@example.org", "me (at) home"])
def test_a_contact_that_cannot_stand_in_a_header_is_named(contact):
    with pytest.raises(OperatorError, match="CELERIAC_CONTACT"):
        PoliteClient(contact=contact)


@pytest.mark.parametrize("named", ['ETag: "caf\xe9"', "Last-Modified: Di, 3. M\xe4rz"])
def test_a_validator_that_cannot_be_sent_back_is_left_out_and_the_answer_is_whole(raw_server, client, named):
    async def fetch_twice():
        head = f"HTTP/1.1 200 OK\r\n{named}\r\nContent-Length: 2\r\n\r\n".encode("latin-1")
        async with raw_server(head + b"hi") as (url, _):
            first = (await client.fetch(url)).headers
            known = {"If-None-Match": first.get("etag"), "If-Modified-Since": first.get("last-modified")}
            asked = {name: value for name, value in known.items() if value}
            return await client.fetch(url, headers=asked, not_modified_ok=True)

    fetched = asyncio.run(fetch_twice())
    assert (fetched.status, fetched.body) == (200, b"hi")


@pytest.mark.parametrize("value", ["Bearer s3cret\n", " s3cret", "s3cret\r\nHost: x", "s3crét"])
def test_a_header_that_cannot_be_sent_is_named_and_its_value_is_not_shown(client, httpserver, value):
    with pytest.raises(SourceRejectedError, match="the header 'Authorization' cannot be sent") as refused:
        client.fetch_now(httpserver.url_for("/"), headers={"Authorization": value})
    assert "s3cr" not in str(refused.value)
    assert httpserver.log == []


def test_a_header_of_the_callers_takes_the_place_of_ours(client, httpserver):
    httpserver.expect_request("/").respond_with_data("")
    client.fetch_now(httpserver.url_for("/"), headers={"user-agent": "Sample Company ops@example.org"})
    assert httpserver.log[0][0].headers["User-Agent"] == "Sample Company ops@example.org"


def test_a_proxy_in_the_environment_is_not_used(client, httpserver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    httpserver.expect_request("/").respond_with_data("direct")
    assert client.fetch_now(httpserver.url_for("/")).body == b"direct"


def test_an_error_names_the_host_that_was_asked_last(client, httpserver):
    httpserver.expect_request("/").respond_with_data(status=302, headers={"Location": "http://localhost:9/"})
    with pytest.raises(SourceError) as caught:
        client.fetch_now(httpserver.url_for("/"))
    assert caught.value.host == "localhost"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_passing_trouble_is_unavailable(client, httpserver, status):
    httpserver.expect_request("/").respond_with_data("", status)
    with pytest.raises(SourceUnavailableError, match=str(status)) as caught:
        client.fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 410, 451])
def test_a_lasting_refusal_is_rejected(client, httpserver, status):
    httpserver.expect_request("/").respond_with_data("", status)
    with pytest.raises(SourceRejectedError, match=str(status)):
        client.fetch_now(httpserver.url_for("/"))


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_a_server_asks_for_is_handed_on(client, httpserver, status):
    httpserver.expect_request("/").respond_with_data("", status, {"Retry-After": "120"})
    with pytest.raises(SourceUnavailableError) as caught:
        client.fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds == 120


def test_not_modified_is_an_answer_when_it_was_asked_for(client, httpserver):
    httpserver.expect_request("/", headers={"If-None-Match": '"1"'}).respond_with_data("", 304)
    fetched = client.fetch_now(
        httpserver.url_for("/"), headers={"If-None-Match": '"1"'}, not_modified_ok=True
    )
    assert (fetched.status, fetched.body) == (304, b"")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "file:///etc/passwd",
        "http://",
        "http://localhost:99999/",
        "http://localhost:0/",
        "http://[",
        "http://two words/",
        "http://two..dots/",
    ],
)
def test_what_is_no_web_address_is_rejected_without_a_request(client, url):
    with pytest.raises(SourceRejectedError):
        client.fetch_now(url)


def test_a_closed_port_is_unavailable(client):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and never listens
        with pytest.raises(SourceUnavailableError, match="did not answer"):
            client.fetch_now(f"http://127.0.0.1:{bound.getsockname()[1]}/")


@pytest.mark.parametrize(
    "answer",
    [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"],
    ids=["nothing", "junk", "cut short"],
)
def test_a_broken_answer_is_unavailable(client, raw_server, answer):
    async def main():
        async with raw_server(answer) as (url, _):
            await client.fetch(url)

    with pytest.raises(SourceUnavailableError, match="did not answer"):
        asyncio.run(main())


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_connections_are_kept_while_asked_to(client, raw_server):
    async def main():
        async with raw_server(ANSWER, hang_up=False) as (url, connections):
            async with client.keep_connections():
                for _ in range(3):
                    await client.fetch(url)
            return len(connections)

    assert asyncio.run(main()) == 1


def test_connections_are_not_kept_otherwise(client, raw_server):
    async def main():
        async with raw_server(ANSWER, hang_up=False) as (url, connections):
            async with client.keep_connections():
                pass
            for _ in range(3):
                await client.fetch(url)
            return len(connections)

    assert asyncio.run(main()) == 3


def test_two_clients_do_not_share_what_is_kept(client, raw_server):
    strict = PoliteClient(contact=None)

    async def main():
        async with raw_server(ANSWER, hang_up=False) as (url, _), client.keep_connections():
            await client.fetch(url)
            await strict.fetch(url)

    with pytest.raises(BlockedAddressError):
        asyncio.run(main())


def test_what_one_client_keeps_another_keeps_beside_it(client, raw_server):
    other = PoliteClient(contact=None, allow_hosts=["127.0.0.1"])

    async def main():
        async with raw_server(ANSWER, hang_up=False) as (url, connections):
            async with client.keep_connections(), other.keep_connections():
                for each in (client, other, client, other):
                    await each.fetch(url)
            return len(connections)

    assert asyncio.run(main()) == 2
