"""
The process in which PDFs are read, started by `handlers.pdf_text`, one for each.

Whatever a file is made for, it can be stopped, and takes only so much.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pypdfium2

from pipeline.confined import answer_questions

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDS_PASSWORD = "it is encrypted, and opens only with a password"  # noqa: S105
WRONG_PASSWORD = "it is encrypted, and opens with another password"  # noqa: S105

_PASSWORD_ERROR = 4
"""FPDF_ERR_PASSWORD of fpdfview.h."""

_DATE = re.compile(
    r"D:(?P<at>\d{4}(?:\d{2}){0,5})(?:Z|(?P<sign>[+-])(?P<hours>\d{2})'?(?P<minutes>\d{2})?'?)?", re.ASCII
)
_LINE_END = re.compile(r"[ \t]*\r?\n")


def answer(question: dict[str, Any], body: bytes) -> dict[str, Any]:
    """
    Read a PDF: `{"text", "pages", "pages_read", "title", "author", "created_at"}`, or `{"problem": str}`.

    The file is at the question's `path`, else the body.
    """
    try:
        document = pypdfium2.PdfDocument(question["path"] or body, password=question["password"])
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            return {"problem": WRONG_PASSWORD if question["password"] else NEEDS_PASSWORD}
        return {"problem": "it is no PDF, or a broken one"}
    texts, left = [], question["max_chars"]
    for text in _list_pages(document, question["max_pages"]):
        texts.append(text[:left])
        left -= len(texts[-1])
        if left <= 0:
            break
    return {
        "text": "\n\n".join(filter(None, (text.strip() for text in texts))),
        "pages": len(document),
        "pages_read": len(texts),
        "title": _find_words(document, "Title"),
        "author": _find_words(document, "Author"),
        "created_at": read_date(document.get_metadata_value("CreationDate")),
    }


def _list_pages(document: pypdfium2.PdfDocument, most: int) -> Iterator[str]:
    for index in range(min(len(document), most)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:  # one that cannot be read leaves the others as they are
            yield ""
            continue
        yield _clean(page.get_textpage().get_text_bounded())
        page.close()


def _clean(text: str) -> str:
    # A hyphen at the end of a line is told from others by a character that is none; so the word is whole again.
    text = re.sub(r"[\ufffe\x02]\s*", "", text).replace("\0", "")
    return _LINE_END.sub("\n", text).encode("utf-8", "replace").decode()


def _find_words(document: pypdfium2.PdfDocument, name: str) -> str | None:
    words = " ".join(_clean(document.get_metadata_value(name)).split())
    return words[:1000] or None


def read_date(written: str) -> str | None:
    """
    Read a PDF's date as an ISO instant or date; None for what is none.

    Source: ISO 32000-1, 7.9.4.

    >>> read_date("D:20260304050607+01'00'"), read_date("D:2026"), read_date("March")
    ('2026-03-04T05:06:07+01:00', '2026-01-01', None)
    """
    found = _DATE.match(written.strip())
    if found is None:
        return None
    digits = found["at"]
    whole = digits + "00000101000000"[len(digits) :]
    try:
        instant = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=_read_zone(found))
    except ValueError:
        return None
    return instant.date().isoformat() if len(digits) <= 8 else instant.isoformat()


def _read_zone(found: re.Match[str]) -> timezone:
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    return timezone(-offset if found["sign"] == "-" else offset)


if __name__ == "__main__":
    answer_questions(answer)
