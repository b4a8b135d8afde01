from __future__ import annotations


def make_case(sources, case):
    sources.serve("/v0/topstories.json", "good")
    sources.serve("/v0/item/8863.json", "good-story")
    sources.serve("/empty/topstories.json", "empty")
    return case(
        good={"base_url": sources.url("/v0")}, empty={"base_url": sources.url("/empty")}, networked=True
    )
