"""Ampersands that were not written as XML wants them, as in addresses with a query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_REFERENCE = 12
_BARE = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-f]{1,6});)", re.IGNORECASE)
_CDATA, _END_OF_CDATA = b"<![CDATA[", b"]]>"


def escape_ampersands(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Write each `&` as `&amp;` that begins no reference which every parser knows; what stands in CDATA stays.

    A parser that recovers would make another address of `?a=1&b=2`. References to entities that the document
    declares itself come out as text too, so none is ever unfolded. The pieces are of one document, in an encoding
    that has ASCII's bytes for ASCII's characters.

    >>> b"".join(escape_ampersands([b"<a>?a=1&", b"b=2 &amp; &#38; <![CDATA[&c]]></a>"]))
    b'<a>?a=1&amp;b=2 &amp; &#38; <![CDATA[&c]]></a>'
    """
    rest, in_cdata = b"", False
    for piece in pieces:
        text, at = rest + piece, 0
        while (end := text.find(_END_OF_CDATA if in_cdata else _CDATA, at)) >= 0:
            yield text[at:end] if in_cdata else _BARE.sub(b"&amp;", text[at:end])
            at, in_cdata = end, not in_cdata
        ready = _find_ready(text, at)
        yield text[at:ready] if in_cdata else _BARE.sub(b"&amp;", text[at:ready])
        rest = text[ready:]
    yield rest if in_cdata else _BARE.sub(b"&amp;", rest)


def _find_ready(text: bytes, at: int) -> int:
    """Find up to where no reference and no mark can go on in the next piece, from `at` on."""
    last = max(at, len(text) - _LONGEST_REFERENCE)
    begins = [found for mark in (b"&", b"<", b"]") if (found := text.find(mark, last)) >= 0]
    return min(begins, default=len(text))
