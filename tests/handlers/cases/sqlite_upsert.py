from __future__ import annotations

PARAMS = {
    "database": "library.db",
    "table": "roots",
    "key": ["id"],
    "values": {"id": "item.key", "n": "item.n"},
}


def make_sample(house):
    return {"params": PARAMS, "data": {"n": 1}}


def make_endings(house):
    return {"never": {"params": {**PARAMS, "key": ["n"]}, "data": {"n": None}}}
