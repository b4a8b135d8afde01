from __future__ import annotations

import asyncio

import httpx2
import pytest
from werkzeug import Response

from net.client import PoliteClient
from net.request import Hop
from pipeline.errors import BlockedAddressError, SourceRejectedError


def test_a_relative_redirect_is_followed_to_its_end(client, httpserver):
    httpserver.expect_request("/old").respond_with_data("", 301, {"Location": "new?a=1"})
    httpserver.expect_request("/new").respond_with_data("moved")
    fetched = client.fetch_now(httpserver.url_for("/old"))
    assert (fetched.body, fetched.url) == (b"moved", httpserver.url_for("/new?a=1"))


def test_a_redirect_into_a_private_network_is_refused(httpserver):
    inside = f"http://127.0.0.1:{httpserver.port}/secret"
    httpserver.expect_request("/").respond_with_data("", 302, {"Location": inside})
    client = PoliteClient(contact=None, allow_hosts=["localhost"])
    with pytest.raises(BlockedAddressError, match=r"127\.0\.0\.1"):
        client.fetch_now(f"http://localhost:{httpserver.port}/")
    assert len(httpserver.log) == 1


def test_a_redirect_loop_ends(client, httpserver):
    httpserver.expect_request("/").respond_with_data("", 302, {"Location": "/"})
    with pytest.raises(SourceRejectedError, match="5 redirects"):
        client.fetch_now(httpserver.url_for("/"))
    assert len(httpserver.log) == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.org/", "http://[::1", "mailto:me@here"]
)
def test_a_redirect_to_what_is_no_web_address_is_refused(client, raw_server, location):
    async def main():
        async with raw_server(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()) as (url, _):
            await client.fetch(url)

    with pytest.raises(SourceRejectedError, match="address"):
        asyncio.run(main())


def test_a_redirect_to_another_origin_takes_no_secrets_along(client, httpserver):
    elsewhere = f"http://127.0.0.1:{httpserver.port}/there"
    httpserver.expect_request("/").respond_with_data("", 302, {"Location": elsewhere, "Set-Cookie": "s=1"})
    httpserver.expect_request("/there").respond_with_data("")
    secrets = {"Authorization": "Bearer 1", "X-Api-Key": "2", "Accept": "text/html"}
    client.fetch_now(f"http://localhost:{httpserver.port}/", headers=secrets)
    shown = httpserver.log[1][0].headers
    assert shown["Accept"] == "text/html"
    assert not {"Authorization", "X-Api-Key", "Cookie"} & set(shown.keys())


def test_a_cookie_that_cannot_be_sent_back_is_left_out(client, httpserver):
    def answer(_request):
        response = Response("", 302, {"Location": "/in"})
        response.headers.add("Set-Cookie", "a=caf\xe9")
        response.headers.add("Set-Cookie", "b=1")
        return response

    httpserver.expect_request("/").respond_with_handler(answer)
    httpserver.expect_request("/in").respond_with_data("hello")
    assert client.fetch_now(httpserver.url_for("/")).body == b"hello"
    assert httpserver.log[-1][0].headers["Cookie"] == "b=1"


def test_a_cookie_lasts_for_one_fetch_and_no_longer(client, httpserver):
    httpserver.expect_request("/").respond_with_data("", 302, {"Location": "/in", "Set-Cookie": "s=1"})
    httpserver.expect_request("/in").respond_with_data("")
    for _ in range(2):
        client.fetch_now(httpserver.url_for("/"))
    assert [request.headers.get("Cookie") for request, _ in httpserver.log] == [None, "s=1", None, "s=1"]


def test_credentials_in_an_address_are_sent_and_shown_nowhere(client, httpserver):
    httpserver.expect_request("/").respond_with_data("")
    fetched = client.fetch_now(f"http://me:p%40ss@localhost:{httpserver.port}/")
    assert httpserver.log[0][0].authorization.password == "p@ss"  # noqa: S105  a sample
    assert "me:" not in fetched.url


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_an_error_shows_neither_credentials_nor_query(client, httpserver, scheme):
    httpserver.expect_request("/gone").respond_with_data("", 404)
    with pytest.raises(SourceRejectedError) as caught:
        client.fetch_now(f"{scheme}://me:secret@localhost:{httpserver.port}/gone?key=secret")
    assert "/gone" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    ["http://example.org/b", "https://example.org:8443/b", "https://www.example.org/b", "//example.com/"],
)
def test_what_may_be_secret_goes_to_no_other_origin(location):
    headers = {"Authorization": "Bearer s3cret", "X-Key": "s3cret", "Accept": "text/html"}
    hop = Hop.start("https://example.org/a", {"User-Agent": "me"}, headers)
    answer = httpx2.Response(302, headers={"Location": location}, request=hop.request({}))
    moved = hop.redirected(answer)
    assert set(moved.headers) == {"user-agent", "accept"}
    stayed = hop.redirected(httpx2.Response(302, headers={"Location": "/b"}, request=hop.request({})))
    assert set(stayed.headers) == {"user-agent", "accept", "authorization", "x-key"}


def test_credentials_that_a_redirect_names_are_shown_nowhere(client, httpserver):
    to = f"http://user:s3cret@localhost:{httpserver.port}/new"
    httpserver.expect_request("/old").respond_with_data("", 302, {"Location": to})
    httpserver.expect_request("/new").respond_with_data("moved")
    assert client.fetch_now(httpserver.url_for("/old")).url == httpserver.url_for("/new")
    assert "Authorization" not in httpserver.log[-1][0].headers


def test_who_asks_for_the_head_alone_asks_for_no_more_where_it_is_led(client, httpserver):
    httpserver.expect_request("/old").respond_with_data("", 301, {"Location": "/new"})
    httpserver.expect_request("/new").respond_with_data("moved")
    asyncio.run(client.fetch(httpserver.url_for("/old"), method="HEAD"))
    assert [request.method for request, _ in httpserver.log] == ["HEAD", "HEAD"]
