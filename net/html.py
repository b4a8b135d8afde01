"""The HTML of strangers: what would be too costly to parse, selectors, and the text of what they find."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator
from selectolax.lexbor import LexborHTMLParser, SelectolaxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

MAX_CHARACTERS = 10_000_000
MAX_NODES = 500_000
MAX_DEPTH = 5_000
MAX_ATTRIBUTES = 500
"""How many one tag may have; the parser compares each with all before it."""

_ATTRIBUTE = (
    r"""[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+"""
)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_TAG = re.compile(
    rf"<(?P<end>/?)(?P<name>[a-z][^\t\n\f\r />]*+)(?P<attributes>(?:{_ATTRIBUTE})*+)"
    r"|<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|(?P<cdata><!\[CDATA\[)"
    r"|<[!?/][^>]*+",
    re.IGNORECASE | re.DOTALL,
)
_END_OF_RAW = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
_NOT_HTML = frozenset(("svg", "math", "select"))
"""Within these, what a script or a title holds is parsed as tags."""

_FORMATTING = frozenset(("b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"))
_NESTING = frozenset(
    (
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "main",
        "menu",
        "nav",
        "ol",
        "section",
        "ul",
    )
)
_INLINE = _FORMATTING | {
    "a",
    "abbr",
    "bdi",
    "bdo",
    "cite",
    "del",
    "ins",
    "mark",
    "q",
    "span",
    "sub",
    "sup",
    "time",
}
_SPACE = re.compile(r"\s+")


def check_selector(selector: str) -> str:
    """Give a CSS selector back, or raise ValueError for what is none."""
    try:
        LexborHTMLParser("<p>").css(selector)
    except SelectolaxError as error:
        raise ValueError(f"not a CSS selector: {selector!r}") from error
    return selector


Selector = Annotated[str, AfterValidator(check_selector)]
"""A CSS selector, checked when jobs.yaml is read."""


def split_field(selector: str) -> tuple[str, str]:
    """
    Split `selector@attribute` into both; either may be empty: the text of what is found, an attribute of the row.

    >>> split_field("time@datetime"), split_field(".by"), split_field("@id")
    (('time', 'datetime'), ('.by', ''), ('', 'id'))
    """
    css, _, attribute = selector.partition("@")
    return css.strip(), attribute.strip()


def _is_field(selector: str) -> str:
    if css := split_field(selector)[0]:
        check_selector(css)
    return selector


FieldSelector = Annotated[str, AfterValidator(_is_field)]
"""A CSS selector, or `selector@attribute`, checked when jobs.yaml is read."""


def find_excess(text: str) -> str | None:
    """
    Tell what makes a page too costly to parse, or None: its length, its tags, their depth, what they unfold to.

    >>> find_excess("<p>short"), find_excess("<div>" * 6000)
    (None, 'tags over 5,000 deep')
    """
    if len(text) > MAX_CHARACTERS:
        return f"over {MAX_CHARACTERS:,} characters"
    open_now: Counter[str] = Counter()
    depth = deepest = formats = most_formats = tags = 0
    for name, end, attributes in _find_tags(text):
        tags += 1
        if name in _NESTING:
            depth, deepest = _step(open_now, name, end, depth, deepest)
        elif name in _FORMATTING:
            formats, most_formats = _step(open_now, name, end, formats, most_formats)
        if len(attributes) > MAX_ATTRIBUTES and _has_many(attributes):
            return f"a tag with over {MAX_ATTRIBUTES} attributes"
    if deepest > MAX_DEPTH:
        return f"tags over {MAX_DEPTH:,} deep"
    if tags * max(1, most_formats) > MAX_NODES:  # each block may repeat all that was left open
        return f"it may unfold to over {MAX_NODES:,} nodes"
    return None


def _has_many(attributes: str) -> bool:
    return any(count >= MAX_ATTRIBUTES for count, _ in enumerate(_ONE_ATTRIBUTE.finditer(attributes)))


def _find_tags(text: str) -> Iterator[tuple[str, str, str]]:
    """Give the name, the slash and the attributes of each tag; none that only looks like one, as in a script."""
    at, not_html = 0, Counter[str]()
    while found := _TAG.search(text, at):
        at = found.end()
        name, end = (found["name"] or "").lower(), found["end"]
        if found["cdata"]:
            not_html["svg"] += 1  # whether it hides what it holds is for the parser to say
        if not name:
            continue
        yield name, end, found["attributes"]
        if name in _NOT_HTML:
            not_html[name] += -1 if end and not_html[name] else not end
        elif name in _END_OF_RAW and not end and not not_html.total():
            closing = _END_OF_RAW[name].search(text, at)
            at = closing.start() if closing else len(text)


def _step(open_now: Counter[str], name: str, end: str, count: int, most: int) -> tuple[int, int]:
    if not end:
        open_now[name] += 1
        return count + 1, max(most, count + 1)
    if not open_now[name]:
        return count, most
    open_now[name] -= 1
    return count - 1, most


def read_node_text(node: LexborNode, limit: int = 1000) -> str:
    """Read the text in a node, spaces made one, at most `limit` characters."""
    return _SPACE.sub(" ", _first_text(node, limit)).strip()[:limit]


def _first_text(node: LexborNode, limit: int) -> str:
    # Piece by piece: the whole text of each of many nested nodes would take for ever.
    pieces, length, block = [""], 0, None
    for part in node.traverse(include_text=True):
        if part.tag != "-text" or (part.parent is not None and part.parent.tag in {"script", "style"}):
            continue
        around = _find_block(part)
        pieces.append(" " if block not in {None, around} else "")
        pieces.append(_SPACE.sub(" ", part.text_content or ""))
        length, block = length + len(pieces[-1]), around
        if length > limit:
            break
    return "".join(pieces)


def _find_block(node: LexborNode) -> int:
    around = node.parent
    while around is not None and around.tag in _INLINE:
        around = around.parent
    return 0 if around is None else around.mem_id
