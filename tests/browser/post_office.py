"""The handlers of the house that these tests look at: letters are opened and answered, and strangers write too."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from pipeline.outcomes import Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

DRAWING = """<html><body><h1>A drawing</h1><p onclick="window.ran = 1">By hand.</p></body></html>"""


def open_letter(context: HandlerContext) -> Outcome:
    """Open a letter: it has a text, a picture, a recording and a page."""
    context.log.info("opened", letter=context.key)
    return {
        "title": f"About the weather, {context.key}",
        "text": f"Dear editor, {context.key} says that the weather was fair.\nYours.",
        "link": "https://example.org/weather",
        "html": f"<p>Dear <b>editor</b> of {context.key}</p>",
        "pages": [{"number": 1, "words": 12}, {"number": 2, "words": 7}],
        "picture": dict(context.artifact("stamp.png", draw(), "image/png")),
        "sound": dict(context.artifact("voice.wav", WAVE, "audio/wav")),
        "page": dict(context.artifact("drawing.html", DRAWING.encode(), "text/html")),
    }


def answer(context: HandlerContext, tone: str = "kind") -> Outcome:
    """Answer a letter, at a price; some get no answer."""
    number = context.data.get("number", 0)
    if number % 4 == 3:
        raise TimeoutError(f"no answer from the editor within 30 s (letter {number})")
    if number % 7 == 5:
        return Skip("nothing to answer")
    context.cost(0.002 * number, "editor", model="quill-2", input_tokens=40 * number)
    return {"text": f"Thank you, in a {tone} tone.", "tone": tone}


def file_letter(context: HandlerContext) -> Outcome:
    """File a letter."""
    return {"shelf": context.data.get("number", 0) % 3}


def repeat(context: HandlerContext) -> Outcome:
    """Say again what a stranger says, in every place of a result."""
    text = context.data["text"]
    context.log.info(text)
    context.log.info("line\n" * 1_000_000)
    for number in range(3_000):
        context.log.info(text[:500], number=number)
    return {
        "text": text,
        text[:1000]: [text[:1000]],
        "html": f"<p>{text[:1000]}</p>",
        "url": "javascript:ran = 1",
    }


def fail(context: HandlerContext) -> Outcome:
    """Fail with a stranger's words."""
    raise ValueError(context.data["text"])


def draw() -> bytes:
    """Draw a picture of one colour, 64 by 48, as PNG."""

    def part(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = (b"\0" + b"\x2b\x6b\x2f" * 64) * 48
    head = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    )


WAVE = (
    b"RIFF"
    + struct.pack("<I", 36)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data\0\0\0\0"
)
