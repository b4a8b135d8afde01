"""Ampersands and references that were not written as XML wants them, as in addresses with a query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_REFERENCE = 12
_HALF_OF_UTF_16 = (
    rb"(?:0*5(?:529[6-9]|5[3-9]\d\d|6\d{3}|7[0-2]\d\d|73[0-3]\d|734[0-3])|x0*d[89a-f][0-9a-f]{2});"
)
_BARE = re.compile(
    rb"&(?!(?:amp|lt|gt|quot|apos|#(?!%b)(?:\d{1,7}|x[0-9a-f]{1,6}));)" % _HALF_OF_UTF_16, re.IGNORECASE
)
_HALF = rb"&(?:amp;)*#(?:0*5[5-7]\d{3}(?!\d)|x0*d[0-9a-f]{3}(?![0-9a-f]));?"
_HALVES = re.compile(rb"(?:%b)+" % _HALF, re.IGNORECASE)
_ONE = re.compile(rb"(&(?:amp;)*)#(?:(\d+)|x([0-9a-f]+))", re.IGNORECASE)
_CDATA, _END_OF_CDATA = b"<![CDATA[", b"]]>"


def escape_ampersands(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Write each `&` as `&amp;` that begins no reference which every parser knows, and join halves; see `join_halves`.

    A parser that recovers would make another address of `?a=1&b=2`. References to entities that the document
    declares itself come out as text too, so none is ever unfolded. Ampersands in CDATA stay. The pieces are of one
    document, in an encoding that has ASCII's bytes for ASCII's characters.

    >>> b"".join(escape_ampersands([b"<a>?a=1&", b"b=2 &amp; &#38; <![CDATA[&c]]></a>"]))
    b'<a>?a=1&amp;b=2 &amp; &#38; <![CDATA[&c]]></a>'
    """
    rest, in_cdata = b"", False
    for piece in map(join_halves, pieces):
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


def join_halves(text: bytes) -> bytes:
    """
    Write as one reference what is written as two, of the halves that UTF-16 has for it; a lone half as U+FFFD.

    No parser takes a half, and some fall over it; yet emoji are written so. What is escaped once more, or stands in
    CDATA, is meant for HTML, and is written anew as well.

    >>> join_halves(b"a &#xD83D;&#xDE00; &amp;#55357;&amp;#56832; &#xD83D;b")
    b'a &#128512; &amp;#128512; &#65533;b'
    """
    return _HALVES.sub(_join_run, text) if b"#" in text else text


def _join_run(run: re.Match[bytes]) -> bytes:
    references = _ONE.findall(run[0])
    halves = "".join(chr(int(decimal) if decimal else int(digits, 16)) for _, decimal, digits in references)
    whole = halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return b"".join(b"%b#%d;" % (references[0][0], ord(one)) for one in whole)
