from __future__ import annotations

CHANNEL = "UC0123456789abcdefghijkl"


def make_case(sources, case):
    sources.serve("/@sample", "page")
    sources.serve("/feeds/videos.xml", "good", query_string={"channel_id": CHANNEL})
    sources.serve("/empty/feeds/videos.xml", "empty", query_string={"channel_id": CHANNEL})
    return case(
        good={"channels": ["@sample"], "base_url": sources.url()},
        empty={"channels": [CHANNEL], "base_url": sources.url("/empty")},
        networked=True,
    )
