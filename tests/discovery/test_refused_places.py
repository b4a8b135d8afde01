"""A place in jobs.yaml at which no look could ever succeed is refused when the file is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from discovery.local_paths import check_local_path
from pipeline.catalog import STRATEGIES, STRATEGY, load

ROWS = {"key": "id"}
QUERY = {"key": "id", "query": "SELECT id FROM a"}
PLACES = {
    "csv_rows": lambda place: {**ROWS, "path": place},
    "html_links": lambda place: {"url": place},
    "json_api": lambda place: {"url": place},
    "newsflow_sources": lambda place: {"sources": [{"url": place}]},
    "newsflow_sources, in short": lambda place: {"sources": [place]},
    "opml_feeds": lambda place: {"url": place},
    "podcast_feeds": lambda place: {"feeds": [place]},
    "rss_feeds": lambda place: {"feeds": [{"url": place}]},
    "rss_feeds, in short": lambda place: {"feeds": [place]},
    "sitemap": lambda place: {"url": place},
}
"""By strategy: its parameters for an address."""

NO_ADDRESSES = [
    "example.org/feed",
    "//example.org",
    "ftp://example.org/f",
    "https:///feed",
    "http://[",
    "https://[::1/f",
    "http://example.org:99999/f",
    "http://:80/f",
    "http://two words.example/f",
]
ADDRESSES = [
    "https://example.org",
    "HTTP://me:secret@Example.ORG:8080/f?a=b#c",
    "http://[::1]/f",
    "https://bücher.example",
]


def make(name, params):
    return load(STRATEGY, name.partition(",")[0]).Params(**params)


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_web_address_is_refused_and_what_is_one_is_taken(name):
    for address in ADDRESSES:
        make(name, PLACES[name](address))
    for text in NO_ADDRESSES:
        if name == "csv_rows" and not text.startswith("http"):
            continue  # there it is a path
        with pytest.raises(ValidationError, match="not an http or https address"):
            make(name, PLACES[name](text))


BASES = [
    (name, field)
    for name in sorted(STRATEGIES)
    for field in load(STRATEGY, name).Params.model_fields
    if field.endswith("_url") and name != "object_store"  # which takes no password there
]


@pytest.mark.parametrize(("name", "field"), BASES)
def test_where_an_api_is_said_to_be_is_a_web_address(name, field):
    for address in [*ADDRESSES, *NO_ADDRESSES]:
        with pytest.raises(ValidationError) as refused:
            make(name, {field: address, "no_such_parameter": 1})
        wrong = {each["loc"][0] for each in refused.value.errors()}
        assert (field in wrong) == (address in NO_ADDRESSES)


PATHS = {
    "csv_rows": lambda path: {**ROWS, "path": path},
    "opml_feeds": lambda path: {"path": path},
    "sql_query": lambda path: {**QUERY, "database": path},
}


@pytest.mark.parametrize("name", PATHS)
def test_a_relative_path_that_leads_out_is_refused_and_any_other_is_taken(name, tmp_path, monkeypatch):
    here = tmp_path / "house"
    here.mkdir()
    monkeypatch.chdir(here)
    for path in ("a.db", "in/../a.db", "..a/b", "../house/a.db", str(tmp_path / "a.db"), "~/a.db"):
        make(name, PATHS[name](path))
    for path in ("../a.db", "in/../../a.db", "../houses/a.db", ".."):
        with pytest.raises(ValidationError, match="leads out of the folder where Celeriac runs"):
            make(name, PATHS[name](path))


NULS = {
    **PATHS,
    "imap_mailbox": lambda path: {"host": "a.example", "user": "a", "password": "b", "ca_file": path},
    "local_files": lambda path: {"root": path},
    "object_store": lambda path: {"url": f"file:///{path}"},
    "youtube_video_list": lambda path: {"path": path},
}


@pytest.mark.parametrize("name", NULS)
def test_a_path_with_a_nul_in_it_is_refused(name):
    make(name, NULS[name]("a b"))
    with pytest.raises(ValidationError, match="a path cannot hold the character NUL"):
        make(name, NULS[name]("a\0b"))


def test_a_link_is_not_followed_to_say_where_a_path_leads(tmp_path, monkeypatch):
    (tmp_path / "out").symlink_to("..")
    monkeypatch.chdir(tmp_path)
    assert check_local_path("out/a.csv") == "out/a.csv"
