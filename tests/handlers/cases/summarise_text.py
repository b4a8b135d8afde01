from __future__ import annotations


def make_sample(house):
    return {"data": {"text": "The root keeps through the winter. Its stalks have gone. " * 3}}


def make_endings(house):
    return {"skip": {"data": {"text": "…"}}}
