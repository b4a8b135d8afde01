"""The handler `feed_enclosure`, against real servers."""

from __future__ import annotations

import hashlib
import os
import time

import pytest
from werkzeug import Response

from handlers.desk import NoDesk
from handlers.feed_enclosure import FeedEnclosure
from handlers.running import run_handler
from net.part_file import open_part
from pipeline.errors import ArtifactError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip

SOUND = b"ID3" + bytes(range(256)) * 1000
SHA256 = hashlib.sha256(SOUND).hexdigest()


@pytest.fixture
def partial(make_context):
    return make_context().find_folder("partial")


@pytest.fixture
def url(httpserver):
    """Serve the sound, with ranges; each second connection breaks after 100,000 bytes."""
    breaks = iter([True, False] * 10)

    def answer(request):
        response = Response(
            SOUND, content_type="audio/mpeg", headers={"ETag": '"one"', "Accept-Ranges": "bytes"}
        )
        response.make_conditional(request, accept_ranges=True, complete_length=len(SOUND))
        if next(breaks):
            body = response.get_data()[:100_000]
            length = response.headers["Content-Length"]
            response.response = iter([body])
            response.headers["Content-Length"] = length
        return response

    httpserver.expect_request("/show/episode%201.mp3").respond_with_handler(answer)
    httpserver.expect_request("/show/episode 1.mp3").respond_with_handler(answer)
    return httpserver.url_for("/show/episode%201.mp3")


@pytest.fixture
def download(make_context):
    def run(data, **params):
        return run_handler(FeedEnclosure(params), make_context(data=data))

    return run


@pytest.fixture
def serve(httpserver):
    """Serve one answer; its address."""

    def run(body=SOUND, status=200, content_type="audio/mpeg", **headers):
        httpserver.expect_request("/a").respond_with_data(body, status, headers, content_type=content_type)
        return httpserver.url_for("/a")

    return run


def test_an_episode_is_kept_as_an_artifact_although_the_connection_breaks(
    download, url, make_context, partial, httpserver
):
    result = download({"audio_url": url})
    assert result == {
        "url": url,
        "content_type": "audio/mpeg",
        "body": {
            "artifact": f"sha256:{SHA256}",
            "name": "episode 1.mp3",
            "bytes": len(SOUND),
            "content_type": "audio/mpeg",
        },
        "bytes": len(SOUND),
        "sha256": SHA256,
    }
    assert make_context().open_artifact(result["body"]).read_bytes() == SOUND
    assert [request.headers.get("Range") for request, _ in httpserver.log] == [None, "bytes=100000-"]
    assert list(partial.iterdir()) == []


def test_the_first_enclosure_does_where_there_is_no_audio_url(download, url):
    entry = {"enclosures": [{"url": url, "type": "audio/mpeg"}, {"url": "http://127.0.0.1:1/"}]}
    assert download(entry)["sha256"] == SHA256
    assert download({"other": url}, url="{{ item.other }}")["sha256"] == SHA256


@pytest.mark.parametrize(
    "data", [{}, {"audio_url": None}, {"audio_url": 7}, {"enclosures": []}, {"enclosures": [1]}]
)
def test_an_item_without_an_enclosure_is_skipped(download, data):
    assert download(data) == Skip("the item has no enclosure")


def test_what_came_stays_for_the_next_attempt(download, httpserver, partial):
    def broken(_request):
        return Response(iter([SOUND[:5000]]), headers={"Content-Length": str(len(SOUND)), "ETag": '"1"'})

    httpserver.expect_ordered_request("/a").respond_with_handler(broken)
    httpserver.expect_ordered_request("/a").respond_with_data(status=503, headers={"Retry-After": "60"})
    httpserver.expect_ordered_request("/a", headers={"Range": "bytes=5000-"}).respond_with_data(
        SOUND[5000:],
        206,
        {"Content-Range": f"bytes 5000-{len(SOUND) - 1}/{len(SOUND)}", "ETag": '"1"'},
    )
    data = {"audio_url": httpserver.url_for("/a")}
    assert isinstance(download(data), RetryLater)
    assert len(list(partial.glob("*.part"))) == 1
    assert download(data)["sha256"] == SHA256
    assert list(partial.iterdir()) == []


def test_a_file_of_another_type_is_given_up(download, serve, partial):
    url = serve(b"<!doctype html><p>Please sign in")
    assert "is text/html, none of: audio/, video/" in download({"audio_url": url}).reason
    assert list(partial.iterdir()) == []
    assert download({"audio_url": url}, types=["text/"])["content_type"] == "text/html"


def test_the_feeds_own_word_does_where_server_and_bytes_say_nothing(download, serve):
    url = serve(b"\0\1\2", content_type="application/octet-stream")
    assert download({"audio_url": url, "audio_type": "audio/amr"})["content_type"] == "audio/amr"
    assert isinstance(download({"audio_url": url}), GiveUp)


def test_the_sha256_is_checked_where_it_is_known(download, serve):
    url = serve()
    assert download({"audio_url": url, "sum": SHA256.upper()}, sha256="{{ item.sum }}")["sha256"] == SHA256
    assert "not 0000" in download({"audio_url": url, "sum": "0" * 64}, sha256="{{ item.sum }}").reason
    assert "'sum' is not there" in download({"audio_url": url}, sha256="{{ item.sum }}").reason


def test_a_file_over_the_limit_is_given_up_and_leaves_nothing(download, serve, partial):
    assert "over 100 bytes" in download({"audio_url": serve()}, max_bytes=100).reason
    assert list(partial.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_given_up(download, serve, status):
    assert str(status) in download({"audio_url": serve(status=status)}).reason


@pytest.mark.parametrize("status", [500, 502])
def test_a_failing_server_is_left_to_the_stages_retries(download, serve, status):
    with pytest.raises(SourceUnavailableError, match=str(status)):
        download({"audio_url": serve(status=status)})


def test_another_stage_that_downloads_the_same_is_waited_for(download, url, partial):
    with open_part(partial, url, 10):
        assert isinstance(download({"audio_url": url}), RetryLater)


def test_what_nobody_goes_on_with_is_removed_after_seven_days(download, url, partial):
    for age_days in (6, 8):
        path = partial / f"{age_days}.part"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age_days * 86_400,) * 2)
    download({"audio_url": url})
    assert [path.name for path in partial.iterdir()] == ["6.part"]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/a.mp3", "javascript:1"])
def test_what_is_no_web_address_is_given_up(download, address):
    assert isinstance(download({"audio_url": address}), GiveUp)


def test_progress_is_told(make_context, url):
    context = make_context(data={"audio_url": url})
    run_handler(FeedEnclosure({}), context)
    assert context.desk.progress[1:] == (len(SOUND), "bytes")


def test_a_worker_that_does_not_reach_the_data_folder_says_so(make_context, url):
    context = make_context(data={"audio_url": url}, desk=NoDesk())
    with pytest.raises(ArtifactError, match="does not reach the tracker's folder"):
        run_handler(FeedEnclosure({}), context)
