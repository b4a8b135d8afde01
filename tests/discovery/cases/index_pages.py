from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good/A", "good")
    sources.serve("/good/B", "good-B")
    sources.serve("/empty/A", "empty")
    good = {"url": sources.url("/good/") + "{value}", "values": ["A", "B"], "row": "dt"}
    return case(good=good, empty={"url": sources.url("/empty/") + "{value}", "values": ["A"]}, networked=True)
