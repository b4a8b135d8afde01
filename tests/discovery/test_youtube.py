from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from discovery.base import Recalled, digest_wanted
from discovery.memory import mark_validator
from discovery.youtube import find_channel_id, read_channel, read_playlist
from discovery.youtube_channel import YoutubeChannel
from discovery.youtube_playlist import YoutubePlaylist
from discovery.youtube_video_list import YoutubeVideoList
from pipeline.errors import SourceUnavailableError

CHANNEL = "UC0123456789abcdefghijkl"
PLAYLIST = "PLsample-0123456789"
FEED = "/feeds/videos.xml"


@pytest.fixture
def channel(access, sources_of):
    """Serve a channel's feed from a recording; give the strategy that reads it."""

    def start(recording="good", written=CHANNEL, access=access, **params):
        sources = sources_of("youtube_channel")
        sources.serve(FEED, recording, query_string={"channel_id": CHANNEL})
        return YoutubeChannel({"channels": [written], "base_url": sources.url(), **params}, access)

    return start


# -- what is written --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        (CHANNEL, CHANNEL),
        (f"https://www.youtube.com/channel/{CHANNEL}/videos", CHANNEL),
        (f"https://www.youtube.com/feeds/videos.xml?channel_id={CHANNEL}", CHANNEL),
        ("@sample", "@sample"),
        ("https://m.youtube.com/@sample/videos?view=0", "@sample"),
        ("youtube.com/c/Sample", "c/Sample"),
        ("https://youtube.com/user/sample", "user/sample"),
    ],
)
def test_a_channel_is_read_from_each_of_its_spellings(text, channel):
    assert read_channel(text) == channel


@pytest.mark.parametrize(
    "text", ["", "sample", "https://example.org/@sample", "https://[", "UC0123", "@a", "https://"]
)
def test_what_is_no_channel_is_refused_at_check(text):
    with pytest.raises(ValidationError, match="no channel of YouTube"):
        YoutubeChannel({"channels": [text]})


@pytest.mark.parametrize("text", [PLAYLIST, f"https://www.youtube.com/watch?v=dQw4w9WgXcQ&list={PLAYLIST}"])
def test_a_playlist_is_read_from_each_of_its_spellings(text):
    assert read_playlist(text) == PLAYLIST


@pytest.mark.parametrize("text", ["", "dQw4w9WgXcQ", f"https://example.org/?list={PLAYLIST}", "../../x"])
def test_what_is_no_playlist_is_refused_at_check(text):
    with pytest.raises(ValidationError, match="no playlist of YouTube"):
        YoutubePlaylist({"playlists": [text]})


def test_an_id_that_is_too_long_is_none():
    assert find_channel_id(f"https://www.youtube.com/channel/{CHANNEL}x") is None


# -- feeds ------------------------------------------------------------------------------------------------


def test_a_video_of_a_channel_comes_with_what_its_entry_says(channel, discover):
    first, second = discover(channel())
    assert first.key == "dQw4w9WgXcQ"
    assert first.data == {
        "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "video_id": "dQw4w9WgXcQ",
        "title": "Queues & clocks",
        "channel": "Sample Channel",
        "channel_id": CHANNEL,
        "published_at": "2026-11-20T15:00:09+00:00",
        "description": "How work waits.\n\nChapters:\n0:00 Start",
        "image_url": "https://i3.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg",
        "views": 10432,
    }
    assert (first.source, second.data["description"]) == (CHANNEL, "")


def test_a_video_has_changed_when_its_title_did_and_not_when_it_was_seen(
    access, discover, httpserver, sources_of
):
    body = sources_of("youtube_channel").recording("good").body

    def version(old=b"", new=b""):
        httpserver.clear()
        httpserver.expect_request(FEED).respond_with_data(body.replace(old, new) if old else body)
        strategy = YoutubeChannel({"channels": [CHANNEL], "base_url": httpserver.url_for("/")}, access)
        return discover(strategy)[0].version

    assert version(b"10432", b"99999") == version()
    assert version(b"Queues &amp;", b"Clocks &amp;") != version()


