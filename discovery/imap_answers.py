"""Messages in a server's answers to FETCH."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UID = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b")
_ARRIVED = re.compile(rb'\bINTERNALDATE "([^"]{1,40})"')
_BODY = re.compile(rb"\bBODY\[\]")


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """A message as a server gave it: its beginning, the size of the whole in bytes, when it came as IMAP writes it."""

    uid: int
    size: int
    arrived: str
    beginning: bytes


def read_answers(answers: Iterable[object]) -> Iterator[FetchedMail]:
    """
    Read the messages of an answer as imaplib gives it: a pair of words and literal, then the words after it.

    What is no message with a number is passed over, such as flags that changed meanwhile.
    """
    words, literal = b"", None
    for each in answers:
        if isinstance(each, tuple) and len(each) == 2:
            words, literal = each
        elif isinstance(
            each, bytes
        ):  # the words behind a literal, or an answer without one: an empty message
            words, body = words + b" " + each, literal or b""
            if _BODY.search(words) and (mail := _read_mail(words, body)):
                yield mail
            words, literal = b"", None


def _read_mail(words: bytes, beginning: bytes) -> FetchedMail | None:
    uid, size, arrived = _UID.search(words), _SIZE.search(words), _ARRIVED.search(words)
    if uid is None:
        return None
    return FetchedMail(
        uid=int(uid[1]),
        size=int(size[1]) if size else len(beginning),
        arrived=arrived[1].decode("latin-1").strip() if arrived else "",
        beginning=beginning,
    )
