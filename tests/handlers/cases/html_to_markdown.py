from __future__ import annotations

PAGE = "<html><body><main><h2>Roots</h2><p>They <b>keep</b> long.</p><ul><li>one<li>two</ul></main></body></html>"


def make_sample(house):
    return {"results": {"fetch": {"text": PAGE, "content_type": "text/html"}}}


def make_endings(house):
    return {
        "skip": {"data": {"text": "<html><body><script>render()</script></body></html>"}},
        "never": {"params": {"max_chars": 10}, "data": {"text": PAGE}},
    }
