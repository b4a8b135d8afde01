"""What sitemaps and their indexes say, read a piece at a time."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from lxml import etree

from discovery.ampersands import escape_ampersands
from discovery.instants import tell_iso
from net.charset import decode
from net.unpacking import GZIP_MAGIC, PIECE_BYTES, Unpacker

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNPACKED_BYTES = 50 * 1024 * 1024
"""What the protocol lets a sitemap be."""

MAX_PARTS = 100
MAX_NODES = 20_000
"""How many tags one entry may have; a thousand images are some five thousand."""

MAX_LINKS = 50_000
"""What the protocol lets one list name, and one index."""

MAX_TEXT_CHARACTERS = 2_000
MAX_ADDRESS_CHARACTERS = 5_000
"""A longer address is none: what is left of it would lead elsewhere."""

_HARMLESS = {"ERR_INVALID_CHAR", "ERR_INVALID_ENCODING"}
"""Faults over which the parser loses no more than a character."""

_KINDS = {"urlset": "url", "sitemapindex": "sitemap"}


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page that a sitemap names; instants are ISO in UTC, as given or None. `lastmod` is as it was written."""

    url: str
    lastmod: str = ""
    published_at: str | None = None
    title: str = ""
    publication: str = ""
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()

    @property
    def modified_at(self) -> str | None:
        """When the page was last modified."""
        return tell_iso(self.lastmod)


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """A sitemap that an index names; `lastmod` is as it was written."""

    url: str
    lastmod: str = ""


