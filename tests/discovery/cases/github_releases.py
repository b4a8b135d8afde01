from __future__ import annotations


def make_case(sources, case):
    sources.serve("/repos/sample/works/releases", "good", query_string={"per_page": "2", "page": "1"})
    sources.serve("/repos/sample/bare/releases", "empty")
    params = {"limit": 2, "base_url": sources.url()}
    return case(
        good={"repositories": ["sample/works"], **params},
        empty={"repositories": ["sample/bare"], **params},
        networked=True,
    )
