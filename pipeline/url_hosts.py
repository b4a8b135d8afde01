"""The host that an item is about, as its data says it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = re.compile(r"[hH][tT][tT][pP]\w?://(?:[^/?#\\@]*@)*([^/?#\\@:\[]+)")


def find_host(url: object) -> str | None:
    """
    Find the host in a web address, in lower case; None for anything else.

    >>> find_host("https://me:secret@News.Example.org:8080/a?b"), find_host("mailto:a@b.org"), find_host(None)
    ('news.example.org', None, None)
    """
    found = _HOST.match(url) if isinstance(url, str) else None
    return found[1].lower() if found else None


def find_host_of_data(data: Mapping[str, Any]) -> str | None:
    """Find the host of an item's `url`, else of its `link`."""
    url = data.get("url")
    return find_host(data.get("link") if url is None else url)


_IN_FLAT_JSON = re.compile(r'[{ ]"url": "(https?://[^"\\]+)"')


def find_host_of_json(text: str) -> str | None:
    """Find the same in data as JSON text; a million are found in a discovery, so that few are read wholly."""
    if "://" not in text:
        return None
    # in a flat object nothing else has a url of its own
    flat = _IN_FLAT_JSON.search(text) if text.count("{") == 1 else None
    return find_host(flat[1]) if flat else find_host_of_data(json.loads(text))
