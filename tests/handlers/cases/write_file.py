from __future__ import annotations


def make_sample(house):
    pointer = house.keep("roots.txt", b"Celeriac.\n")
    return {
        "params": {"path": "notes/{{ item.name }}.txt", "value": "results.fetch.body"},
        "data": {"name": "roots"},
        "results": {"fetch": {"body": pointer}},
    }


def make_endings(house):
    return {"never": {"params": {"path": "../{{ item.key }}", "content": "out"}}}
