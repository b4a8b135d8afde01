from __future__ import annotations


def make_case(sources, case):
    sources.serve("/cdx/search/cdx", "good")
    sources.serve("/empty/cdx/search/cdx", "empty")
    about = {"url": "archive.org/*", "max_pages": 1}
    return case(
        good={**about, "base_url": sources.url()},
        empty={**about, "base_url": sources.url("/empty")},
        networked=True,
    )
