"""
The process in which selectors are looked up in a page, started by `handlers.html_select`, one for each.

A page may be nested so that a selector of three steps takes for ever; here it can be stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from net.html import find_excess, read_node_text, split_field
from pipeline.confined import answer_questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_MATCHES = 10_000
"""Of what an `all` finds, at most so much is taken."""

_ADDRESSES = frozenset(("action", "cite", "data", "formaction", "href", "poster", "src"))
"""The attributes that are written relative to the page. Source: the HTML Standard, html.spec.whatwg.org."""


def answer(question: dict[str, Any], body: bytes) -> dict[str, Any]:
    """
    Look up fields in a page: `{"found": {name: …}, "lacking": [the path of each required one]}`, or `{"problem": str}`.

    The question has `url` and `fields`, by their names, as `html_select` takes them; the body is the page in UTF-8.
    """
    text = body.decode()
    if too_much := find_excess(text):
        return {"problem": f"the page is too much: {too_much}"}
    try:
        tree = LexborHTMLParser(text)
    except SelectolaxError as error:
        return {"problem": f"the page cannot be read: {error}"}
    if tree.root is None:
        return {"found": {}, "lacking": []}
    base = tree.css_first("base[href]")
    reference = (base.attributes.get("href") or "") if base is not None else ""
    reader = _Reader(_join(question["url"], reference), question["max_chars"])
    return {"found": reader.read(tree.root, question["fields"], ""), "lacking": reader.lacking}


class _Reader:
    """Reads the fields of one page, whose references are relative to `base`."""

    def __init__(self, base: str, max_chars: int) -> None:
        self._base, self._max_chars = base, max_chars
        self.lacking: list[str] = []

    def read(self, around: LexborNode, fields: Mapping[str, Any], path: str) -> dict[str, Any]:
        return {name: self._read_field(around, wanted, f"{path}{name}") for name, wanted in fields.items()}

    def _read_field(self, around: LexborNode, wanted: Mapping[str, Any], path: str) -> Any:
        css, attribute = split_field(wanted["select"])
        values: list[Any] = []
        for node in _find(around, css):
            value = self._read_node(node, attribute, wanted, f"{path}.")
            if value is not None:
                values.append(value)
            if len(values) >= (MAX_MATCHES if wanted["all"] else 1):
                break
        if wanted["required"] and not any(values) and path not in self.lacking:
            self.lacking.append(path)
        return values if wanted["all"] else next(iter(values), None)

    def _read_node(self, node: LexborNode, attribute: str, wanted: Mapping[str, Any], path: str) -> Any:
        if wanted["fields"]:
            return self.read(node, wanted["fields"], path)
        if wanted["html"]:
            return (node.html or "")[: self._max_chars]
        if not attribute:
            return read_node_text(node, self._max_chars)
        name = attribute.lower()
        if name not in node.attributes:
            return None
        value = node.attributes[name] or ""  # one without a value, such as `disabled`, is empty
        return _join(self._base, value) if value and name in _ADDRESSES else value


def _find(around: LexborNode, css: str) -> Iterator[LexborNode]:
    yield from around.css(css) if css else [around]


def _join(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference.strip())
    except ValueError:  # brackets that are no IPv6
        return reference


if __name__ == "__main__":
    answer_questions(answer)
