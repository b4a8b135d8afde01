from __future__ import annotations


def make_case(sources, case):
    return case(good={}, empty={"format": "jsonl", "key": "id"})  # no line of what is piped in is an object
