"""News that a web search finds."""

from __future__ import annotations

from discovery.base import FoundItem, canonical_url, hash_url
from discovery.search_dates import tell_search_date
from discovery.serper import Result, SerperDiscovery, SerperParams
from discovery.shapes import read_text, read_web_address


class SerperNews(SerperDiscovery):
    """
    Find news by searching Google News, through serper.dev.

    An article that several searches found is one item. A search that fails does not stop the others.

    Key: the hash of the article's canonical address. Order: search by search, in Google's order.
    Data: `{"url": str, "title": str, "snippet": str, "published_at": str | None, "publisher": str,
    "image_url": str | None, "queries": list[str]}`: the instant is ISO in UTC, as exact as the result shows it
    (`3 hours ago`), None when it is not sure; `queries` are the searches that found it. One request for each
    page of each search; each costs a credit.
    Example: {strategy: serper_news, queries: ["wind power", "solar power"], tbs: daily, api_key: "${SERPER_API_KEY}"}

    Source: serper.dev/playground.
    """

    class Params(SerperParams):
        """What to search the news for."""

    endpoint = "news"
    field = "news"
    params: Params

    def make_item(self, result: Result) -> FoundItem:
        """Make the item of an article."""
        url = read_web_address(result.fields.get("link"))
        data = {
            "url": url,
            "title": read_text(result.fields.get("title")),
            "snippet": read_text(result.fields.get("snippet")),
            "published_at": tell_search_date(result.fields.get("date"), result.found_at),
            "publisher": read_text(result.fields.get("source")),
            "image_url": read_web_address(result.fields.get("imageUrl")),
        }
        return FoundItem(hash_url(canonical_url(url), 20) if url else "", data, source=result.query)
