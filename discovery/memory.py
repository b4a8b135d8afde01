"""What is remembered of a source from one discovery to the next, and what one look at it came to."""

from __future__ import annotations

import hashlib
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
        """Note by what to ask for changes; by nothing after a redirect, which may lead elsewhere another time."""
        said = {} if fetched.is_redirected else fetched.headers
        self.etag = mark_validator(said.get("etag"), mark)
        self.last_modified = mark_validator(said.get("last-modified"), mark)


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


def recall_nothing(source: str) -> Recalled:
    """Know nothing of any source, as a first discovery does."""
    del source
    return Recalled()


def digest_wanted(*wanted: object) -> str:
    """Tell what is wanted of a source from what was wanted before, by the parameters that choose it."""
    return hash_url(repr(wanted)) if wanted else ""


def mark_validator(validator: str | None, mark: str) -> str | None:
    """
    Note with a validator what was wanted of the answer: that it is as it was says nothing to who wants something else.

    >>> mark_validator('"v1"', "3fa2"), mark_validator('"v1"', ""), mark_validator(None, "3fa2")
    ('"v1" for 3fa2', '"v1"', None)
    """
    return f"{validator} for {mark}" if validator and mark else validator


def unmark_validator(noted: str | None, mark: str) -> str | None:
    """
    Give a validator that was noted for what is wanted now; None for another one.

    >>> unmark_validator('"v1" for 3fa2', "3fa2"), unmark_validator('"v1" for 3fa2', "77b0")
    ('"v1"', None)
    """
    if not noted or not mark:
        return noted
    return noted.removesuffix(f" for {mark}") if noted.endswith(f" for {mark}") else None


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
