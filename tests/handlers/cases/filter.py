from __future__ import annotations

NAMED_BY_USER = True


def make_sample(house):
    return {
        "params": {"where": "item.points > `100`"},
        "data": {"points": 101},
        "results": {"a": {"text": "x"}},
    }


def make_endings(house):
    return {
        "skip": {"params": {"where": "item.points > `100`"}, "data": {"points": 99}},
        "never": {"params": {"where": "length(item.points) > `1`"}, "data": {"points": 99}},
    }
