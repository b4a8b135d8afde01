"""Values of items and results, made ready to be shown by their kind: a tree, texts, links, kept files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NODES = 2_000
MOST_CHILDREN = 200
MOST_DEPTH = 15
MOST_CHARACTERS = 300_000
"""So much of all texts of one tree is shown; of each that comes later some words."""

SHORT = 200

INLINE_IMAGES = frozenset({"png", "jpeg", "gif", "webp", "avif", "bmp", "svg+xml"})

_HTML = re.compile(
    r"\s*<(!doctype|html|head|body|p|div|article|section|main|h[1-6]|table|ul|ol|span|a|img)\b", re.IGNORECASE
)
_LINK = re.compile(r"https?://[^\s\"<>\\^`{|}]{1,2000}")
_POINTER = re.compile(r"sha256:([0-9a-f]{64})")

Kind = Literal["text", "link", "branch", "scalar"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept file that a value points to; `kind` is image, audio, video, pdf, html or file."""

    sha256: str
    name: str
    size: int
    content_type: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """One value in a tree; `path` is its JSON pointer (RFC 6901). A branch has `children`, and some `left_out`."""

    name: str | None
    kind: Kind
    said: str
    path: str
    children: tuple[Node, ...] = ()
    left_out: int = 0
    is_open: bool = False
    is_html: bool = False
    kept: Kept | None = None


def make_tree(value: Any) -> Node:
    """Make a JSON value ready to be shown, as much of it as a page can bear."""
    return _Planter().plant(None, value, "", 0)


class _Planter:
    def __init__(self) -> None:
        self.nodes, self.characters = 0, 0

    def plant(self, name: str | None, value: Any, path: str, depth: int, kind: str = "") -> Node:
        self.nodes += 1
        if isinstance(value, str):
            return self._plant_text(name, value, path, kind)
        if not isinstance(value, dict | list):
            return Node(name, "scalar", json.dumps(value), path)
        kept = find_kept(value)
        if kept is not None:
            return Node(name, "branch", kept.name, path, kept=kept)
        noun = "field" if isinstance(value, dict) else "entry"
        said = f"{len(value):,} {noun if len(value) == 1 else {'field': 'fields', 'entry': 'entries'}[noun]}"
        if depth >= MOST_DEPTH:
            return Node(name, "scalar", shorten_json(value), path)
        children = tuple(self._plant_all(value, path, depth))
        left_out = len(value) - len(children)
        return Node(name, "branch", said, path, children, left_out, is_open=depth < 1 or len(value) <= 5)

    def _plant_all(self, value: Any, path: str, depth: int) -> Iterable[Node]:
        is_object = isinstance(value, dict)
        kind = str(value.get("content_type") or "") if is_object else ""
        pairs = value.items() if is_object else enumerate(value)
        for number, (name, one) in enumerate(pairs):
            if number >= MOST_CHILDREN or self.nodes >= MOST_NODES:
                return
            below = f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"
            yield self.plant(str(name), one, below, depth + 1, kind)

    def _plant_text(self, name: str | None, said: str, path: str, kind: str) -> Node:
        if _LINK.fullmatch(said):
            return Node(name, "link", said, path)
        is_html = (kind.startswith("text/html") and "<" in said) or _HTML.match(said) is not None
        if self.characters > MOST_CHARACTERS and len(said) > SHORT:
            said = f"{said[:SHORT]}… ({len(said):,} characters)"
        self.characters += len(said)
        return Node(name, "text", said, path, is_html=is_html)


def find_kept(value: Any) -> Kept | None:
    """Find the kept file that a value points to; None when it is something else."""
    if not isinstance(value, Mapping) or not isinstance(value.get("artifact"), str):
        return None
    found = _POINTER.fullmatch(value["artifact"])
    if found is None:
        return None
    kind, size = value.get("content_type"), value.get("bytes")
    content_type = kind[:SHORT] if isinstance(kind, str) else None
    return Kept(
        found[1],
        str(value.get("name") or "file"),
        size if isinstance(size, int) else 0,
        content_type,
        name_kind(content_type),
    )


def name_kind(content_type: str | None) -> str:
    """
    Name the kind of file by its media type.

    >>> name_kind("image/png"), name_kind("image/x-unknown"), name_kind("text/html; charset=utf-8"), name_kind(None)
    ('image', 'file', 'html', 'file')
    """
    bare = (content_type or "").partition(";")[0].strip().lower()
    family, _, form = bare.partition("/")
    if family == "image":
        return "image" if form in INLINE_IMAGES else "file"
    if family in ("audio", "video"):
        return family
    return {"application/pdf": "pdf", "text/html": "html", "application/xhtml+xml": "html"}.get(bare, "file")


def find_at(value: Any, path: str) -> Any:
    """Find what is at a JSON pointer within a value; None for nothing."""
    for step in path.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name[:9]) < len(value):
            value = value[int(name[:9])]
        else:
            return None
    return value


def shorten_json(value: Any) -> str:
    """Write a value as JSON, a text as it is; cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 5 * SHORT else f"{text[: 5 * SHORT]}… ({len(text):,} characters)"
