from __future__ import annotations


def make_case(sources, case):
    sources.serve("/r/programming/new.json", "good")
    sources.serve("/r/quiet/new.json", "empty")
    good, empty = ({"subreddit": name, "base_url": sources.url()} for name in ("programming", "quiet"))
    return case(good=good, empty=empty, networked=True)
