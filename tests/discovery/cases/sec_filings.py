from __future__ import annotations


def make_case(sources, case):
    sources.serve("/files/company_tickers.json", "tickers")
    sources.serve("/submissions/CIK0000320193.json", "good")
    sources.serve("/submissions/CIK0000000001.json", "empty")
    places = {name: sources.url() for name in ("www_url", "data_url", "search_url")}
    return case(good={"companies": ["AAPL"], **places}, empty={"companies": ["1"], **places}, networked=True)
