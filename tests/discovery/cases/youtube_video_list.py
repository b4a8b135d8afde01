from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good/oembed", "good")
    sources.serve("/empty/oembed", "empty")
    params = {"videos": ["dQw4w9WgXcQ"], "look_up": True}
    return case(
        good=params | {"base_url": sources.url("/good")},
        empty=params | {"base_url": sources.url("/empty")},
        networked=True,
    )
