from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good/api/query", "good")
    sources.serve("/empty/api/query", "empty")
    return case(
        good={"categories": ["cs.DB"], "base_url": sources.url("/good")},
        empty={"query": "all:zxqv", "base_url": sources.url("/empty")},
        networked=True,
    )
