from __future__ import annotations


def make_sample(house):
    return {"data": {"text": "import os\n"}}


def make_endings(house):
    return {"skip": {}, "never": {"data": {"text": "import import"}}}
