from __future__ import annotations


def make_case(sources, case):
    sources.serve("/good/news", "good", method="POST")
    sources.serve("/empty/news", "empty", method="POST")

    def watch(folder):
        searches = [{"strategy": "serper_news", "base_url": sources.url(folder)}]
        return {"companies": [{"name": "Apple"}], "searches": searches, "api_key": "a-key"}

    return case(good=watch("/good"), empty=watch("/empty"), networked=True)
