from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good.csv", "good")
    sources.serve("/empty.csv", "empty")
    return case(
        good={"path": sources.url("/good.csv"), "key": "column"},
        empty={"path": sources.url("/empty.csv"), "key": "column"},
        networked=True,
    )
