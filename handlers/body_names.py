"""Names for what came from elsewhere, for people to read."""

from __future__ import annotations

import re
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from handlers.content_types import add_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS = 100

_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069/\\:]+")


def name_body(url: str, headers: Mapping[str, str], content_type: str) -> str:
    """
    Name a body: as its `Content-Disposition` does, else by the end of its address; `body` when neither has a name.

    No slash, control character or leading dot is in it.

    >>> name_body("https://example.org/a/my%20report.pdf?page=2", {}, "application/pdf")
    'my report.pdf'
    """
    named = _read_disposition(headers.get("content-disposition", ""))
    for text in (named, unquote(urlsplit(url).path.rpartition("/")[2])):
        name = _ODD.sub(" ", text.rpartition("/")[2]).strip(" .")
        name = name.encode(errors="replace").decode()
        if name:
            return add_suffix(name[-MAX_CHARS:], content_type)
    return add_suffix("body", content_type)


def _read_disposition(header: str) -> str:
    message = Message()
    message["content-disposition"] = header.replace("\r", "").replace("\n", "")
    try:
        return message.get_filename("") or ""
    except (ValueError, LookupError):  # an encoding of RFC 2231 that is none
        return ""
