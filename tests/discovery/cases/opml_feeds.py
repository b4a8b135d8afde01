from __future__ import annotations


def make_case(sources, case):
    sources.serve("/feeds.opml", "good")
    sources.serve("/good.xml", "good-rss")
    sources.serve("/atom.xml", "good-atom")
    sources.serve("/empty.opml", "empty")
    return case(
        good={"url": sources.url("/feeds.opml")}, empty={"url": sources.url("/empty.opml")}, networked=True
    )
