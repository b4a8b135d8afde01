"""What a handler takes from the stages that it needs, and how it ends when there is nothing to take."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers.content_types import is_text
from net.charset import decode
from pipeline.errors import ArtifactError
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handlers.base import HandlerContext

TEXT_FROM = "The needed stage whose result is taken; by default the nearest that has a text."


MAX_KEPT_BYTES = 20 * 1024 * 1024
"""A longer text is nothing to work on in one piece."""

_HTML_TYPES = ("text/html", "application/xhtml+xml", "")


@dataclass(frozen=True, slots=True)
class Input:
    """A text, the field that it stood in, and the result, or the item's data, around it."""

    text: str
    field: str
    around: Mapping[str, Any]

    def is_html(self) -> bool:
        """Tell whether what is around it calls it HTML, or nothing."""
        declared = str(self.around.get("content_type") or "").partition(";")[0].strip().lower()
        return declared in _HTML_TYPES


def find_input(
    context: HandlerContext, text_from: str | None = None, fields: Sequence[str] = ("text",)
) -> Input | Skip | GiveUp:
    """
    Find the text to work on: in the result named, else the nearest needed one, else the item's data.

    `fields` are tried in their order; a text that was too long for a result, and so was kept as the artifact `body`,
    is read from there, up to `MAX_KEPT_BYTES`. Nothing to be had ends in Skip when no needed stage left a result,
    since those were skipped, and in GiveUp when they left results without a text, since that is a mistake
    in jobs.yaml.
    """
    results = context.results
    if text_from is not None:
        results = {text_from: results[text_from]} if text_from in results else {}
    for around in [*reversed(list(results.values())), *([] if text_from else [context.data])]:
        for field in fields:
            if isinstance(text := around.get(field), str):
                return Input(text, field, around)
        if "text" in fields and _is_kept_text(pointer := around.get("body")):
            return _read_kept_text(context, pointer, around)
    return _end_without(results, text_from, fields)


def find_page(
    context: HandlerContext, text_from: str | None, max_chars: int
) -> tuple[Input, Any] | Skip | GiveUp:
    """Find a page to work on as `find_input` does, and what is said to be its address; too large a one is given up."""
    page = find_input(context, text_from)
    if not isinstance(page, Input):
        return page
    if len(page.text) > max_chars:
        return GiveUp(f"a page of {len(page.text):,} characters, more than max_chars ({max_chars:,})")
    return page, page.around.get("url") or context.data.get("url")


def _is_kept_text(pointer: Any) -> bool:
    return isinstance(pointer, Mapping) and is_text(str(pointer.get("content_type")))


def _read_kept_text(
    context: HandlerContext, pointer: Mapping[str, Any], around: Mapping[str, Any]
) -> Input | GiveUp:
    try:
        path = context.open_artifact(pointer)
    except ArtifactError as error:
        return GiveUp(str(error))
    if (size := path.stat().st_size) > MAX_KEPT_BYTES:
        return GiveUp(
            f"{pointer.get('name')} is a text of {size:,} bytes; at most {MAX_KEPT_BYTES:,} are read"
        )
    charset = f"; charset={pointer['charset']}" if "charset" in pointer else ""
    return Input(decode(path.read_bytes(), f"{pointer.get('content_type')}{charset}"), "body", around)


def _end_without(results: Mapping[str, Any], text_from: str | None, fields: Sequence[str]) -> Skip | GiveUp:
    if not results:
        return Skip(f"no result of {text_from!r} to work on" if text_from else "no result to work on")
    wanted = " or ".join(repr(field) for field in fields)
    return GiveUp(f"no text in {wanted} of the results of: {', '.join(results)}; set `needs` or `text_from`")


@dataclass(frozen=True, slots=True)
class File:
    """A file: kept at `path`, or in full in `body`; its name and size, and the result around it."""

    path: Path | None
    body: bytes
    name: str
    size: int
    around: Mapping[str, Any]


def find_file(context: HandlerContext, file_from: str | None = None) -> File | Skip | GiveUp:
    """
    Find the file to work on: in the result named, else in the nearest needed one that has any.

    It is the artifact that a field of the result points at, else its `body_base64`. Ends without one as
    `find_input` does.
    """
    results = context.results
    if file_from is not None:
        results = {file_from: results[file_from]} if file_from in results else {}
    for around in reversed(list(results.values())):
        for pointer in (around, *around.values()):
            if isinstance(pointer, Mapping) and "artifact" in pointer:
                return _open_file(context, pointer, around)
        if isinstance(written := around.get("body_base64"), str):
            return _decode_file(written, around)
    if not results:
        return _end_without(results, file_from, ())
    return GiveUp(f"no file in the results of: {', '.join(results)}; set `needs` or `file_from`")


def _open_file(
    context: HandlerContext, pointer: Mapping[str, Any], around: Mapping[str, Any]
) -> File | GiveUp:
    try:
        path = context.open_artifact(pointer)
    except ArtifactError as error:
        return GiveUp(str(error))
    return File(path, b"", str(pointer.get("name") or "the file"), path.stat().st_size, around)


def _decode_file(written: str, around: Mapping[str, Any]) -> File | GiveUp:
    try:
        body = base64.b64decode(written, validate=True)
    except binascii.Error as error:
        return GiveUp(f"body_base64 is no Base64: {error}")
    return File(None, body, str(around.get("url") or "the file"), len(body), around)


HANDED_ON = "Give the nearest needed result as this stage's own too, so that the next stage finds it."


def pass_on(context: HandlerContext, own: dict[str, Any], wanted: bool) -> dict[str, Any]:
    """Add what a stage has to say to the result of the nearest that it needs, if that is wanted."""
    nearest = list(context.results.values())[-1:] if wanted else []
    return {**(nearest[0] if nearest else {}), **own}
