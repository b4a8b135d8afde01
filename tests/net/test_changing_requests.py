"""Requests that change something: bodies as they are, redirects not followed, addresses that are secrets."""

from __future__ import annotations

import asyncio

import pytest

from net.client import PoliteClient
from pipeline.errors import SourceRejectedError


@pytest.fixture
def ask(httpserver):
    client = PoliteClient(contact=None, allow_hosts=["localhost", "127.0.0.1"])
    return lambda path, **more: asyncio.run(client.fetch(httpserver.url_for(path), **more))


def test_content_is_sent_to_the_byte(httpserver, ask):
    body = b'{"a":  1}\r\n\xff'
    httpserver.expect_request("/in", method="PUT", data=body).respond_with_data("taken")
    assert ask("/in", method="PUT", content=body, headers={"Content-Type": "x/y"}).text == "taken"


def test_a_file_is_sent_piece_by_piece_with_its_length(httpserver, ask, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    httpserver.expect_request("/in", method="PUT", data=path.read_bytes()).respond_with_data("taken")
    assert ask("/in", method="PUT", content=path).text == "taken"
    ((request, _),) = httpserver.log
    assert request.headers["Content-Length"] == "1024000"
    assert "Transfer-Encoding" not in request.headers


def test_a_redirect_is_an_answer_like_any_other_where_none_is_followed(httpserver, ask):
    httpserver.expect_request("/old").respond_with_data(status=307, headers={"location": "/new"})
    with pytest.raises(SourceRejectedError, match="answered 307"):
        ask("/old", method="POST", content=b"x", redirects=False)
    found = ask("/old", method="POST", content=b"x", redirects=False, statuses_ok=[307])
    assert (found.status, found.headers["location"]) == (307, "/new")
    assert {request.path for request, _ in httpserver.log} == {"/old"}


@pytest.mark.parametrize("url", ["http://[::s3cret", "s3cret", "file:///s3cret", "http://localhost:1/s3cret"])
def test_an_address_that_is_a_secret_stands_in_no_message(url):
    client = PoliteClient(contact=None, allow_hosts=["localhost", "127.0.0.1"])
    with pytest.raises(Exception, match="the hook") as raised:
        asyncio.run(client.fetch(url, shown="the hook"))
    assert "s3cret" not in str(raised.value)


def test_where_a_redirect_leads_is_not_told_either(httpserver, ask):
    httpserver.expect_request("/old").respond_with_data(status=302, headers={"location": "/s3cret"})
    httpserver.expect_request("/s3cret").respond_with_data(status=404)
    with pytest.raises(SourceRejectedError, match=r"^the hook answered 404") as raised:
        ask("/old", shown="the hook")
    assert "s3cret" not in str(raised.value)
