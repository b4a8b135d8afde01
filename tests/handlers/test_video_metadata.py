"""The handler `video_metadata`: the real yt-dlp over pages in YouTube's wire format, on a real socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from youtube_pages import CHANNEL_ID, PLAYER, VIDEO_ID, write_page, write_refusal
from yt_dlp.utils import DownloadError

from handlers.running import run_handler
from handlers.transcript import Transcript
from handlers.video_metadata import VideoMetadata
from net.client import PoliteClient
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip

FILM = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A film", "duration": "PT1M30S"}


@pytest.fixture
def ask(make_context):
    def run(data=None, context=None, **params):
        return run_handler(VideoMetadata(params), make_context(data=data or {}, **context or {}))

    return run


@pytest.fixture
def youtube(httpserver, ask):
    """Answer a video's page, and ask for what it says."""

    def run(player=PLAYER, data=None, **params):
        httpserver.expect_request("/watch").respond_with_data(write_page(player), content_type="text/html")
        httpserver.expect_request("/youtubei/v1/player").respond_with_json(player)
        return ask(data or {"video_id": VIDEO_ID}, base_url=httpserver.url_for("/"), **params)

    return run


def test_a_video_is_described_by_one_request(youtube, httpserver):
    result = youtube()
    assert result["chapters"][0] == {"start_seconds": 0, "end_seconds": 60, "title": "Begin"}
    assert {name: value for name, value in result.items() if name != "chapters"} == {
        "url": f"https://www.youtube.com/watch?v={VIDEO_ID}",
        "id": VIDEO_ID,
        "site": "youtube",
        "title": "Roots & stalks",
        "description": "About roots.\n0:00 Begin\n1:00 Middle\n2:00 End",
        "channel": "The Garden",
        "channel_id": CHANNEL_ID,
        "channel_url": f"https://www.youtube.com/channel/{CHANNEL_ID}",
        "published_at": "2026-11-25T09:02:03+00:00",
        "duration_seconds": 212,
        "views": 1234,
        "likes": None,
        "comments": None,
        "tags": ["celeriac", "winter"],
        "categories": ["Howto & Style"],
        "language": None,
        "captions": [],
        "live": None,
        "age_limit": 0,
        "image_url": "https://i.ytimg.com/vi/x/hq.jpg",
    }
    assert [request.path for request, _ in httpserver.log] == ["/watch"]
    assert httpserver.log[0][0].headers["User-Agent"].startswith("Celeriac")


def test_the_counts_may_be_left_out(youtube):
    assert youtube(counts=False)["views"] is None


@pytest.mark.parametrize(
    "data", [{"url": f"https://youtu.be/{VIDEO_ID}"}, {"v": f"https://m.youtube.com/shorts/{VIDEO_ID}"}]
)
def test_any_address_of_a_video_does(youtube, data):
    assert youtube(data=data, **({"url": "{{ item.v }}"} if "v" in data else {}))["id"] == VIDEO_ID


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("LOGIN_REQUIRED", "Private video"),
        ("ERROR", "Video unavailable"),
        ("ERROR", "This video has been removed by the uploader"),
        ("UNPLAYABLE", "Join this channel to get access to members-only content"),
        ("LOGIN_REQUIRED", "Sign in to confirm your age"),
        ("UNPLAYABLE", "The uploader has not made this video available in your country"),
    ],
)
def test_a_video_that_cannot_be_had_is_given_up(youtube, status, reason):
    outcome = youtube(write_refusal(status, reason))
    assert isinstance(outcome, GiveUp)
    assert VIDEO_ID in outcome.reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot"),
        ("UNPLAYABLE", "This content isn't available, try again later."),
        ("LIVE_STREAM_OFFLINE", "Premieres in 3 hours"),
        ("LIVE_STREAM_OFFLINE", "This live event will begin in 2 days."),
    ],
)
def test_a_throttle_and_a_video_to_come_are_for_later(youtube, status, reason):
    outcome = youtube(write_refusal(status, reason))
    assert isinstance(outcome, RetryLater)
    assert outcome.delay == 3600
    assert "--cookies" not in outcome.reason


