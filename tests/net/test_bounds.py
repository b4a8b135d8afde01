from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
import zlib

import pytest
from werkzeug import Response

from net.client import PoliteClient
from net.unpacking import PIECE_BYTES, Unpacker
from pipeline.errors import SourceRejectedError, SourceUnavailableError


def bounded(**bounds):
    return PoliteClient(contact=None, allow_hosts=["127.0.0.1", "localhost"], **bounds)


def deflate_bare(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def test_a_compressed_answer_is_unpacked(client, httpserver):
    httpserver.expect_request("/").respond_with_data(
        gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"}
    )
    assert client.fetch_now(httpserver.url_for("/")).body == b"hello"


TEXT = bytes(range(256)) * 2000


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(TEXT), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (deflate_bare(TEXT), "deflate"),
        (zlib.compress(gzip.compress(TEXT)), "gzip, deflate"),
    ],
)
def test_a_compressed_answer_that_breaks_off_is_no_answer(raw_server, packed, encoding):
    async def fetch(body):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
        async with raw_server(head + body) as (url, _):
            return await bounded().fetch(url)

    assert asyncio.run(fetch(packed)).body == TEXT
    for length in (1, len(packed) // 2, len(packed) - 1):
        with pytest.raises(SourceUnavailableError, match="broke off"):
            asyncio.run(fetch(packed[:length]))


@pytest.mark.parametrize("tail", [b"", bytes(512), b"\0rubbish", b"\x1f"])
def test_all_members_of_gzip_are_unpacked_and_what_is_none_is_left_out(client, httpserver, tail):
    packed = gzip.compress(b"first ") + gzip.compress(b"") + bytes(3) + gzip.compress(b"second")
    httpserver.expect_request("/").respond_with_data(packed + tail, headers={"Content-Encoding": "gzip"})
    assert client.fetch_now(httpserver.url_for("/")).body == b"first second"


def test_it_does_not_matter_where_the_pieces_of_a_compressed_answer_begin():
    packed = gzip.compress(TEXT, 1) + gzip.compress(bytes(300_000)) + bytes(5) + gzip.compress(b"last")
    for step in (1, 1000, len(packed)):
        unpacker = Unpacker("gzip")
        pieces = [
            piece for at in range(0, len(packed), step) for piece in unpacker.feed(packed[at : at + step])
        ]
        assert b"".join(pieces) == TEXT + bytes(300_000) + b"last"
        assert max(map(len, pieces)) <= PIECE_BYTES
        assert unpacker.is_whole


def test_what_follows_the_last_member_of_gzip_is_not_kept():
    unpacker, zeros = Unpacker("gzip"), bytes(PIECE_BYTES)
    assert b"".join(unpacker.feed(gzip.compress(b"hello"))) == b"hello"
    tracemalloc.start()
    for _ in range(64):
        assert list(unpacker.feed(zeros)) == []
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * PIECE_BYTES
    assert unpacker.is_whole


def test_an_empty_body_may_be_called_compressed(client, httpserver):
    httpserver.expect_request("/").respond_with_data(b"", headers={"Content-Encoding": "gzip"})
    assert client.fetch_now(httpserver.url_for("/")).body == b""


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


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body_may_announce_the_length_of_any(raw_server, method, status):
    async def main():
        head = f"HTTP/1.1 {status} Fine\r\nContent-Length: 2000\r\nContent-Encoding: gzip\r\n\r\n"
        async with raw_server(head.encode()) as (url, _):
            return await bounded(max_bytes=1000).fetch(url, method=method, not_modified_ok=True)

    fetched = asyncio.run(main())
    assert (fetched.status, fetched.body, fetched.headers["content-length"]) == (status, b"", "2000")


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


def test_a_bomb_that_unpacks_to_nothing_but_another_stops_at_its_cap(raw_server):
    empty_blocks = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 1_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n"

    async def main():
        async with raw_server(head + gzip.compress(empty_blocks)) as (url, _):
            await bounded(max_decoded_bytes=1_000_000).fetch(url)

    with pytest.raises(SourceRejectedError, match="1,000,000 bytes when decompressed"):
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
