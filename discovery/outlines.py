"""Lists of feeds in OPML."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from lxml import etree

from discovery.ampersands import escape_ampersands
from net.charset import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_OPML_BYTES = 2 * 1024 * 1024
MAX_FEEDS = 2000


@dataclass(frozen=True, slots=True)
class Outline:
    """A feed that a list names; its categories are the outlines around it, and those that it names itself."""

    url: str
    title: str
    categories: tuple[str, ...] = ()

    def matches(self, patterns: Iterable[str]) -> bool:
        """Tell whether its title or one of its categories matches a pattern with `*` and `?`, in either case."""
        names = [name.casefold() for name in (self.title, *self.categories)]
        return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns for name in names)


class NoOutlinesError(Exception):
    """The bytes are no OPML; says why."""


@dataclass(slots=True)
class OutlineReading:
    """A reading of one OPML document from `base`. Once its outlines are read, `problem` says where it ended early."""

    body: bytes
    content_type: str = ""
    base: str = ""
    problem: str | None = None

    def outlines(self) -> Iterator[Outline]:
        """
        Give the feeds in the document's order, nested or not, as far as they can be read.

        An address is as it is written, joined to `base`; it may be none. Raises `NoOutlinesError`.

        Source: OPML 2.0, opml.org/spec2.opml.
        """
        if len(self.body) > MAX_OPML_BYTES:
            raise NoOutlinesError(f"it is over {MAX_OPML_BYTES:,} bytes")
        around: list[Any] = []
        for event, element in self._walk():
            if event == "end":
                del around[-1:]  # none is left when the one that ends began before <opml>
                element.clear()
                continue
            attributes = {name.lower(): value.strip() for name, value in element.attrib.items()}
            around.append(attributes)
            if attributes.get("xmlurl"):
                yield _make_outline(attributes, around[:-1], self.base)

    def _walk(self) -> Iterator[tuple[str, Any]]:
        parser = etree.XMLPullParser(
            events=("start", "end"),
            encoding="utf-8",  # wins over what the text declares
            recover=True,
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
        )
        text = decode(self.body, self.content_type).encode("utf-8", "replace")
        parser.feed(b"".join(escape_ampersands([text])))
        events: Iterator[tuple[str, Any]] = parser.read_events()
        is_opml, depth = False, 0
        for event, element in events:
            depth += 1 if event == "start" else -1
            name = str(element.tag).rpartition("}")[2].lower()
            is_opml = is_opml or name == "opml"
            if is_opml and name == "outline":
                yield event, element
        if not is_opml:
            raise NoOutlinesError("it has no <opml>")
        with suppress(etree.XMLSyntaxError):  # which is in the log too
            parser.close()
        if depth:
            self.problem = "it breaks off"
        elif any(fault.type == etree.ErrorTypes.ERR_TAG_NAME_MISMATCH for fault in parser.feed_error_log):
            self.problem = "its tags do not match"


def _make_outline(attributes: dict[str, str], around: list[dict[str, str]], base: str) -> Outline:
    named = [each.strip().strip("/") for each in attributes.get("category", "").split(",")]
    categories = (*map(_title_of, around), *named)
    return Outline(
        _join(base, attributes["xmlurl"]),
        _title_of(attributes),
        tuple(dict.fromkeys(filter(None, categories))),
    )


def _title_of(attributes: dict[str, str]) -> str:
    return (attributes.get("title") or attributes.get("text") or "")[:500]


def _join(base: str, url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if colon and scheme.lower() == "feed":  # as readers once registered themselves for
        url = f"http:{rest}" if rest.startswith("//") else rest
    try:
        return urljoin(base, url)
    except ValueError:
        return url
