from __future__ import annotations


def make_case(sources, case):
    sources.serve("/sitemap.xml", "good")
    sources.serve("/pages.xml", "good-pages")
    sources.serve("/news.xml", "good-news")
    sources.serve("/empty.xml", "empty")
    return case(
        good={"url": sources.url("/sitemap.xml")}, empty={"url": sources.url("/empty.xml")}, networked=True
    )
