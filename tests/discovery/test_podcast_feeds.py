from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from discovery.base import canonical_url, hash_url
from discovery.podcast_feeds import PodcastFeeds

NAMES_OF_FILES = {"no_guid", "no_title"}
"""Where podcastparser makes a title of the name of the file; we leave it empty."""

LINKS_FOR_ENCLOSURES = {"no_enclosure"}
"""Where it takes the link for an enclosure; we leave the entry out, and count it."""

SDIST = Path(__file__).parent / "corpus" / "podcastparser-0.6.11.tar.gz"


def read_corpus():
    """Read the corpus: of each name, a podcast, and what podcastparser's authors say is to be read of it."""
    with tarfile.open(SDIST) as archive:
        members = {Path(each.name).name: each for each in archive if "/tests/data/" in each.name}
        bodies = {name: archive.extractfile(each).read() for name, each in members.items() if each.isfile()}
    podcasts = {name.removesuffix(".rss") for name in bodies if name.endswith(".rss")}
    return {name: (bodies[f"{name}.rss"], json.loads(bodies[f"{name}.json"])) for name in sorted(podcasts)}


PODCASTS = read_corpus()


@pytest.fixture
def podcasts(sources_of, access):
    sources = sources_of("podcast_feeds")
    sources.serve("/podcast.xml", "good")
    return lambda path="/podcast.xml", **params: PodcastFeeds(
        {"feeds": [sources.url(path)], **params}, access
    )


@pytest.fixture
def serve(httpserver):
    def answer(items, path="/odd.xml"):
        body = (
            f'<rss xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>{items}</channel></rss>'
        )
        httpserver.expect_request(path).respond_with_data(body, content_type="text/xml")

    return answer


def test_an_episode_comes_with_all_that_its_podcast_says(discover, podcasts, httpserver):
    episode, _ = discover(podcasts())
    feed = hash_url(canonical_url(httpserver.url_for("/podcast.xml")))
    assert episode.key == f"{feed}:D03EEC9B-B1B4-475B-92C8-54F853FA2A22"
    assert episode.data == {
        "url": None,
        "title": "S02 EP04 Mt. Hood, Oregon",
        "published_at": "2026-01-06T01:15:00+00:00",
        "summary": "Tips for trekking around the tallest mountain in Oregon",
        "podcast": "Hiking Treks",
        "audio_url": "https://example.org/podcasts/mt-hood.m4a",
        "audio_type": "audio/x-m4a",
        "audio_bytes": 8727310,
        "enclosures": [
            {
                "url": "https://example.org/podcasts/mt-hood.m4a",
                "type": "audio/x-m4a",
                "length": 8727310,
                "duration_seconds": None,
            }
        ],
        "duration_seconds": 4674,
        "season": 2,
        "episode": 4,
        "episode_type": "full",
        "explicit": True,
        "image_url": "https://example.org/mt-hood.png",
        "transcripts": [
            {"url": "https://example.org/mt-hood.srt", "type": "application/srt", "language": "en"},
            {"url": "https://example.org/mt-hood.html", "type": "text/html", "language": ""},
        ],
    }


def test_what_an_episode_does_not_say_is_none(discover, podcasts, serve):
    serve('<item><enclosure url="/a.mp3"/></item>')
    [item] = discover(podcasts("/odd.xml"))
    said = (
        "published_at",
        "audio_bytes",
        "duration_seconds",
        "season",
        "episode",
        "episode_type",
        "explicit",
    )
    assert [item.data[name] for name in said] == [None] * len(said)
    assert (item.data["image_url"], item.data["transcripts"]) == (None, [])


def test_an_entry_without_an_enclosure_is_counted_and_left_out(discover, podcasts):
    strategy = podcasts()
    assert len(discover(strategy)) == 2
    assert strategy.refused == {"entry without an enclosure": 1}


def test_an_episode_without_a_guid_is_found_again_by_its_enclosure(discover, podcasts, serve):
    serve('<item><enclosure url="http://a.org/a.mp3?x=1&y=2"/><itunes:duration>61</itunes:duration></item>')
    [item] = discover(podcasts("/odd.xml"))
    assert item.data["audio_url"] == "http://a.org/a.mp3?x=1&y=2"
    assert item.data["duration_seconds"] == 61
    assert item.key == hash_url("http://a.org/a.mp3?x=1&y=2", 20)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1:02:03", 3723), ("62:03", 3723), ("3723", 3723), ("3723.9", 3723), ("soon", None), ("-1", None)],
)
def test_a_duration_is_read_however_it_is_written(discover, podcasts, serve, written, seconds):
    serve(f'<item><enclosure url="/a"/><itunes:duration>{written}</itunes:duration></item>')
    assert discover(podcasts("/odd.xml"))[0].data["duration_seconds"] == seconds


def name_file(address):
    return address.rpartition("/")[2]


def test_the_corpus_holds_podcasts():
    assert len(PODCASTS) > 30
    assert sum(len(expected.get("episodes", ())) for _, expected in PODCASTS.values()) > 20


@pytest.mark.parametrize("name", sorted({*PODCASTS} - LINKS_FOR_ENCLOSURES))
def test_a_podcast_of_the_corpus_is_read_as_its_authors_say(discover, podcasts, httpserver, name):
    body, expected = PODCASTS[name]
    httpserver.expect_request("/corpus.xml").respond_with_data(body, content_type="text/xml")
    found = {name_file(item.data["audio_url"]): item.data for item in discover(podcasts("/corpus.xml"))}
    for episode in expected.get("episodes", ()):
        for enclosure in episode["enclosures"][:1]:
            data = found[name_file(enclosure["url"])]
            assert data["duration_seconds"] == (episode["total_time"] or None)
            assert data["title"] == ("" if name in NAMES_OF_FILES else episode["title"])
            assert data["season"] == episode.get("season")
            assert data["episode"] == episode.get("number")
            assert data["episode_type"] == episode.get("type")
