"""
The handler `html_to_markdown`: the main part of a page as Markdown.

Run as a program, the process in which `handlers.confining` has a page of many tags read.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import trafilatura
from pydantic import Field
from trafilatura.settings import use_config

from handlers.base import Handler, HandlerParams
from handlers.confining import MAX_SECONDS, read_page
from handlers.inputs import TEXT_FROM, find_page
from handlers.sentences import count_words
from pipeline.confined import answer_questions
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from configparser import ConfigParser

    from handlers.base import HandlerContext
    from handlers.inputs import Input
    from pipeline.outcomes import Outcome


class HtmlToMarkdown(Handler):
    """
    Convert the main part of a page to Markdown: headings, lists, tables, links, code, without the page around it.

    Quotations become paragraphs. The title of the page stands in `title`, and mostly not in the text.

    Input: a needed result with `text` (and `url`, `content_type`), such as that of `fetch`, else the item's data.
    Result: `{"text" (the Markdown), "content_type": "text/markdown", "title", "words", "url"}`; a text that is not HTML
    passes through. Endings: Skip when there is no text in the page, it is nested beyond sense, or there is no input;
    GiveUp when it is larger than `max_chars`, reading it takes longer than `max_seconds`, or the needed results have no
    text.
    Idempotent: it only computes; the same page gives the same result.
    Example: {handler: html_to_markdown, params: {links: false}}

    Source: the documentation of Trafilatura, trafilatura.readthedocs.io.
    """

    TIMEOUT = "2m"

    class Params(HandlerParams):
        """The parameters of `html_to_markdown`."""

        text_from: str | None = Field(None, description=TEXT_FROM)
        links: bool = Field(True, description="Keep links, made absolute where the page's address is known.")
        images: bool = Field(False, description="Keep images, as links to them.")
        tables: bool = Field(True, description="Keep tables.")
        max_chars: int = Field(2_000_000, ge=1, le=20_000_000, description="A longer page is given up.")
        max_seconds: float = Field(60, gt=0, le=3600, description=MAX_SECONDS)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Convert."""
        asked = find_page(context, self.params.text_from, self.params.max_chars)
        if not isinstance(asked, tuple):
            return asked
        page, url = asked
        made = self._convert(context, page, url if isinstance(url, str) else None)
        if isinstance(made, GiveUp):
            return made
        if not made["text"]:
            return Skip("no text in the page")
        title = made["title"] or context.data.get("title") or page.around.get("title")
        about = {
            "content_type": "text/markdown",
            "title": title,
            "words": count_words(made["text"]),
            "url": url,
        }
        return {"text": made["text"], **about}

    def _convert(self, context: HandlerContext, page: Input, url: str | None) -> dict[str, Any] | GiveUp:
        if not page.is_html():
            return {"text": page.text.strip(), "title": None}
        params = self.params
        how = {"url": url, "links": params.links, "images": params.images, "tables": params.tables}
        return read_page(context, convert, page.text, how, params.max_seconds)


def convert(page: str, url: str | None, *, links: bool, images: bool, tables: bool) -> dict[str, Any]:
    """Convert the main part of a page of HTML, and find its title."""
    text = trafilatura.extract(
        page,
        url=url,
        output_format="markdown",
        favor_recall=True,
        include_comments=False,
        include_formatting=True,
        include_links=links,
        include_images=images,
        include_tables=tables,
        config=_read_config(),
    )
    about = trafilatura.extract_metadata(page, default_url=url) if text else None
    return {"text": text, "title": getattr(about, "title", None)}


@cache
def _read_config() -> ConfigParser:
    """Ask for all there is, also where it is short: whether a page is long enough is for others to say."""
    config: ConfigParser = use_config()
    for name in ("MIN_EXTRACTED_SIZE", "MIN_OUTPUT_SIZE"):
        config.set("DEFAULT", name, "0")
    return config


if __name__ == "__main__":
    answer_questions(lambda question, body: convert(body.decode(), **question))
