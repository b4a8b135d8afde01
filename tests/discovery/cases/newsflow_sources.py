from __future__ import annotations


def make_case(sources, case):
    sources.serve("/feed.xml", "good")
    sources.serve("/news.xml", "good-sitemap")
    sources.serve("/council", "good-page")
    sources.serve("/search/news", "good-search", method="POST")
    sources.serve("/empty.xml", "empty")
    good = [
        sources.url("/feed.xml"),
        {"type": "sitemap", "url": sources.url("/news.xml"), "name": "Times"},
        {"type": "page", "url": sources.url("/council"), "selector": "a.news"},
        {"type": "search", "query": "apple"},
    ]
    return case(
        good={"sources": good, "api_key": "a-key", "base_url": sources.url("/search")},
        empty={"sources": [sources.url("/empty.xml")]},
        networked=True,
    )
