from __future__ import annotations


def make_case(sources, case):
    sources.serve("/podcast.xml", "good")
    sources.serve("/empty.xml", "empty")
    return case(
        good={"feeds": [sources.url("/podcast.xml")]},
        empty={"feeds": [sources.url("/empty.xml")]},
        networked=True,
    )
