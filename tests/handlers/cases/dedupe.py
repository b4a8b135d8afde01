from __future__ import annotations

NAMED_BY_USER = True

TEXT = " ".join(f"word{number}" for number in range(100))


def make_sample(house):
    return {"results": {"article": {"text": TEXT}}}


def make_endings(house):
    other = TEXT.replace("word", "other")
    house.run("dedupe", {"key": "first", "data": {"text": other}})
    return {
        "skip": {"key": "second", "data": {"text": other}},
        "never": {"results": {"embed": {"vector": [1]}}},
    }
