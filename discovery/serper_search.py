"""Pages that a web search finds."""

from __future__ import annotations

from discovery.base import FoundItem, canonical_url, hash_url
from discovery.search_dates import tell_search_date
from discovery.serper import Result, SerperDiscovery, SerperParams
from discovery.shapes import read_text, read_web_address, read_whole


class SerperSearch(SerperDiscovery):
    """
    Find pages by searching the web with Google, through serper.dev.

    A page that several searches found is one item. A search that fails does not stop the others.

    Key: the hash of the page's canonical address. Order: search by search, best first.
    Data: `{"url": str, "title": str, "snippet": str, "published_at": str | None, "position": int | None,
    "queries": list[str]}`: the instant is ISO in UTC, None unless the result shows one that is sure; `queries`
    are the searches that found it. One request for each page of each search; each costs a credit.
    Example: {strategy: serper_search, queries: ["site:example.org report"], tbs: weekly, api_key: "${SERPER_API_KEY}"}

    Source: serper.dev/playground.
    """

    class Params(SerperParams):
        """What to search the web for."""

    endpoint = "search"
    field = "organic"
    params: Params

    def make_item(self, result: Result) -> FoundItem:
        """Make the item of a page."""
        url = read_web_address(result.fields.get("link"))
        data = {
            "url": url,
            "title": read_text(result.fields.get("title")),
            "snippet": read_text(result.fields.get("snippet")),
            "published_at": tell_search_date(result.fields.get("date"), result.found_at),
            "position": read_whole(result.fields.get("position")),
        }
        return FoundItem(hash_url(canonical_url(url), 20) if url else "", data, source=result.query)