def test_a_handle_is_looked_up_on_its_page_and_remembered(channel, discover, sources_of, access, httpserver):
    kept = []
    sources_of("youtube_channel").serve("/@sample", "page")
    discover(channel(written="@sample", access=replace(access, receive=kept.append)))
    assert [batch.cursor for batch in kept if not batch.items] == [CHANNEL]
    recalled = replace(
        access, recall=lambda source: Recalled(cursor=CHANNEL if source == "@sample" else None)
    )
    httpserver.clear_log()
    assert len(discover(channel(written="@sample", access=recalled))) == 2
    assert [request.path for request, _ in httpserver.log] == [FEED]


def test_a_page_that_names_no_channel_is_rejected(channel, discover, sources_of):
    sources_of("youtube_channel").serve("/@sample", "broken")
    strategy = channel(written="@sample")
    with pytest.raises(SourceUnavailableError, match="names no channel"):
        discover(strategy)


@pytest.mark.parametrize("status", [404, 500])
def test_a_feed_that_is_not_there_now_may_be_there_later(access, discover, httpserver, status):
    httpserver.expect_request(FEED).respond_with_data("<html>", status)
    with pytest.raises(SourceUnavailableError, match=str(status)):
        discover(YoutubeChannel({"channels": [CHANNEL], "base_url": httpserver.url_for("/")}, access))


def test_a_feed_that_is_as_it_was_gives_nothing(discover, httpserver, access):
    httpserver.expect_request(FEED, headers={"If-None-Match": '"1"'}).respond_with_data("", 304)
    etag = mark_validator('"1"', digest_wanted(15))
    known = replace(access, recall=lambda _: Recalled(etag=etag))
    strategy = YoutubeChannel({"channels": [CHANNEL], "base_url": httpserver.url_for("/")}, known)
    assert discover(strategy) == []
    assert strategy.looks[CHANNEL].unchanged


def test_a_feed_that_breaks_off_gives_what_came_before(discover, access, httpserver, sources_of):
    whole = sources_of("youtube_channel").recording("good").body
    httpserver.expect_request(FEED).respond_with_data(whole[: whole.index(b"A short")])
    strategy = YoutubeChannel({"channels": [CHANNEL], "base_url": httpserver.url_for("/")}, access)
    assert "dQw4w9WgXcQ" in [item.key for item in discover(strategy)]
    assert "broke" in strategy.problems[0]


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "entity",
    [
        '<!ENTITY e "x">',
        '<!ENTITY e SYSTEM "file:///etc/hostname">',
        f'<!ENTITY e0 "x">{BOMB}<!ENTITY e "&e11;">',
    ],
)
def test_entities_are_not_unpacked(discover, access, httpserver, entity):
    entry = "<entry><yt:videoId>dQw4w9WgXcQ</yt:videoId><title>a&e;b</title></entry>"
    names = 'xmlns="http://www.w3.org/2005/Atom" xmlns:yt="http://www.youtube.com/xml/schemas/2015"'
    httpserver.expect_request(FEED).respond_with_data(
        f"<!DOCTYPE feed [{entity}]><feed {names}>{entry}</feed>"
    )
    strategy = YoutubeChannel({"channels": [CHANNEL], "base_url": httpserver.url_for("/")}, access)
    assert [item.data["title"] for item in discover(strategy)] == ["a"]


def test_a_video_of_a_playlist_comes_with_the_playlist(access, discover, sources_of):
    sources = sources_of("youtube_playlist")
    sources.serve(FEED, "good", query_string={"playlist_id": PLAYLIST})
    first, _ = discover(YoutubePlaylist({"playlists": [PLAYLIST], "base_url": sources.url()}, access))
    assert (first.data["playlist"], first.data["playlist_id"]) == ("Talks worth hearing", PLAYLIST)


