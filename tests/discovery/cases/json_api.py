from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good", "good", query_string="")
    sources.serve("/good", "good-2", query_string="after=b")
    sources.serve("/empty", "empty")
    about = {"items": "posts", "data": "{title: title, url: link}", "published_at": "created"}
    paging = {"by": "cursor", "next": "meta.next", "parameter": "after"}
    return case(
        good={"url": sources.url("/good"), **about, "paging": paging},
        empty={"url": sources.url("/empty"), **about},
        networked=True,
    )