@pytest.mark.parametrize("player", [{}, [], write_refusal("ODD", "Something else"), {"videoDetails": 7}])
def test_a_page_that_says_nothing_is_left_to_the_stages_retries(youtube, player):
    with pytest.raises(
        (SourceUnavailableError, DownloadError), match=r"says nothing of its|extract any player"
    ):
        youtube(player)


@pytest.mark.parametrize("status", [404, 410, 403])
def test_a_refusal_is_given_up(ask, httpserver, status):
    httpserver.expect_request("/watch").respond_with_data(status=status)
    assert isinstance(ask({"video_id": VIDEO_ID}, base_url=httpserver.url_for("/")), GiveUp)


def test_a_throttled_request_comes_back_when_it_may(ask, httpserver):
    httpserver.expect_request("/watch").respond_with_data(status=429, headers={"Retry-After": "90"})
    assert ask({"video_id": VIDEO_ID}, base_url=httpserver.url_for("/")).delay == 90


def test_a_failing_site_is_left_to_the_stages_retries(ask, httpserver):
    httpserver.expect_request("/watch").respond_with_data(status=500)
    with pytest.raises(SourceUnavailableError, match="500"):
        ask({"video_id": VIDEO_ID}, base_url=httpserver.url_for("/"))


# -- other sites ------------------------------------------------------------------------------------------


def test_another_site_is_asked_only_when_it_is_named(ask, httpserver):
    film = json.dumps(FILM | {"contentUrl": httpserver.url_for("/film.mp4")})
    page = f"<html><head><title>Films</title></head><script type='application/ld+json'>{film}</script></html>"
    httpserver.expect_request("/page").respond_with_data(page, content_type="text/html")
    httpserver.expect_request("/film.mp4").respond_with_data(b"", content_type="video/mp4")
    url = httpserver.url_for("/page")
    assert isinstance(ask({"url": url}), GiveUp)
    assert httpserver.log == []
    result = ask({"url": url}, sites=["generic"])
    assert (result["title"], result["site"], result["duration_seconds"]) == ("A film", "generic", 90)


def test_a_private_address_is_never_asked(ask, httpserver):
    context = {"http": PoliteClient(contact="a@example.org")}
    outcome = ask({"url": httpserver.url_for("/page")}, context, sites=["generic"])
    assert isinstance(outcome, GiveUp)
    assert "CELERIAC_ALLOW_HOSTS" in outcome.reason
    assert httpserver.log == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "ytsearch:celeriac",
        "no address",
        "-",
        "concat:/a",
        "http://[",
    ],
)
def test_what_is_no_web_address_is_given_up(ask, url):
    assert isinstance(ask({"url": url}, sites=["generic", "youtube"]), GiveUp)


@pytest.mark.parametrize("data", [{}, {"url": None}, {"url": " "}, {"url": 7}])
def test_an_item_without_a_video_is_skipped(ask, data):
    assert ask(data) == Skip("the item has no video")


def test_no_proxy_of_the_environment_is_used(youtube, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert youtube()["id"] == VIDEO_ID


def test_nothing_is_asked_after_the_deadline(ask, httpserver):
    with pytest.raises(SourceUnavailableError, match="stopped"):
        ask({"video_id": VIDEO_ID}, {"deadline": datetime.now(UTC)}, base_url=httpserver.url_for("/"))
    assert httpserver.log == []


@pytest.mark.parametrize("handler", [Transcript, VideoMetadata])
@pytest.mark.parametrize("address", ["www.youtube.com", "ftp://www.youtube.com", "http://["])
def test_where_youtube_is_said_to_be_is_a_web_address(handler, address):
    with pytest.raises(ValidationError, match="not an http or https address"):
        handler({"base_url": address})
