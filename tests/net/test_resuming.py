"""Downloads that go on where they broke off, from servers of every kind."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import os
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from net.part_file import open_part, sweep_parts
from net.resuming import TRIES, download_rest
from pipeline.errors import SourceRejectedError, SourceUnavailableError

BODY = bytes(range(256)) * 40
ETAG = '"one"'


@contextmanager
def serve(*answers):
    """Answer each connection by the next of `answers`, a function of the request's text; hang up after each."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def work():
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        request = b""
                        while b"\r\n\r\n" not in request:
                            request += connection.recv(65_536)
                        asked.append(request.decode())
                        connection.sendall(answers[min(len(asked), len(answers)) - 1](asked[-1]))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.mp3", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(status="200 OK", body=b"", *, length=None, **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def whole(_request, body=BODY, sent=None, **headers):
    return answer(body=body[:sent], length=len(body), **({"ETag": ETAG} | headers))


def broken_at(sent, **headers):
    return lambda request: whole(request, sent=sent, **headers)


def first_byte(request):
    return int(re.search(r"Range: bytes=(\d+)-\r", request)[1])


def rest(request, body=BODY, etag=ETAG, **more):
    first = first_byte(request)
    headers = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}", "ETag": etag}
    return answer("206 Partial Content", body[first:], **headers | more)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def download(client, folder):
    """Download into the folder: what there is in the end, or at the error."""

    def run(url, max_bytes=10**6):
        with open_part(folder, url, max_bytes) as part:
            asyncio.run(download_rest(client, url, part, total_seconds=20, tell=lambda *_: None))
            part.flush()
            return part.path.read_bytes()

    return run


def size_of_part(folder):
    return sum(path.stat().st_size for path in folder.glob("*.part"))


def test_a_file_is_downloaded_whole_by_one_request(download):
    with serve(whole) as (url, asked):
        assert download(url) == BODY
    assert len(asked) == 1
    assert "\r\nrange:" not in asked[0].lower()


def test_a_connection_that_breaks_is_made_anew_and_only_the_rest_is_asked_for(download):
    with serve(broken_at(1000), rest) as (url, asked):
        assert download(url) == BODY
    assert first_byte(asked[1]) == 1000
    assert f"If-Range: {ETAG}" in asked[1]


def test_a_later_try_goes_on_where_an_earlier_one_ended(download, folder):
    def busy(_request):
        return answer("503 Service Unavailable", Retry_After="60")

    with serve(broken_at(3000), busy, rest) as (url, asked):
        with pytest.raises(SourceUnavailableError, match="503"):
            download(url)
        assert size_of_part(folder) == 3000
        assert download(url) == BODY
        assert first_byte(asked[2]) == 3000


def test_a_date_does_where_there_is_no_strong_etag(download):
    date = "Wed, 21 Oct 2025 07:28:00 GMT"
    weak = {"ETag": 'W/"one"', "Last_Modified": date}
    with serve(broken_at(1000, **weak), lambda asked: rest(asked, etag='W/"one"')) as (url, asked):
        assert download(url) == BODY
    assert f"If-Range: {date}" in asked[1]


def test_a_server_that_ignores_the_range_sends_all_of_it_again(download):
    with serve(broken_at(1000), whole) as (url, asked):
        assert download(url) == BODY
    assert first_byte(asked[1]) == 1000


@pytest.mark.parametrize(
    "headers", [{"ETag": ""}, {"ETag": 'W/"weak"'}, {"ETag": '"é"'}, {"Accept_Ranges": "none"}]
)
def test_what_cannot_be_told_apart_later_is_asked_for_whole(download, headers):
    with serve(broken_at(1000, **headers), whole) as (url, asked):
        assert download(url) == BODY
    assert "\r\nrange:" not in asked[1].lower()


def test_a_file_that_changed_meanwhile_is_never_patched_together(download):
    other = bytes(reversed(BODY))

    def changed(_request):
        return answer(body=other, ETag='"two"')

    with serve(broken_at(1000), changed) as (url, _):
        assert download(url) == other


@pytest.mark.parametrize(
    "lie",
    [
        lambda asked: rest(asked, etag='"two"'),
        lambda asked: rest(asked, body=BODY + b"more"),
        lambda _: answer(
            "206 Partial Content",
            BODY[500:-500],
            Content_Range=f"bytes 500-{len(BODY) - 501}/{len(BODY)}",
            ETag=ETAG,
        ),
        lambda asked: rest(asked, Content_Range="pages 1-2/3"),
        lambda asked: rest(asked, Content_Encoding="gzip"),
        lambda _: answer("416 Range Not Satisfiable", Content_Range=f"bytes */{len(BODY)}"),
    ],
    ids=["other etag", "other length", "other place", "no range", "packed", "refused"],
)
def test_a_part_that_is_not_the_rest_is_thrown_away_and_all_is_asked_for(download, lie):
    with serve(broken_at(1000), lie, whole) as (url, asked):
        assert download(url) == BODY
    assert "\r\nrange:" not in asked[2].lower()


