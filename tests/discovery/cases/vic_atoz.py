from __future__ import annotations


def make_case(sources, case):
    sources.serve("/ideas/atoz/A-C/last10", "good")
    sources.serve("/ideas/atoz/D-F/last10", "empty")
    url = sources.url("/ideas/atoz/") + "{letters}/{period}"
    good, empty = (
        {"url": url, "values": {"letters": [letters], "period": ["last10"]}} for letters in ("A-C", "D-F")
    )
    return case(good=good, empty=empty, networked=True)
