from __future__ import annotations


def make_case(sources, case):
    return case(good={"items": ["a"]}, empty={"items": []})
