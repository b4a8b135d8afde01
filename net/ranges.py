"""The headers by which a part of a body is asked for, and named in the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from net.field_values import can_be_sent

if TYPE_CHECKING:
    from collections.abc import Mapping

_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which bytes an answer holds: from `first` to `last`, both counted from 0, of `total`; None is unsaid."""

    first: int | None
    last: int | None
    total: int | None


def read_content_range(text: str) -> ContentRange | None:
    """
    Read a `Content-Range` header, or None when it is none.

    Source: RFC 9110 14.4.

    >>> read_content_range("bytes 5-9/10"), read_content_range("bytes 9-5/10")
    (ContentRange(first=5, last=9, total=10), None)
    """
    if not (found := _RANGE.fullmatch(text)):
        return None
    first, last, total = (int(part) if part and part != "*" else None for part in found.groups())
    if first is not None and last is not None and (first > last or (total is not None and last >= total)):
        return None
    return ContentRange(first, last, total)


def is_packed(headers: Mapping[str, str]) -> bool:
    """Tell whether a body comes in an encoding, such as gzip: its length and its hash are those of other bytes then."""
    return headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}


def find_validator(headers: Mapping[str, str]) -> str | None:
    """
    Find what tells later whether the rest still belongs to this part: a strong ETag, else the last change.

    None when the server names neither in words that can be sent back, gives no ranges, or packs the body, whose parts
    cannot be told then.

    Source: RFC 9110 13.1.5 and 14.3.
    """
    if is_packed(headers):
        return None
    if headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    etag, changed = (headers.get(name, "").strip() for name in ("etag", "last-modified"))
    if len(etag) > 2 and etag.startswith('"') and etag.endswith('"') and can_be_sent(etag):
        return etag
    return changed if changed and can_be_sent(changed) else None


def read_length(headers: Mapping[str, str]) -> int | None:
    """Read how long a body will be once it is unpacked, or None when nobody can know."""
    if is_packed(headers):
        return None
    text = headers.get("content-length", "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
