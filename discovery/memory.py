"""What is remembered of a source from one discovery to the next, and what one look at it came to."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from discovery.urls import hash_url
from net.shown import show_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discovery.items import AdmittedItem
    from net.fetched import Fetched
    from pipeline.errors import HostPausedError


class Keep(Enum):
    """Says that a cursor stays as it is, where None would say that there is none."""

    CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class Recalled:
    """
    What is known of one source from earlier discoveries of the same job.

    `cursor` is what the strategy last handed over with its items: any JSON value, None at first. `etag` and
    `last_modified` are the validators of the last answer whose items were all stored.
    """

    cursor: Any = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(slots=True)
class Look:
    """
    What one discovery came to at one source.

    `unchanged` says that the source itself had nothing newer. `error` is why it could not be read; its
    validators are then left as they were.
    """

    requests: int = 0
    unchanged: bool = False
    error: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    paused: HostPausedError | None = None
    """That its host is paused: then it was not asked, and that is no error of its own."""

    def note_validators(self, fetched: Fetched, mark: str = "") -> None:
        """Note by what to ask for changes, and where that came from: a redirect may lead elsewhere another time."""
        place = name_place(fetched)
        self.etag = mark_validator(fetched.headers.get("etag"), mark, place)
        self.last_modified = mark_validator(fetched.headers.get("last-modified"), mark, place)


@dataclass(frozen=True, slots=True)
class Batch:
    """Items to be stored in one transaction with the cursor from which a later discovery of `source` goes on."""

    items: Sequence[AdmittedItem]
    source: str = ""
    cursor: Any = field(default=Keep.CURSOR)


class Recall(Protocol):
    """Looks up what is known of a source of the job."""

    def __call__(self, source: str) -> Recalled:
        """Give what is known, or a blank `Recalled`."""
        ...


class Receive(Protocol):
    """Takes batches of items as they are found."""

    def __call__(self, batch: Batch) -> None:
        """Store the batch. Raises `EnoughError` when no more is wanted."""
        ...


class EnoughError(Exception):
    """Whoever receives the items wants no more: the discovery ends here, well."""


def find_cursor_fault(cursor: Any) -> str | None:
    """
    Say why a cursor cannot be remembered, or None when it can.

    >>> find_cursor_fault({"page": {1}})
    'Object of type set is not JSON serializable'
    """
    if cursor is Keep.CURSOR:
        return None
    try:
        json.dumps(cursor, allow_nan=False)
    except (TypeError, ValueError) as error:
        return str(error)
    except RecursionError:
        return "it is nested too deep"
    return None


def recall_nothing(source: str) -> Recalled:
    """Know nothing of any source, as a first discovery does."""
    del source
    return Recalled()


def digest_wanted(*wanted: object) -> str:
    """Tell what is wanted of a source from what was wanted before, by the parameters that choose it."""
    return hash_url(repr(wanted)) if wanted else ""


def name_place(fetched: Fetched) -> str:
    """Name where redirects have led; empty when it is the address that was asked."""
    return hash_url(fetched.url) if fetched.is_redirected else ""


_PLACE = re.compile(r" from ([0-9a-f]+)\Z")


def mark_validator(validator: str | None, mark: str, place: str = "") -> str | None:
    """
    Note with a validator what was wanted of the answer, and where that came from.

    That it is as it was says nothing to who wants something else, nor of another place.

    >>> mark_validator('"v1"', "3fa2"), mark_validator('"v1"', "", "9c1e"), mark_validator(None, "3fa2")
    ('"v1" for 3fa2', '"v1" from 9c1e', None)
    """
    if not validator:
        return validator
    return validator + (f" for {mark}" if mark else "") + (f" from {place}" if place else "")


def unmark_validator(noted: str | None, mark: str) -> str | None:
    """
    Give a validator that was noted for what is wanted now; None for another one.

    >>> unmark_validator('"v1" for 3fa2 from 9c1e', "3fa2"), unmark_validator('"v1" for 3fa2', "77b0")
    ('"v1"', None)
    """
    if not noted:
        return noted
    bare = _PLACE.sub("", noted)
    if not mark:
        return bare
    return bare.removesuffix(f" for {mark}") if bare.endswith(f" for {mark}") else None


def find_place(noted: str | None) -> str:
    """
    Find where a validator came from, as `name_place` names it.

    >>> find_place('"v1" for 3fa2 from 9c1e'), find_place('"v1"')
    ('9c1e', '')
    """
    found = _PLACE.search(noted or "")
    return found[1] if found else ""


def name_source(url: str) -> str:
    """
    Name the source at an address, for the tracker: what may be secret stands there as a hash.

    >>> name_source("https://example.org/feed"), name_source("https://me:pw@example.org/feed?token=secret")
    ('https://example.org/feed', 'https://example.org/feed?…#e98821b2')
    """
    shown = show_url(url)
    if shown == url:
        return url
    return f"{shown}#{hashlib.sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
