from __future__ import annotations

import asyncio
import gzip
import threading

import pytest
from werkzeug import Response

from net.client import PoliteClient
from pipeline.errors import SourceRejectedError, SourceUnavailableError


def bounded(**bounds):
    return PoliteClient(contact=None, allow_hosts=["127.0.0.1", "localhost"], **bounds)


def test_a_compressed_answer_is_unpacked(client, httpserver):
    httpserver.expect_request("/").respond_with_data(
        gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"}
    )
    assert client.fetch_now(httpserver.url_for("/")).body == b"hello"


def test_a_gzip_bomb_stops_at_its_cap(httpserver):
    bomb = gzip.compress(bytes(30_000_000))
    httpserver.expect_request("/").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceRejectedError, match="1,000,000 bytes when decompressed"):
        bounded(max_decoded_bytes=1_000_000).fetch_now(httpserver.url_for("/"))


def test_a_body_that_announces_too_much_is_not_read(raw_server):
    async def main():
        async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n") as (url, _):
            await bounded(max_bytes=1000).fetch(url)

    with pytest.raises(SourceRejectedError, match="over 1,000 bytes"):
        asyncio.run(main())


def test_a_body_that_announces_nothing_stops_at_its_cap(httpserver):
    httpserver.expect_request("/").respond_with_response(Response(bytes(100) for _ in range(1000)))
    with pytest.raises(SourceRejectedError, match="over 1,000 bytes"):
        bounded(max_bytes=1000).fetch_now(httpserver.url_for("/"))


def test_empty_compressed_blocks_count_as_they_come(raw_server):
    header = gzip.compress(b"")[:10]
    empty_blocks = b"\x00\x00\x00\xff\xff" * 1000
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"

    async def main():
        async with raw_server(head + header + empty_blocks) as (url, _):
            await bounded(max_bytes=1000).fetch(url)

    with pytest.raises(SourceRejectedError, match="over 1,000 bytes"):
        asyncio.run(main())


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_nobody_asked_for_is_rejected(client, httpserver, encoding):
    httpserver.expect_request("/").respond_with_data(b"x", headers={"Content-Encoding": encoding})
    with pytest.raises(SourceRejectedError, match="not asked for"):
        client.fetch_now(httpserver.url_for("/"))


def test_bytes_that_do_not_decompress_are_rejected(client, httpserver):
    httpserver.expect_request("/").respond_with_data(b"plain", headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceRejectedError, match="cannot be read"):
        client.fetch_now(httpserver.url_for("/"))


def test_a_server_that_sends_a_byte_now_and_then_ends_by_total_time(httpserver):
    gone = threading.Event()

    def trickle(_request):
        def pieces():
            for _ in range(100):
                if gone.wait(0.02):
                    break
                yield b"."

        return Response(pieces())

    httpserver.expect_request("/").respond_with_handler(trickle)
    with pytest.raises(SourceUnavailableError, match=r"took over 0\.3 seconds"):
        bounded(total_seconds=0.3).fetch_now(httpserver.url_for("/"))
    gone.set()
