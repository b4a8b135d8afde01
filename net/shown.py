"""Web addresses as they may be shown: in messages, logs and the database."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(//|^[\w+.-]+:/)[^/?#]*@")

_MISWRITTEN = re.compile(
    r"^(?!mailto:)([\w+.-]+:/+)?[^/@:\[]*:(?!\d*(?:[/?#]|$)).*@", re.IGNORECASE | re.DOTALL
)
"""A colon that begins no port, and later an at sign: a slash in the password, or an address without its slashes."""


def show_url(url: str) -> str:
    """
    Leave out of an address what may be secret: credentials, the query, the fragment.

    >>> show_url("https://me:secret@example.org/feed?token=secret#top"), show_url("me:secret@example.org/feed")
    ('https://example.org/feed?…', 'example.org/feed')
    """
    public = _MISWRITTEN.sub(r"\1", _CREDENTIALS.sub(r"\1", url))
    bare, query, _ = public.partition("#")[0].partition("?")
    return bare + ("?…" if query else "")
