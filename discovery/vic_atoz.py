"""Write-ups in the A to Z index of the Value Investors Club."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import Field

from discovery.base import FoundItem
from discovery.index_pages import IndexPages
from discovery.pages import Pattern  # noqa: TC001  pydantic reads it from the annotations

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from discovery.links import Link

IDEA = r"/idea/[^/?#]+/(\d+)"
"""The address of a write-up: the company's name, then the write-up's id."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_COMPANY = re.compile(r"/idea/([^/?#]+)/\d")
_LETTERS = ["0-9", "A-C", "D-F", "G-J", "K-N", "O-R", "S-V", "W-Z"]


class VicAtoz(IndexPages):
    """
    Find the write-ups in the A to Z index of the Value Investors Club, which shows guests those over 45 days old.

    It is `index_pages` with other defaults; all of them can be given.

    Key: the write-up's id, stable for ever. Order: group of letters by group, each by company.
    Data: `{"url": str, "company": str, "ticker": str, "month": str | None, "author": str, "text": str,
    "index": str}`: the month of the write-up, such as `2023-12`; the author when the page shows one; what the
    link says whole; and the group of letters. The months before the job's `since` are left out. One request per
    group of letters.
    Example: {strategy: vic_atoz, values: {letters: ["0-9", "A-C"], period: ["2024", "2025"]}}

    Source: www.valueinvestorsclub.com/ideas/atoz.
    """

    class Params(IndexPages.Params):
        """The index as the club has it."""

        url: str = Field(
            "https://www.valueinvestorsclub.com/ideas/atoz/{letters}/{period}",
            min_length=1,
            description="The address of a page, with the names in `values`.",
        )
        values: list[str] | dict[str, list[str]] = Field(
            default_factory=lambda: {"letters": [*_LETTERS], "period": ["last10"]},
            min_length=1,
            description="The groups of letters, and the periods: `last10`, or years such as `2024`.",
        )
        include: Pattern | None = Field(
            IDEA, description="Only links whose address this regular expression is found in."
        )
        key: Pattern | None = Field(
            IDEA, description="A regular expression; its first group in the address is the key."
        )
        pattern: Pattern | None = Field(
            r"^(?P<company>.+?)(?:\s*\((?P<ticker>[A-Z0-9.:/ -]{1,12})\))?(?:\s*\((?P<month>[A-Z][a-z]{2} \d\d)\))?$",
            description="A regular expression; its named groups in what the link says go into the data.",
        )

    params: Params

    def make_item(self, link: Link, row: LexborNode | None, index: str) -> FoundItem | None:
        """Make an item of a write-up's link; None when its month is before what is wanted."""
        item = super().make_item(link, row, index)
        if item is None:
            return None
        data = {"company": "", "ticker": "", "month": "", "author": ""} | item.data
        data["company"] = data["company"] or name_company(link.url)
        month = data["month"] = read_month(data["month"])
        since = self.access.since
        return None if month and since and month < f"{since:%Y-%m}" else FoundItem(item.key, data)


def read_month(text: object) -> str | None:
    """
    Read a month as the index writes it; None when it is none.

    >>> read_month("Dec 23"), read_month("Foo 23")
    ('2023-12', None)
    """
    name, _, year = str(text).lower().partition(" ")
    if name not in _MONTHS or not year.isdecimal() or len(year) != 2:
        return None
    return f"20{year}-{_MONTHS.index(name) + 1:02}"


def name_company(url: str) -> str:
    """
    Name the company that a write-up's address names; empty for another address.

    >>> name_company("https://www.valueinvestorsclub.com/idea/MICROSOFT_CORP/8319612353")
    'MICROSOFT CORP'
    """
    found = _COMPANY.search(url)
    return " ".join(unquote(found[1]).replace("_", " ").split()) if found else ""
