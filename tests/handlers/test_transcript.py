"""The handler `transcript`, over files and over YouTube's answers on a real socket."""

from __future__ import annotations

import pytest
from youtube_pages import PLAYER, TIMED_TEXT, VIDEO_ID, write_captions, write_page, write_refusal

from handlers.running import run_handler
from handlers.transcript import Transcript
from net.client import PoliteClient
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip

SRT = "1\n00:00:01,000 --> 00:00:02,500\nGood <i>morning</i>\n"
VTT = "WEBVTT\nLanguage: de\n\n00:01.000 --> 00:03.000\nGuten Morgen\n"


@pytest.fixture
def read(make_context):
    def run(data=None, results=None, **params):
        return run_handler(Transcript(params), make_context(data=data or {}, results=results or {}))

    return run


# -- files ------------------------------------------------------------------------------------------------


def test_an_artifact_is_read(read, make_context):
    pointer = make_context().artifact("talk.srt", b"\xef\xbb\xbf" + SRT.encode())
    assert read(results={"feed_enclosure": {"body": pointer}}) == {
        "text": "Good morning",
        "language": None,
        "format": "srt",
        "generated": None,
        "cues": [{"start_seconds": 1.0, "end_seconds": 2.5, "text": "Good morning", "speaker": None}],
        "duration_seconds": 2.5,
        "broken_cues": 0,
    }


def test_the_text_of_a_needed_result_is_read_the_nearest_first(read):
    results = {"first": {"text": SRT}, "fetch": {"text": VTT}, "article": {"text": "no subtitles"}}
    result = read(results=results)
    assert (result["text"], result["language"], result["format"]) == ("Guten Morgen", "de", "vtt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_file_of_any_usual_encoding_is_read(read, make_context, encoding):
    pointer = make_context().artifact("talk.srt", SRT.replace("morning", "Grüße").encode(encoding))
    assert read(results={"fetch": {"body": pointer}})["text"] == "Good Grüße"


def test_an_address_of_a_file_is_read(read, httpserver):
    httpserver.expect_request("/a.vtt").respond_with_data(VTT)
    assert read({"file": httpserver.url_for("/a.vtt")}, url="{{ item.file }}")["text"] == "Guten Morgen"


def test_of_a_podcasts_transcripts_the_best_is_read(read, httpserver):
    httpserver.expect_request("/en.srt").respond_with_data(SRT)
    httpserver.expect_request("/de.vtt").respond_with_data(VTT)
    offered = [
        {"url": httpserver.url_for("/x.html"), "type": "text/html", "language": "en"},
        {"url": httpserver.url_for("/de.vtt"), "type": "text/vtt", "language": "de"},
        {
            "url": httpserver.url_for("/en.srt"),
            "type": "application/x-subrip; charset=utf-8",
            "language": "en-GB",
        },
        7,
    ]
    assert read({"transcripts": offered})["text"] == "Good morning"
    assert read({"transcripts": offered}, languages=["de"])["text"] == "Guten Morgen"


def test_the_items_own_text_is_read_if_it_is_one_of_subtitles(read):
    assert read({"text": SRT})["text"] == "Good morning"
    assert read({"text": "prose"}) == Skip("the item has neither a video of YouTube nor subtitles")


def test_the_cues_may_be_left_out(read):
    assert read({"text": SRT}, cues=False)["cues"] == []


def test_what_is_too_large_refused_or_no_subtitles_is_given_up(read, httpserver, make_context):
    httpserver.expect_request("/a.srt").respond_with_data("x" * 100)
    url = httpserver.url_for("/a.srt")
    assert "over 10 bytes" in read(url=url, max_bytes=10).reason
    assert "no subtitles in it" in read(url=url).reason
    pointer = make_context().artifact("talk.srt", SRT.encode())
    assert "more than max_bytes (10)" in read(results={"fetch": {"body": pointer}}, max_bytes=10).reason
    assert isinstance(read(url="http://10.0.0.1/a.srt"), GiveUp)


# -- YouTube ----------------------------------------------------------------------------------------------


@pytest.fixture
def youtube(httpserver, read):
    """Answer as YouTube does, and read a video's captions."""

    def run(player, data=None, **params):
        httpserver.expect_request("/watch", query_string={"v": VIDEO_ID}).respond_with_data(
            write_page(PLAYER)
        )
        asked = httpserver.expect_request("/youtubei/v1/player", method="POST", query_string={"key": "key-1"})
        asked.respond_with_json(player)
        httpserver.expect_request("/api/timedtext").respond_with_data(TIMED_TEXT, content_type="text/xml")
        return read(data or {"video_id": VIDEO_ID}, base_url=httpserver.url_for("/"), **params)

    return run


def list_asked(httpserver):
    return [request.full_path for request, _ in httpserver.log]


def test_the_captions_of_a_video_are_read(youtube, httpserver):
    assert youtube(write_captions(("en", False))) == {
        "text": 'Good morning\nto "celeriac"',
        "language": "en",
        "format": "youtube",
        "generated": False,
        "cues": [
            {"start_seconds": 0.5, "end_seconds": 1.75, "text": "Good morning", "speaker": None},
            {"start_seconds": 1.75, "end_seconds": 3.75, "text": 'to "celeriac"', "speaker": None},
        ],
        "duration_seconds": 3.75,
        "broken_cues": 0,
    }
    assert len(httpserver.log) == 3
    assert all(request.headers["User-Agent"].startswith("Celeriac") for request, _ in httpserver.log)


@pytest.mark.parametrize(
    "url", [f"https://youtu.be/{VIDEO_ID}", f"https://www.youtube.com/watch?v={VIDEO_ID}&t=1"]
)
def test_any_address_of_a_video_does(youtube, url):
    assert youtube(write_captions(("en", False)), {"url": url})["language"] == "en"


@pytest.mark.parametrize(
    ("params", "language", "generated"),
    [
        ({}, "en", False),
        ({"languages": ["de", "en"]}, "de", True),
        ({"languages": ["pt", "en"]}, "pt-BR", False),
        ({"languages": ["xx"], "other_languages": True}, "pt-BR", False),
    ],
)
def test_the_captions_that_fit_best_are_taken(youtube, params, language, generated):
    tracks = write_captions(("en", True), ("pt-BR", False), ("de", True), ("en", False))
    result = youtube(tracks, **params)
    assert (result["language"], result["generated"]) == (language, generated)


def test_a_video_without_such_captions_is_skipped(youtube):
    assert youtube(write_captions(("de", True)), generated=False) == Skip(
        "no captions in en; there are: none"
    )


def test_a_video_without_captions_in_these_languages_is_skipped_with_those_that_there_are(youtube):
    assert youtube(write_captions(("de", True), ("fr", False))) == Skip(
        "no captions in en; there are: fr, de"
    )


def test_a_video_without_any_captions_is_skipped(youtube):
    assert youtube(PLAYER) == Skip(f"the video {VIDEO_ID} has no captions")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("ERROR", "This video is unavailable"),
        ("LOGIN_REQUIRED", "This video may be inappropriate for some users."),
        ("UNPLAYABLE", "This video is private"),
    ],
)
def test_a_video_that_cannot_be_had_is_given_up(youtube, status, reason):
    assert VIDEO_ID in youtube(write_refusal(status, reason)).reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot"),
        ("LIVE_STREAM_OFFLINE", "Premieres in 3 hours"),
    ],
)
def test_a_block_and_a_video_to_come_are_for_later(youtube, status, reason):
    outcome = youtube(write_refusal(status, reason))
    assert isinstance(outcome, RetryLater)
    assert outcome.delay == 3600


