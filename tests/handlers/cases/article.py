from __future__ import annotations

PROSE = "The root keeps through the winter. Its stalks have gone. " * 3


def make_sample(house):
    page = f"<html><body><article><p>{PROSE}</p></article></body></html>"
    return {"results": {"fetch": {"text": page, "content_type": "text/html"}}}


def make_endings(house):
    return {
        "skip": {"results": {"fetch": {"text": "<html><body><script>render()</script></body></html>"}}},
        "never": {"params": {"max_chars": 10}, "data": {"text": PROSE}},
    }
