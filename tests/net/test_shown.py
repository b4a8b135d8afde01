"""What of an address stands in messages."""

from __future__ import annotations

import asyncio

import pytest

from net.shown import show_url
from pipeline.errors import SourceRejectedError

WRITTEN_WELL = {
    "ftp://u:s3cret@h/x?token=s3cret": "ftp://h/x?…",
    "https://s3cret@h/x": "https://h/x",
    "https://u:s3cret@h:8080/@user/feed": "https://h:8080/@user/feed",
    "https://archive.org/2026/https://u:s3cret@h/x": "https://archive.org/2026/https://h/x",
}

WRITTEN_WRONGLY = {
    "user:s3cret@nas.lan/feed": "nas.lan/feed",
    "https:user:s3cret@nas.lan/feed": "nas.lan/feed",
    "https:/user:s3cret@nas.lan/feed": "https:/nas.lan/feed",
    "https:/s3cret@nas.lan/feed": "https:/nas.lan/feed",
    "https://u:s3/cret@h/x": "https://h/x",
    "https://u:s3?cret@h/x": "https://h/x",
    "https://u:s3#cret@h/x": "https://h/x",
    "https://u:s3/c@ret@h/x": "https://h/x",
    "postgresql+psycopg://u:s3/cret@h:5432/db": "postgresql+psycopg://h:5432/db",
    "http://[::1:s3cret]@/": "http:///",
}


@pytest.mark.parametrize(("url", "shown"), (WRITTEN_WELL | WRITTEN_WRONGLY).items())
def test_what_may_be_credentials_is_left_out(url, shown):
    assert show_url(url) == shown


@pytest.mark.parametrize("url", WRITTEN_WRONGLY)
def test_an_address_that_cannot_be_asked_is_told_without_its_credentials(client, url):
    with pytest.raises(SourceRejectedError) as caught:
        asyncio.run(client.fetch(url))
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://medium.com/@user/feed",
        "https://localhost:8080/@user",
        "https://h:/x@y",
        "localhost:8080/@user",
        "http://[::1]:8080/@user",
        "http://[::1]/a:b@c",
        "https://h/npm/pkg@1.2.3/a:b@c",
        "s3://bucket/a:b@c",
        "/data/x:y/a@b",
        "someone@example.org",
        "mailto:someone@example.org",
    ],
)
def test_an_ordinary_address_is_shown_whole(url):
    assert show_url(url) == url


def test_what_is_wrong_with_an_address_is_told(client):
    with pytest.raises(SourceRejectedError, match="'http://h:80a/x' is no address: Invalid port: '80a'"):
        asyncio.run(client.fetch("http://h:80a/x"))
