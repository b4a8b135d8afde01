"""Which characters the bytes of a page stand for."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from net.charset_labels import find_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_IN_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_LOOKED_AT_BYTES = 2048

_LAST_RESORT = "cp1252"

_FEW = 5
"""A charset fits but for a few bytes when of so many characters beyond ASCII at most one cannot be read."""


def decode(body: bytes, content_type: str = "") -> str:
    """
    Turn a body into text; never fails.

    A byte order mark decides. Else tries in turn the header's charset, the one declared in the first 2,048 bytes
    (HTML's meta, XML's encoding), and UTF-8, and takes the first that fits but for a few bytes, which become
    U+FFFD; one that does not fit wholly is passed over for UTF-8 that does. What nothing fits is Windows-1252. A
    label means what it means to browsers: what is labelled Latin-1 is read as Windows-1252, GB2312 as GB18030.

    Source: the WHATWG Encoding Standard, encoding.spec.whatwg.org.

    >>> decode("naïve".encode("cp1252"), "text/html; charset=iso-8859-1")
    'naïve'
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    for name in _likely_codecs(body, content_type):
        if (text := _read_as(name, body)) is not None:
            return text
    return body.decode(_LAST_RESORT, "replace")


def find_charset(content_type: str) -> str | None:
    """
    Find the charset that a content type names, as it is written there, or None.

    >>> find_charset('text/html; charset="Shift_JIS"'), find_charset("text/html")
    ('Shift_JIS', None)
    """
    found = _IN_HEADER.search(content_type)
    return found[1] if found else None


def _likely_codecs(body: bytes, content_type: str) -> Iterator[str]:
    if name := find_codec(find_charset(content_type) or ""):
        # Markup in UTF-16 or UTF-32 has a null beside each of its ASCII characters; other bytes fit it by chance.
        wide = b"\0" in body[:_LOOKED_AT_BYTES]
        if wide or not name.startswith(("utf-16", "utf-32")):
            yield name
    declared = _DECLARED.search(body, 0, _LOOKED_AT_BYTES)
    if declared and (name := find_codec(declared[1].decode("latin-1"))) and not name.startswith("utf-16"):
        yield name  # whoever could read this declaration as ASCII is not reading UTF-16
    yield "utf-8"


def _read_as(name: str, body: bytes) -> str | None:
    if (text := _fit(name, body)) is not None:
        return text
    if _fit("utf-8", body) is not None:  # which other bytes than UTF-8 do not fit by chance
        return None
    try:
        text = body.decode(name, "replace")
    except (UnicodeError, LookupError):  # a codec that is none of text
        return None
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return text if text.count("\ufffd") * _FEW <= beyond_ascii else None


def _fit(name: str, body: bytes) -> str | None:
    try:
        return body.decode(name)
    except (UnicodeError, LookupError):
        return None
