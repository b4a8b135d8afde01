"""Atom feeds whose exact shape is known, read without entities and without the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from discovery.ampersands import join_halves
from discovery.shapes import read_text
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from net.client import Fetched

ATOM = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True, slots=True)
class Atom:
    """
    An element of a feed. Names are written with the prefixes of `namespaces`, Atom's own with `atom:`.

    `broken` says where a feed stops being XML; what comes before that is there.
    """

    element: etree._Element
    namespaces: Mapping[str, str]
    broken: str | None = None

    def text(self, path: str) -> str:
        """Give the text at a path, stripped, its line breaks and runs of spaces as one space; else empty."""
        return " ".join(self.lines(path).split())

    def lines(self, path: str) -> str:
        """Give the text at a path as it is, stripped; empty when there is none."""
        return read_text(self.element.findtext(path, namespaces=dict(self.namespaces)))

    def attribute(self, path: str, name: str) -> str:
        """Give an attribute of the element at a path; empty when there is none."""
        found = self.element.find(path, namespaces=dict(self.namespaces))
        return read_text(found.get(name)) if found is not None else ""

    def all(self, path: str) -> list[Atom]:
        """Give every element at a path."""
        found = self.element.findall(path, namespaces=dict(self.namespaces))
        return [Atom(each, self.namespaces) for each in found]


def parse_atom(fetched: Fetched, namespaces: Mapping[str, str]) -> Atom:
    """Read an answer as an Atom feed. Raises `SourceRejectedError` when it is none."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(join_halves(fetched.body), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SourceRejectedError(f"{show_url(fetched.url)} did not answer with XML: {error}") from error
    if root is None or root.tag != f"{{{ATOM}}}feed":
        raise SourceRejectedError(f"{show_url(fetched.url)} did not answer with an Atom feed")
    errors = [entry.message for entry in parser.error_log]
    return Atom(root, {"atom": ATOM, **namespaces}, errors[0] if errors else None)
