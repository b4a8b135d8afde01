from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from discovery.base import Access
from net.client import PoliteClient

FEED = """<?xml version="1.0"?>
<rss version="2.0"><channel><title>Sample</title>{items}</channel></rss>"""
ENTRY = "<item><guid>https://example.org/1</guid><link>https://example.org/1</link><title>One</title></item>"
STORY = {"id": 1, "type": "story", "title": "One", "by": "me", "score": 3, "url": "https://example.org/1"}
TRACKED = {"key": "a", "data": {"n": 1}, "status": "done", "results": {"read": {"ok": True}}}


def read_items(job_id, *, stage, status, limit):
    """Read from a tracker that holds one item of the job `full`, and nothing else."""
    return [TRACKED] if job_id == "full" else []


@pytest.fixture
def access():
    client = PoliteClient(contact=None, allow_hosts=["127.0.0.1", "localhost"], total_seconds=20)
    return Access(http=client, read_items=read_items, job="sample")


@pytest.fixture
def discover():
    """Run a strategy's discovery to its end."""
    return lambda strategy: asyncio.run(strategy.discover())


@dataclass(frozen=True)
class Case:
    """A strategy's parameters at a source that gives something (`good`) and at one that gives nothing."""

    good: dict
    empty: dict
    networked: bool = False


@pytest.fixture
def cases(httpserver, tmp_path):
    """Set up sources, and list the conformance test's cases, one for each strategy of the catalogue."""
    (tmp_path / "full").mkdir()
    (tmp_path / "bare").mkdir()
    (tmp_path / "full" / "a.txt").write_text("hello")
    httpserver.expect_request("/good.xml").respond_with_data(FEED.format(items=ENTRY))
    httpserver.expect_request("/empty.xml").respond_with_data(FEED.format(items=""))
    httpserver.expect_request("/good/topstories.json").respond_with_json([1])
    httpserver.expect_request("/good/item/1.json").respond_with_json(STORY)
    httpserver.expect_request("/empty/topstories.json").respond_with_json([])
    at = httpserver.url_for
    return {
        "hacker_news": Case({"base_url": at("/good")}, {"base_url": at("/empty")}, networked=True),
        "local_files": Case({"root": tmp_path / "full"}, {"root": tmp_path / "bare"}),
        "manual": Case({"items": ["a"]}, {"items": []}),
        "rss_feeds": Case({"feeds": [at("/good.xml")]}, {"feeds": [at("/empty.xml")]}, networked=True),
        "tracker_query": Case({"job": "full"}, {"job": "bare"}),
    }
