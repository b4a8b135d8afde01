"""Which filings with the SEC are wanted: by form and by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from discovery.shapes import read_text

if TYPE_CHECKING:
    from collections.abc import Collection

SEARCHABLE_FROM = date(2001, 1, 1)
"""The first day whose filings the full-text search knows."""


@dataclass(frozen=True, slots=True)
class WantedFilings:
    """
    Filings of any of the forms (of all, when there are none), from one day to another, both included.

    With `amendments`, those of a form (`10-K/A`) count as the form.
    """

    forms: Collection[str]
    amendments: bool
    first: date
    last: date

    def holds(self, form: str, filed_on: str) -> bool:
        """Tell whether a filing is wanted; one whose day is not known may be."""
        plain = form.removesuffix("/A") if self.amendments else form
        in_time = not filed_on or self.first.isoformat() <= filed_on <= self.last.isoformat()
        return in_time and (not self.forms or form in self.forms or plain in self.forms)

    def may_be_in(self, file: dict[str, Any]) -> bool:
        """Tell whether a file of older filings may hold wanted ones, by the days that it says it is of."""
        first, last = read_text(file.get("filingFrom")), read_text(file.get("filingTo"))
        return (not last or last >= self.first.isoformat()) and (not first or first <= self.last.isoformat())

    def write_search(self, today: date) -> dict[str, str]:
        """Write what is wanted for the full-text search, which takes a form as one with its amendments."""
        asked = {"forms": ",".join(self.forms)} if self.forms else {}
        if self.first <= SEARCHABLE_FROM and self.last >= today:
            return asked
        first, last = max(self.first, SEARCHABLE_FROM), min(self.last, today)
        return asked | {"dateRange": "custom", "startdt": first.isoformat(), "enddt": last.isoformat()}