@dataclass(slots=True)
class Reading:
    """A reading of one sitemap. Once its entries are read, `problem` says where it had to end early."""

    body: bytes
    content_type: str = ""
    problem: str | None = None

    def entries(self) -> Iterator[PageEntry | SitemapEntry]:
        """
        Give the entries one after another, as far as they can be read. Raises `NoSitemapError`.

        Source: sitemaps.org/protocol; developers.google.com/search/docs/crawling-indexing/sitemaps.
        """
        first = self._beginning()
        if b"\0" not in first and not first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            yield from self._read_lines()
        else:
            try:
                yield from self._read_xml()
            except UnicodeDecodeError:  # of UTF-16 the parser takes what it cannot give
                self.problem = "it holds half a character"

    def _read_lines(self) -> Iterator[PageEntry]:
        count = 0
        for line in self._lines():
            if b"://" not in line:
                continue
            url = decode(line.removeprefix(b"\xef\xbb\xbf"), self.content_type).strip()
            if not url.lower().startswith(("http://", "https://")):
                continue
            if count >= MAX_LINKS:
                self.problem = f"it names over {MAX_LINKS:,} pages"
                return
            count += 1
            yield PageEntry(_address(url))
        if not count:
            raise NoSitemapError(self.problem or "it is neither XML nor a list of addresses")

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._pieces():
            *lines, rest = (rest[: 4 * MAX_ADDRESS_CHARACTERS] + piece).replace(b"\r", b"\n").split(b"\n")
            yield from filter(None, lines)
        yield rest

    def _read_xml(self) -> Iterator[PageEntry | SitemapEntry]:
        wanted, depth, nodes, sitemaps = "", 0, 0, 0
        for event, element in self._walk():
            if event == "start":
                wanted = wanted or _check_root(_name(element))
                depth, nodes = depth + 1, nodes + 1
                if nodes > MAX_NODES:
                    self.problem = f"one of its entries has over {MAX_NODES:,} tags"
                    return
                continue
            depth -= 1
            if depth == 1:
                if _name(element) == wanted:
                    sitemaps += wanted == "sitemap"
                    if sitemaps > MAX_LINKS:
                        self.problem = f"it names over {MAX_LINKS:,} sitemaps"
                        return
                    yield _read_entry(element)
                _forget(element)
                nodes = 0
        if not wanted:
            raise NoSitemapError(self.problem or "it is empty")

    def _walk(self) -> Iterator[tuple[str, Any]]:
        parser = etree.XMLPullParser(
            events=("start", "end"),
            recover=True,
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        depth = 0
        pieces = self._pieces() if b"\0" in self._beginning() else escape_ampersands(self._pieces())
        for piece in pieces:
            parser.feed(piece)
            for event, element in parser.read_events():
                depth += 1 if event == "start" else -1
                yield event, element
        with contextlib.suppress(etree.XMLSyntaxError):  # which is in the log too
            parser.close()  # ends whatever is open, such as half an address: of that nothing is given
        faults = [fault.message for fault in parser.feed_error_log if _costs_something(fault)]
        if self.problem is None and (faults or depth):
            self.problem = f"it is not well-formed: {faults[0]}" if faults else "it breaks off"

    def _beginning(self) -> bytes:
        return next(self._pieces(), b"")[:100]

    def _pieces(self) -> Iterator[bytes]:
        pieces = (self.body[start : start + PIECE_BYTES] for start in range(0, len(self.body), PIECE_BYTES))
        return self._unpack(pieces) if self.body.startswith(GZIP_MAGIC) else pieces

    def _unpack(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        unpacker, size = Unpacker("gzip"), 0
        try:
            for piece in chain.from_iterable(map(unpacker.feed, packed)):
                size += len(piece)
                if size > MAX_UNPACKED_BYTES:
                    self.problem = f"it is over {MAX_UNPACKED_BYTES:,} bytes when decompressed"
                    return
                yield piece
        except zlib.error as error:
            self.problem = f"it cannot be decompressed: {error}"
            return
        if not unpacker.is_whole:
            self.problem = "it breaks off"


class NoSitemapError(Exception):
    """The bytes are no sitemap; says why."""


def _costs_something(fault: Any) -> bool:
    return fault.level == etree.ErrorLevels.FATAL and fault.type_name not in _HARMLESS


def _check_root(name: str) -> str:
    if name not in _KINDS:
        raise NoSitemapError(f"it begins with <{name[:50]}>")
    return _KINDS[name]


def _read_entry(element: Any) -> PageEntry | SitemapEntry:
    said: dict[str, str] = {}
    parts: dict[str, list[str]] = {"image": [], "video": []}
    for child in element.iterchildren(etree.Element):
        name = _name(child)
        if name in parts:
            parts[name] += _address_in(child)
        elif name == "news":
            said |= {f"news {_name(each)}": _clean(each.text) for each in child.iter(etree.Element)}
        else:
            said.setdefault(name, _address_of(child) if name == "loc" else _clean(child.text))
    if _name(element) == "sitemap":
        return SitemapEntry(said.get("loc", ""), said.get("lastmod", ""))
    return PageEntry(
        said.get("loc", ""),
        said.get("lastmod", ""),
        tell_iso(said.get("news publication_date")),
        said.get("news title", ""),
        said.get("news name", ""),
        tuple(parts["image"][:MAX_PARTS]),
        tuple(parts["video"][:MAX_PARTS]),
    )


def _address_in(part: Any) -> list[str]:
    wanted = ("loc", "content_loc", "player_loc")
    found = {_name(each): _address_of(each) for each in part.iterchildren(etree.Element)}
    return [found[name] for name in wanted if found.get(name)][:1]


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(element.tag, str) else ""


def _clean(text: object) -> str:
    return " ".join(text[:MAX_TEXT_CHARACTERS].split()) if isinstance(text, str) else ""


def _address_of(element: Any) -> str:
    # An entity in it is not resolved, and what stands before that is another address.
    return "" if len(element) else _address(element.text or "")


def _address(text: str) -> str:
    return text.strip() if len(text) <= MAX_ADDRESS_CHARACTERS else ""


def _forget(element: Any) -> None:
    # Only so is a document of 50 MB never held whole.
    element.clear()
    while (before := element.getprevious()) is not None:
        before.getparent().remove(before)
