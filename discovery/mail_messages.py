"""
A mail message, read without trust: whoever knows the address may have written it.

Source: RFC 5322, RFC 2045 to 2047, rfc-editor.org.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING, Any

from selectolax.lexbor import LexborHTMLParser

from discovery.instants import tell_mail_date
from discovery.mail_headers import MAX_NAME_CHARACTERS, clean, find_header, read_addresses, read_words
from net.charset import decode
from net.html import find_excess, read_node_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from discovery.imap_answers import FetchedMail

MAX_PARTS = 1000
MAX_ATTACHMENTS = 100
MAX_TEXT_BYTES = 300_000
"""So that a message with all its headers stays below the 1 MiB that an item's data may have."""

HASHED_BYTES = 64 * 1024
MAX_ID_BYTES = 900
_ANGLES = re.compile(r"<([^<>\s]+)>")


@dataclass(slots=True)
class Parts:
    """What the parts of a message hold. `is_broken` says that some of it could not be read."""

    texts: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as a key and data; `is_broken` says that some of it could not be read."""

    key: str
    data: dict[str, Any]
    is_broken: bool


def read_mail(fetched: FetchedMail, *, with_html: bool) -> Mail:
    """
    Read a message, or the beginning of one. Never fails: what is broken is left out, or empty.

    The key is the Message-ID, else a hash of the beginning.
    """
    headers = BytesHeaderParser().parsebytes(fetched.beginning)
    parts = _read_parts(fetched.beginning)
    html, html_cut = _fit("".join(parts.pages))
    text, text_cut = _fit("".join(parts.texts) or _read_html("".join(parts.pages)))
    date = tell_mail_date(find_header(headers, "Date")) or tell_mail_date(
        fetched.arrived.replace("-", " ", 2)
    )
    data = {
        "from": next(iter(read_addresses(headers, "From")), read_words(find_header(headers, "From"))),
        "to": read_addresses(headers, "To"),
        "cc": read_addresses(headers, "Cc"),
        "subject": read_words(find_header(headers, "Subject")),
        "published_at": date,
        "text": text,
        "html": html if with_html else None,
        "attachments": parts.attachments[:MAX_ATTACHMENTS],
        "size": fetched.size,
        "truncated": len(fetched.beginning) < fetched.size or text_cut or (with_html and html_cut),
    }
    return Mail(_find_key(headers, fetched.beginning), data, parts.is_broken)


def _find_key(headers: Message, beginning: bytes) -> str:
    given = clean(find_header(headers, "Message-ID"))
    found = _ANGLES.search(given)
    name = found[1] if found else given.strip("<> ")
    if name and len(name.encode()) <= MAX_ID_BYTES:
        return name
    return "sha256:" + hashlib.sha256(beginning[:HASHED_BYTES]).hexdigest()


def _read_parts(beginning: bytes) -> Parts:
    parts = Parts()
    try:
        message = message_from_bytes(beginning)
    except Exception:  # noqa: BLE001 - the library raises what it will over broken mail, such as RecursionError
        parts.is_broken = True
        return parts
    for count, part in enumerate(_walk(message)):
        if count == MAX_PARTS:
            parts.is_broken = True
            break
        try:
            _read_part(part, parts)
        except Exception:  # noqa: BLE001 - as above; the other parts may be whole
            parts.is_broken = True
    return parts


def _walk(message: Message) -> Iterator[Message]:
    """Go through the parts that are no containers, in order, not into messages that are attached."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting.extend(reversed(_list_inner(part)))
        else:
            yield part


def _list_inner(part: Message) -> list[Message]:
    inner = part.get_payload() if part.is_multipart() else []
    return [each for each in inner if not isinstance(each, str)]


def _read_part(part: Message, parts: Parts) -> None:
    kind, name = part.get_content_type(), part.get_filename()
    is_shown = name is None and part.get_content_disposition() != "attachment"
    if is_shown and kind in {"text/plain", "text/html"}:
        content = part.get_payload(decode=True)
        body = content if isinstance(content, bytes) else b""
        text = decode(body, f"charset={part.get_content_charset('')}")
        (parts.texts if kind == "text/plain" else parts.pages).append(text)
    elif part.get_content_maintype() != "multipart":
        told = {"name": read_words(name or "")[:MAX_NAME_CHARACTERS], "type": clean(kind)[:100]}
        parts.attachments.append({**told, "size": _measure(part)})


def _measure(part: Message) -> int:
    if part.is_multipart():  # a message that is attached
        return sum(len(each.as_bytes()) for each in _list_inner(part))
    content = part.get_payload(decode=True)
    return len(content) if isinstance(content, bytes) else 0


def _read_html(html: str) -> str:
    if not html or find_excess(html) is not None:
        return ""
    body = LexborHTMLParser(html).body
    return read_node_text(body, MAX_TEXT_BYTES) if body is not None else ""


def _fit(text: str) -> tuple[str, bool]:
    """Cut a text to `MAX_TEXT_BYTES` of JSON; tell whether that was needed."""
    text = clean(text.replace("\r\n", "\n"), keep="\n\t")
    fitting = text[:MAX_TEXT_BYTES]
    while (size := len(json.dumps(fitting, ensure_ascii=False).encode())) > MAX_TEXT_BYTES:
        fitting = fitting[: len(fitting) * MAX_TEXT_BYTES // size - 1]
    return fitting, len(fitting) < len(text)
