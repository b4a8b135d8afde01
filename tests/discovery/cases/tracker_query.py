from __future__ import annotations


def make_case(sources, case):
    return case(good={"job": "full"}, empty={"job": "bare"})
