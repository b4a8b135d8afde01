"""The headers of a mail message, read without trust."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from typing import TYPE_CHECKING

from net.charset import decode

if TYPE_CHECKING:
    from email.message import Message

MAX_HEADER_CHARACTERS = 10_000
MAX_SHOWN_CHARACTERS = 1000
MAX_NAME_CHARACTERS = 255
MAX_ADDRESSES = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def find_header(message: Message, name: str) -> str:
    """Find a header as it is written, its bytes decoded, at most 10,000 characters; empty when there is none."""
    for given, value in message.raw_items():
        if given.lower() == name.lower():
            raw = str(value)[:MAX_HEADER_CHARACTERS].encode("utf-8", "surrogateescape")
            return decode(raw).replace("\r", "").replace("\n", "")
    return ""


def read_words(header: str) -> str:
    """
    Read a header that is text, encoded words decoded, at most 1,000 characters.

    >>> read_words("=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus  K\u00f6ln =?nonsense?q?=FC?=")
    'Grüße aus Köln ü'
    """
    try:
        pieces = decode_header(header)
    except (HeaderParseError, ValueError):
        pieces = [(header, None)]
    text = "".join(_decode_piece(piece, charset) for piece, charset in pieces)
    return " ".join(clean(text, keep="\t").split())[:MAX_SHOWN_CHARACTERS]


def read_addresses(message: Message, name: str) -> list[str]:
    """Read the addresses in a header, as `Name <address>` or the address alone; at most 50."""
    try:
        found = getaddresses([find_header(message, name)])
    except RecursionError:  # comments within comments
        return []
    told = (_tell_address(read_words(who), clean(address)) for who, address in found)
    return [each for each in told if each][:MAX_ADDRESSES]


def clean(text: str, keep: str = "") -> str:
    r"""
    Take out the characters that nobody sees and no database wants, but for those to `keep`.

    >>> clean("a\0b\ud800\n"), clean("a\n", keep="\n")
    ('ab', 'a\n')
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else "", text)


def _decode_piece(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    if charset is None:  # what stood between encoded words; the library wrote it so
        return piece.decode("raw-unicode-escape", "replace")
    return decode(piece, f"charset={charset}")


def _tell_address(who: str, address: str) -> str:
    who, address = who[:MAX_NAME_CHARACTERS], address[:MAX_NAME_CHARACTERS]
    return f"{who} <{address}>" if who and address else who or address
