"""
Results as an RSS feed.

Source: the RSS 2.0 specification, rssboard.org/rss-specification; XML 1.0, production 2, for what a text may hold.
"""

from __future__ import annotations

import heapq
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from tracker.clock import to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracker.exporting import Exported

TITLES = ("title", "headline", "name", "subject")
LINKS = ("url", "link", "canonical_url", "comments_url")
TEXTS = ("summary", "description", "abstract", "text", "content")
MOST_CHARS = 5000

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_feed(stream: Iterable[Exported], title: str, limit: int) -> str:
    """
    Write the newest `limit` results as a feed, the newest first; no more than these are held in memory.

    An entry's title, link and text come from the fields of the result that are called so, else from the item's; its
    guid is the key.
    """
    newest = heapq.nlargest(limit, stream, key=lambda one: (one.stored_at, one.item_id, one.stage))
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    _add(channel, "title", title)
    _add(channel, "link", _find_site(newest))
    _add(channel, "description", f"What Celeriac made of {title}.")
    _add(channel, "generator", "Celeriac")
    built = to_datetime(newest[0].stored_at) if newest else datetime.now(UTC)
    _add(channel, "lastBuildDate", format_datetime(built, usegmt=True))
    for one in newest:
        _add_entry(channel, one)
    ET.indent(rss)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(rss, encoding="unicode")}\n'


def _find_site(newest: Iterable[Exported]) -> str:
    for one in newest:
        parts = urlsplit(_find_link(one))
        if parts.netloc:
            return f"{parts.scheme}://{parts.netloc}/"
    return "http://localhost/"


def _add_entry(channel: ET.Element, one: Exported) -> None:
    entry = ET.SubElement(channel, "item")
    _add(entry, "title", _find(one, TITLES) or one.key)
    if link := _find_link(one):
        _add(entry, "link", link)
    if text := _find(one, TEXTS):
        _add(entry, "description", text[:MOST_CHARS])
    _add(entry, "guid", one.key, isPermaLink="false")
    _add(entry, "pubDate", format_datetime(to_datetime(one.stored_at).astimezone(UTC), usegmt=True))
    _add(entry, "category", one.stage)


def _find(one: Exported, names: Iterable[str]) -> str:
    for name in names:
        for part in (one.result, one.data):
            if text := _read(part, name):
                return text
    return ""


def _find_link(one: Exported) -> str:
    link = _find(one, LINKS)
    try:
        return link if urlsplit(link).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def _read(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value.strip() if isinstance(value, str) else ""


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _NOT_XML.sub("\ufffd", text)