def test_a_throttled_request_comes_back_when_it_may(read, httpserver):
    httpserver.expect_request("/watch").respond_with_data(status=429, headers={"Retry-After": "90"})
    assert read({"video_id": VIDEO_ID}, base_url=httpserver.url_for("/")).delay == 90


def test_a_failing_youtube_is_left_to_the_stages_retries(read, httpserver):
    httpserver.expect_request("/watch").respond_with_data(status=500)
    with pytest.raises(SourceUnavailableError, match="500"):
        read({"video_id": VIDEO_ID}, base_url=httpserver.url_for("/"))


def test_captions_that_point_elsewhere_are_not_fetched(youtube, httpserver):
    player = write_captions(("en", False))
    tracks = player["captions"]["playerCaptionsTracklistRenderer"]["captionTracks"]
    tracks[0]["baseUrl"] = httpserver.url_for("/api/timedtext")
    assert "is none of: youtu.be, youtube.com" in youtube(player).reason
    assert not any("timedtext" in path for path in list_asked(httpserver))


def test_no_proxy_of_the_environment_is_used(youtube, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert youtube(write_captions(("en", False)))["language"] == "en"


def test_a_private_address_is_not_asked_for_youtube(make_context, httpserver):
    handler = Transcript({"base_url": httpserver.url_for("/")})
    context = make_context(data={"video_id": VIDEO_ID}, http=PoliteClient(contact="a@example.org"))
    assert isinstance(run_handler(handler, context), GiveUp)
    assert httpserver.log == []