def test_a_playlist_that_fails_does_not_stop_the_others(access, discover, sources_of):
    sources = sources_of("youtube_playlist")
    sources.serve(FEED, "good", query_string={"playlist_id": PLAYLIST})
    sources.serve(FEED, "broken", query_string={"playlist_id": f"{PLAYLIST}x"})
    strategy = YoutubePlaylist({"playlists": [f"{PLAYLIST}x", PLAYLIST], "base_url": sources.url()}, access)
    assert len(discover(strategy)) == 2
    assert "Atom" in strategy.looks[f"{PLAYLIST}x"].error


# -- written lists ----------------------------------------------------------------------------------------


@pytest.fixture
def written(access, tmp_path):
    def start(text="", **params):
        path = tmp_path / "videos.txt"
        path.write_text(text, encoding="utf-8")
        return YoutubeVideoList({"path": path, **params}, access)

    return start


def test_videos_come_from_the_job_and_from_the_file_each_once(written, discover):
    text = "\ufeff# talks\nhttps://youtu.be/dQw4w9WgXcQ?t=4  # again\n\n  aaaaaaaaaaa\n#bbbbbbbbbbb\n"
    strategy = written(text, videos=["https://www.youtube.com/watch?v=dQw4w9WgXcQ"])
    assert [item.key for item in discover(strategy)] == ["dQw4w9WgXcQ", "aaaaaaaaaaa"]
    assert (strategy.refused, strategy.problems) == ({}, [])


def test_what_is_no_video_is_counted_and_told(written, discover):
    strategy = written("nonsense\nhttps://example.org/watch?v=dQw4w9WgXcQ\naaaaaaaaaaa\n")
    assert [item.key for item in discover(strategy)] == ["aaaaaaaaaaa"]
    assert strategy.refused == {"no key": 2}
    assert "nonsense" in strategy.problems[0]


def test_many_wrong_ones_are_told_in_few_words(written, discover):
    strategy = written("nonsense\n" * 1000)
    assert discover(strategy) == []
    assert strategy.refused == {"no key": 1000}
    assert len(strategy.problems) == 11


def test_a_file_that_is_not_there_is_unavailable(access, discover, tmp_path):
    with pytest.raises(SourceUnavailableError, match=r"absent\.txt"):
        discover(YoutubeVideoList({"path": tmp_path / "absent.txt"}, access))


def test_nothing_is_asked_unless_wanted(written, discover, httpserver):
    discover(written("aaaaaaaaaaa", base_url=httpserver.url_for("/")))
    assert not httpserver.log


@pytest.fixture
def look_up(written, sources_of):
    sources = sources_of("youtube_video_list")

    def start(recording, video_id="dQw4w9WgXcQ"):
        url = f"https://www.youtube.com/watch?v={video_id}"
        sources.serve("/oembed", recording, query_string={"url": url, "format": "json"})
        return written("dQw4w9WgXcQ\naaaaaaaaaaa", look_up=True, base_url=sources.url())

    return start


def test_a_video_that_is_looked_up_has_its_title_and_channel(look_up, discover):
    look_up("empty", "aaaaaaaaaaa")
    strategy = look_up("good")
    (item,) = discover(strategy)
    assert (item.data["title"], item.data["channel"]) == ("Queues & clocks", "Sample Channel")
    assert strategy.problems == ["YouTube has no video aaaaaaaaaaa"]


def test_a_private_video_comes_without_a_title(look_up, discover):
    look_up("empty", "aaaaaaaaaaa")
    (item,) = discover(look_up("private"))
    assert (item.key, item.data["title"]) == ("dQw4w9WgXcQ", "")


def test_a_video_of_which_nothing_is_told_is_left_for_later(look_up, discover):
    look_up("broken", "aaaaaaaaaaa")
    strategy = look_up("good")
    assert len(discover(strategy)) == 1
    assert strategy.refused == {"video could not be had": 1}
