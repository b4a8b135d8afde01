"""
The handler `article`: the text of an article, without the page around it.

Run as a program, the process in which `handlers.confining` has a page of many tags read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import trafilatura
from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.confining import MAX_SECONDS, read_page
from handlers.inputs import TEXT_FROM, find_page
from handlers.sentences import count_words
from pipeline.confined import answer_questions
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from handlers.inputs import Input
    from pipeline.outcomes import Outcome

_LANGUAGE = re.compile(r"<html\b[^>]{0,1000}?\blang\s*=\s*[\"']?([A-Za-z]{2,3})\b", re.IGNORECASE)
_PAGE = re.compile(r"<(?:!doctype|html|head|body|title|meta|article|main)\b", re.IGNORECASE)
_BREAK = re.compile(r"<(?:p|br|li|pre|div|blockquote)\b[^<>]{0,1000}>", re.IGNORECASE)
_NOTHING_SAID: dict[str, Any] = dict.fromkeys(("title", "author", "published_at", "language"))
_PARAGRAPH = "\ue000"
"""Stands for the end of a paragraph while white space is collapsed; a character that no text uses."""


class Article(Handler):
    """
    Extract an article's text and what the page says about it.

    Input: a needed result with `text` (and `url`, `content_type`), such as that of `fetch`, else the item's
    data. Result: `{"title", "author", "published_at", "language", "text", "words", "url"}`; `published_at`
    is a date, `2026-11-25`, `language` a code such as `en`; both, and `author`, are None where the page
    says nothing. A text that is not HTML passes through. Endings: Skip when there is no article text, as on
    a page that a script fills, or one nested beyond sense; GiveUp when the page is larger than `max_chars`, or reading
    it takes longer than `max_seconds`.
    Idempotent: it only computes; the same page gives the same result.
    Example: {handler: article, params: {max_chars: 500000}, timeout: 2m}
    """

    class Params(HandlerParams):
        """The parameters of `article`."""

        text_from: str | None = Field(None, description=TEXT_FROM)
        max_chars: int = Field(2_000_000, ge=1, le=20_000_000, description="A longer page is given up.")
        max_seconds: float = Field(60, gt=0, le=3600, description=MAX_SECONDS)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Extract, and fill the gaps from the item's data."""
        asked = find_page(context, self.params.text_from, self.params.max_chars)
        if not isinstance(asked, tuple):
            return asked
        page, url = asked
        found = self._extract(context, page, url if isinstance(url, str) else None)
        if isinstance(found, GiveUp):
            return found
        if not found["text"]:
            return Skip("no article text")
        title = found["title"] or context.data.get("title") or page.around.get("title")
        return {**found, "title": title, "words": count_words(found["text"]), "url": url}

    def _extract(self, context: HandlerContext, page: Input, url: str | None) -> dict[str, Any] | GiveUp:
        if not page.is_html():
            return _NOTHING_SAID | {"text": page.text.strip()}
        return read_page(context, extract, page.text, {"url": url}, self.params.max_seconds)


def extract(page: str, url: str | None) -> dict[str, Any]:
    """Extract the text of a page of HTML, and what the page says of itself."""
    if not _PAGE.search(page[:20_000]):
        return _NOTHING_SAID | {"text": _extract_fragment(page)}
    document = trafilatura.bare_extraction(page, url=url, include_comments=False, with_metadata=True)
    language = _LANGUAGE.search(page[:20_000])
    return {
        "title": getattr(document, "title", None),
        "author": getattr(document, "author", None),
        "published_at": getattr(document, "date", None),
        "language": language and language[1].lower(),
        "text": getattr(document, "text", None),
    }


def _extract_fragment(text: str) -> str:
    """Take all the text of a piece of HTML that is no page, such as a comment, paragraph by paragraph."""
    marked = _BREAK.sub(_PARAGRAPH, text.replace(_PARAGRAPH, ""))
    paragraphs = str(trafilatura.html2txt(f"<html><body>{marked}</body></html>")).split(_PARAGRAPH)
    return "\n\n".join(part.strip() for part in paragraphs if part.strip())


if __name__ == "__main__":
    answer_questions(lambda question, body: extract(body.decode(), **question))
