"""What is sent along with a request, and bodies that go into a file."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading

import pytest
from werkzeug import Response

from net.client import MIB
from pipeline.errors import SourceRejectedError, SourceUnavailableError

ASKED = {"q": "celeriac"}
SECRET = {"Authorization": "Bearer 1", "X-Api-Key": "2"}


@pytest.fixture
def post(client):
    """Post a JSON body with secret headers."""
    return lambda url: asyncio.run(client.fetch(url, method="POST", json=ASKED, headers=SECRET))


@pytest.fixture
def download(client, httpserver):
    """Download `/` of the server into memory; what came, and the `Fetched`."""

    def run(**more):
        file = io.BytesIO()
        fetched = asyncio.run(client.download(httpserver.url_for("/"), file, **more))
        return file.getvalue(), fetched

    return run


def test_a_body_is_sent_as_json(post, httpserver):
    httpserver.expect_request("/", method="POST", json=ASKED).respond_with_data("found")
    assert post(httpserver.url_for("/")).body == b"found"
    assert httpserver.log[0][0].content_type == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_after_a_redirect_the_answer_is_fetched_with_get(post, httpserver, status):
    httpserver.expect_request("/", method="POST").respond_with_data("", status, {"Location": "/answer"})
    httpserver.expect_request("/answer", method="GET").respond_with_data("found")
    assert post(httpserver.url_for("/")).body == b"found"
    second = httpserver.log[1][0]
    assert second.data == b""
    assert "Content-Type" not in second.headers
    assert second.headers["X-Api-Key"] == "2"


@pytest.mark.parametrize("status", [307, 308])
def test_a_moved_address_of_the_same_origin_is_sent_the_body_again(post, httpserver, status):
    httpserver.expect_request("/", method="POST").respond_with_data("", status, {"Location": "/moved"})
    httpserver.expect_request("/moved", method="POST", json=ASKED).respond_with_data("found")
    assert post(httpserver.url_for("/")).body == b"found"


@pytest.mark.parametrize("status", [303, 307])
def test_another_origin_is_shown_neither_body_nor_secrets(post, httpserver, status):
    elsewhere = f"http://127.0.0.1:{httpserver.port}/there"
    httpserver.expect_request("/", method="POST").respond_with_data("", status, {"Location": elsewhere})
    httpserver.expect_request("/there", method="GET").respond_with_data("found")
    assert post(f"http://localhost:{httpserver.port}/").body == b"found"
    second = httpserver.log[1][0]
    assert second.data == b""
    assert not {"Authorization", "X-Api-Key"} & set(second.headers.keys())


def test_a_caller_may_take_less_than_the_client_would(client, httpserver):
    httpserver.expect_request("/").respond_with_data(b"x" * 11)
    fetch = client.fetch(httpserver.url_for("/"), max_bytes=10)
    with pytest.raises(SourceRejectedError, match="over 10 bytes"):
        asyncio.run(fetch)


def test_a_callers_cap_counts_what_is_unpacked_too(client, httpserver):
    bomb = gzip.compress(bytes(100_000))
    httpserver.expect_request("/").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceRejectedError, match="1,000 bytes when decompressed"):
        asyncio.run(client.fetch(httpserver.url_for("/"), max_bytes=1000))


def test_a_download_goes_into_the_file(download, httpserver):
    httpserver.expect_request("/").respond_with_data(
        gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"}
    )
    body, fetched = download()
    assert (body, fetched.body, fetched.status) == (b"hello", b"", 200)


def test_a_download_may_be_larger_than_what_is_kept_in_memory(download, httpserver):
    pieces = [bytes(MIB)] * 25
    httpserver.expect_request("/").respond_with_handler(lambda _: Response(iter(pieces)))
    with pytest.raises(SourceRejectedError, match="over 20,971,520 bytes"):
        download()
    assert len(download(max_bytes=30 * MIB)[0]) == 25 * MIB


def test_a_download_is_written_piece_by_piece(client, httpserver):
    sizes = []

    class Sizes(io.RawIOBase):
        def write(self, piece):
            sizes.append(len(piece))
            return len(piece)

    httpserver.expect_request("/").respond_with_handler(lambda _: Response(iter([bytes(MIB)] * 8)))
    asyncio.run(client.download(httpserver.url_for("/"), Sizes()))
    assert sum(sizes) == 8 * MIB
    assert max(sizes) <= MIB


def test_a_file_that_cannot_be_written_says_so_itself(client, httpserver):
    class Full(io.RawIOBase):
        def write(self, _):
            raise OSError(28, "No space left on device")

    httpserver.expect_request("/").respond_with_data("hello")
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(client.download(httpserver.url_for("/"), Full()))


def test_a_download_that_takes_too_long_ends(download, httpserver):
    gone = threading.Event()

    def trickle(_request):
        return Response(b"." for _ in range(100) if not gone.wait(0.02))

    httpserver.expect_request("/").respond_with_handler(trickle)
    with pytest.raises(SourceUnavailableError, match=r"took over 0\.2 seconds"):
        download(total_seconds=0.2)
    gone.set()


def test_a_status_that_the_caller_expects_is_an_answer(client, httpserver):
    httpserver.expect_request("/").respond_with_data("no such list", 400)
    fetched = asyncio.run(client.fetch(httpserver.url_for("/"), statuses_ok={400}))
    assert (fetched.status, fetched.text) == (400, "no such list")