def test_a_server_that_never_gives_the_part_is_given_up(download):
    def spiteful(request):
        return (
            answer("416 Range Not Satisfiable") if "range:" in request.lower() else broken_at(1000)(request)
        )

    with serve(spiteful) as (url, asked), pytest.raises(SourceRejectedError, match="never gives the part"):
        download(url)
    assert len(asked) == TRIES


def test_a_part_that_nobody_asked_for_is_refused(download):
    partial = answer("206 Partial Content", b"abc", Content_Range="bytes 0-2/9")
    with serve(lambda _: partial) as (url, _), pytest.raises(SourceRejectedError, match="a part of what"):
        download(url)


def test_a_length_that_is_a_lie_ends_as_a_failure_to_be_retried(download, folder):
    nothing_more = answer("206 Partial Content", b"", Content_Range=f"bytes 1000-{len(BODY) - 1}/{len(BODY)}")
    with serve(broken_at(1000), lambda _: nothing_more) as (url, asked):
        with pytest.raises(SourceUnavailableError, match="ended after 1,000 of 10,240 bytes"):
            download(url)
        assert len(asked) == 2
    assert size_of_part(folder) == 1000


def test_more_than_was_spoken_of_is_refused(download, folder):
    def too_much(request):
        first = first_byte(request)
        head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{len(BODY) - 1}/{len(BODY)}\r\n"
        return head.encode() + b"Connection: close\r\n\r\n" + BODY[first:] + b"and more"

    with (
        serve(broken_at(1000), too_much) as (url, _),
        pytest.raises(SourceRejectedError, match="spoke of 10,240"),
    ):
        download(url)
    assert size_of_part(folder) == 0


@pytest.mark.parametrize("said", [True, False])
def test_a_file_over_the_cap_is_refused_and_leaves_nothing(download, folder, said):
    def unsaid(_request):
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY

    with (
        serve(whole if said else unsaid) as (url, _),
        pytest.raises(SourceRejectedError, match="over 100 bytes"),
    ):
        download(url, max_bytes=100)
    assert size_of_part(folder) == 0


def test_a_file_announced_over_the_cap_is_refused_before_any_of_it_comes(download, folder):
    with (
        serve(broken_at(0, Content_Type="audio/mpeg")) as (url, asked),
        pytest.raises(SourceRejectedError, match="over 100 bytes"),
    ):
        download(url, max_bytes=100)
    assert len(asked) == 1


def test_the_servers_own_hash_is_checked(download, folder):
    def with_digest(digest):
        named = f"sha-256=:{base64.b64encode(digest).decode()}:"
        return lambda request: whole(request, Repr_Digest=named)

    right, wrong = hashlib.sha256(BODY).digest(), bytes(32)
    with serve(with_digest(right)) as (url, _):
        assert download(url) == BODY
    with (
        serve(with_digest(wrong)) as (url, _),
        pytest.raises(SourceUnavailableError, match="its own SHA-256"),
    ):
        download(url)
    assert size_of_part(folder) == len(BODY)  # the first one


def test_the_hash_of_a_packed_file_is_not_that_of_the_file(download):
    packed = gzip.compress(BODY)
    named = f"sha-256=:{base64.b64encode(hashlib.sha256(packed).digest()).decode()}:"
    with serve(lambda _: answer(body=packed, Content_Encoding="gzip", Repr_Digest=named)) as (url, _):
        assert download(url) == BODY


def test_a_whole_file_is_not_asked_for_again(download):
    with serve(whole) as (url, asked):
        assert download(url) == download(url) == BODY
    assert len(asked) == 1


@pytest.mark.parametrize("note", [b"", b"{", b'{"url": 1, "no": 2}', b"[1]", b"\xff"])
def test_a_note_that_is_broken_begins_anew(download, folder, note):
    with serve(broken_at(1000), lambda _: answer("500 Oops"), whole) as (url, asked):
        with pytest.raises(SourceUnavailableError):
            download(url)
        next(folder.glob("*.json")).write_bytes(note)
        assert download(url) == BODY
        assert "\r\nrange:" not in asked[2].lower()


def test_two_at_once_do_not_write_into_one_file(folder):
    url = "http://127.0.0.1/a.mp3"
    with open_part(folder, url, 10):
        with (
            pytest.raises(SourceUnavailableError, match="by another stage") as caught,
            open_part(folder, url, 10),
        ):
            pass
        assert caught.value.retry_after_seconds
        with open_part(folder, url + "?other", 10):
            pass


def test_what_nobody_goes_on_with_is_swept_away(folder):
    with open_part(folder, "http://127.0.0.1/old", 10), open_part(folder, "http://127.0.0.1/new", 10):
        pass
    old = min(folder.glob("*.part"))
    os.utime(old, (time.time() - 100,) * 2)
    assert sweep_parts(folder, 50) == 1
    assert not old.exists()
    assert len(list(folder.glob("*.part"))) == 1
