from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good", "good")
    sources.serve("/empty", "empty")
    return case(good={"url": sources.url("/good")}, empty={"url": sources.url("/empty")}, networked=True)
