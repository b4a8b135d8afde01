"""Web addresses as they may be shown: in messages, logs and the database."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"//[^/]*@")


def show_url(url: str) -> str:
    """
    Leave out of an address what may be secret: credentials, the query, the fragment.

    >>> show_url("https://me:secret@example.org/feed?token=secret#top")
    'https://example.org/feed?…'
    """
    bare, query, _ = url.partition("#")[0].partition("?")
    return _CREDENTIALS.sub("//", bare) + ("?…" if query else "")
