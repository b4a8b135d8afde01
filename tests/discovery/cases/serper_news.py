from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good/news", "good", method="POST")
    sources.serve("/empty/news", "empty", method="POST")
    params = {"queries": ["sample"], "api_key": "a-key"}
    return case(
        good=params | {"base_url": sources.url("/good")},
        empty=params | {"base_url": sources.url("/empty")},
        networked=True,
    )
