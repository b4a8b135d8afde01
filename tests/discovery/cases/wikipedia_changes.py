from __future__ import annotations


def make_case(sources, case):
    sources.serve("/w/api.php", "good-2")
    sources.serve("/empty/w/api.php", "empty")
    return case(
        good={"base_url": sources.url("/w/api.php")},
        empty={"base_url": sources.url("/empty/w/api.php")},
        networked=True,
    )
