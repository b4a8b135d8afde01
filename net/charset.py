"""Which characters the bytes of a page stand for."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

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

_LABELLED_LATIN = {"iso8859-1", "ascii"}
_NEVER = {"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}


def decode(body: bytes, content_type: str = "") -> str:
    """
    Turn a body into text; never fails.

    Tries in turn a byte order mark, the header's charset, the one declared in the first 2,048 bytes (HTML's
    meta, XML's encoding), UTF-8, and Latin-1. A charset that does not fit the bytes is passed over. What is
    labelled Latin-1 or ASCII is read as Windows-1252, as browsers do.

    Source: the WHATWG Encoding Standard, encoding.spec.whatwg.org.

    >>> decode("naïve".encode("cp1252"), "text/html; charset=iso-8859-1")
    'naïve'
    """
    for name in _likely_charsets(body, content_type):
        try:
            return body.decode(name)
        except (UnicodeError, LookupError):
            continue
    return body.decode("latin-1")


def _likely_charsets(body: bytes, content_type: str) -> Iterator[str]:
    yield from (name for mark, name in _BYTE_ORDER_MARKS if body.startswith(mark))
    if found := _IN_HEADER.search(content_type):
        # Markup in UTF-16 or UTF-32 has a null beside each of its ASCII characters; other bytes fit it by chance.
        wide = b"\0" in body[:_LOOKED_AT_BYTES]
        yield from (name for name in _known(found[1]) if wide or not name.startswith(("utf-16", "utf-32")))
    if declared := _DECLARED.search(body, 0, _LOOKED_AT_BYTES):
        # Whoever could read this declaration as ASCII is not reading UTF-16.
        yield from (name for name in _known(declared[1].decode("latin-1")) if not name.startswith("utf-16"))
    yield "utf-8"


def _known(label: str) -> Iterator[str]:
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return
    if name not in _NEVER:
        yield "cp1252" if name in _LABELLED_LATIN else name
