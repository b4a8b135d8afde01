"""Filings with the United States Securities and Exchange Commission."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlencode

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.edgar import make_hit_item, make_row_item, raise_refusal, read_company, read_rows, read_tickers
from discovery.gather import gather_bounded, keep_answers
from discovery.shapes import read_object, read_objects, read_text, read_whole
from discovery.wanted_filings import WantedFilings
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

COMPANIES_AT_ONCE = 4
WINDOW = 10_000
"""How far into its hits the full-text search goes."""
MAX_PAGES = 100
MAX_OLDER_FILES = 50

_OLDER_FILE = re.compile(r"CIK\d{10}-submissions-\d{3}\.json", re.ASCII)


Company = Annotated[
    str,
    BeforeValidator(lambda given: str(given) if type(given) is int else given),
    AfterValidator(read_company),
]


class SecFilings(BaseDiscovery):
    """
    Find what companies file with the SEC: by company, form and day, or by a search of the full text.

    Without `search`, the filings of each company; with it, those whose documents hold the words, of the
    companies if any are given, else of all (from 2001 on). A company that fails does not stop the others. The
    SEC wants a contact in the User-Agent, and refuses without: set CELERIAC_CONTACT.

    Key: the accession number. Order: company by company, latest first; of a search, its own.
    Data: `{"url": str, "title": str, "published_at": str | None, "accession_number": str, "form": str,
    "company": str, "cik": str, "tickers": list[str], "filed_on": str, "period_ends_on": str, "accepted": str,
    "description": str, "items": list[str], "index_url": str, "documents": list[str]}`: `url` is the primary
    document, or the first that a search found; `documents` are all that it found. `published_at` is the day of
    filing, in UTC; `accepted` the moment as the SEC writes it, which for some filers is New York's although it
    ends in Z. Days are `YYYY-MM-DD`. One request for each company, one for the list of tickers unless all are
    CIKs, one for each file of older filings; of a search, one for each hundred hits or fewer.
    Example: {strategy: sec_filings, companies: [AAPL, "0000789019"], forms: [10-K, 8-K], start: 2026-01-01}

    Source: sec.gov/search-filings/edgar-application-programming-interfaces; efts.sec.gov/LATEST/search-index.
    """

    class Params(StrategyParams):
        """Whose filings, which, and from when."""

        companies: list[Company] = Field([], description="Companies, each by its ticker or its CIK.")
        search: str | None = Field(
            None, min_length=2, max_length=500, description='Words in the full text; `"a phrase"` in quotes.'
        )
        forms: list[str] = Field([], description="Which forms, such as `10-K`; all, when left out.")
        amendments: bool = Field(default=True, description="Whether amendments (`10-K/A`) count as the form.")
        start: date | None = Field(None, description="Filed on this day or later.")
        end: date | None = Field(None, description="Filed on this day or earlier.")
        older: bool = Field(
            default=False,
            description="Whether to go on beyond a company's latest filings (1,000, or a year).",
        )
        limit: int = Field(100, ge=1, le=WINDOW, description="At most this many, of each company or search.")
        www_url: WebAddress = Field(
            "https://www.sec.gov", description="Where the list of tickers and the archive are."
        )
        data_url: WebAddress = Field(
            "https://data.sec.gov", description="Where the companies' filings are listed."
        )
        search_url: WebAddress = Field("https://efts.sec.gov", description="Where the full-text search is.")

        @model_validator(mode="after")
        def _asks_for_something(self) -> Self:
            if not self.companies and not self.search:
                raise ValueError("give companies, or words to search for")
            if self.start and self.end and self.start > self.end:
                raise ValueError("start is after end")
            return self

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Find the filings. Raises `SourceUnavailableError` when nothing could be had now."""
        ciks = await self._identify(list(dict.fromkeys(self.params.companies)))
        if self.params.search:
            return await self._search(self.params.search, ciks)
        answers = await gather_bounded(self._read_company, ciks, COMPANIES_AT_ONCE)
        found = keep_answers(answers, "company", self, [self._name(cik) for cik in ciks])
        return _fold(item for items in found for item in items)

    # -- by company ---------------------------------------------------------------------------------------

    async def _identify(self, companies: list[str]) -> list[int]:
        if all(company.isdecimal() for company in companies):
            return [int(company) for company in companies]
        fetched = await self._ask(f"{self.params.www_url.rstrip('/')}/files/company_tickers.json", "tickers")
        tickers = read_tickers(fetched)
        unknown = [company for company in companies if not company.isdecimal() and company not in tickers]
        self.problems.extend(f"the SEC knows no ticker {company}" for company in unknown)
        known = [company for company in companies if company not in unknown]
        if not known:
            raise SourceRejectedError(f"the SEC knows none of the tickers {', '.join(unknown)}")
        return list(dict.fromkeys(int(each) if each.isdecimal() else tickers[each] for each in known))

    async def _read_company(self, cik: int) -> list[FoundItem]:
        source = self._name(cik)
        url = f"{self.params.data_url.rstrip('/')}/submissions/CIK{cik:010d}.json"
        fetched = await self.fetch_if_changed(
            url, source=source, statuses_ok={HTTPStatus.FORBIDDEN}, wanted=[self.params.limit]
        )
        if fetched is None:
            return []
        raise_refusal(fetched)
        company = read_object(fetched.json()) | {"cik": f"{cik:010d}"}
        items: list[FoundItem] = []
        async for columns in self._list_columns(company, source):
            rows = (row for row in read_rows(columns) if self._wanted.holds(row["form"], row["filingDate"]))
            items.extend(make_row_item(row, company, self.params.www_url, source) for row in rows)
            if len(items) >= self.params.limit:
                break
        return items[: self.params.limit]

    async def _list_columns(self, company: dict[str, Any], source: str) -> AsyncIterator[Any]:
        filings = read_object(company.get("filings"))
        if not isinstance(filings.get("recent"), dict):
            raise SourceRejectedError(f"the SEC gave no filings of {source}")
        yield filings["recent"]
        older = read_objects(filings.get("files"))[:MAX_OLDER_FILES] if self.params.older else []
        for file in older:
            name = read_text(file.get("name"))
            if _OLDER_FILE.fullmatch(name) and self._wanted.may_be_in(file):
                yield await self._ask(f"{self.params.data_url.rstrip('/')}/submissions/{name}", source)

    @property
    def _wanted(self) -> WantedFilings:
        params, since = self.params, self.access.since
        first = max(params.start or date.min, since.astimezone(UTC).date() if since else date.min)
        return WantedFilings(params.forms, params.amendments, first, params.end or date.max)

    def _name(self, cik: int) -> str:
        # What is kept of a source is for these filings only; others of the same company are another source.
        params = self.params
        wanted = [*params.forms, *(["without amendments"] if not params.amendments else [])]
        wanted += [f"from {params.start}"] if params.start else []
        wanted += [f"to {params.end}"] if params.end else []
        return " ".join([f"CIK{cik:010d}", *wanted, *(["with older"] if params.older else [])])[:1000]

    # -- by the full text ---------------------------------------------------------------------------------

    async def _search(self, words: str, ciks: list[int]) -> list[FoundItem]:
        source = f"search: {words}"
        found: dict[str, FoundItem] = {}
        skip, seen = 0, set[str]()
        for _ in range(MAX_PAGES):
            hits, total = await self._search_page(words, ciks, skip, source)
            new = [hit for hit in hits if read_text(hit.get("_id")) not in seen]
            if not new:
                break
            seen.update(read_text(hit.get("_id")) for hit in new)
            self._add_hits(found, new, source)
            skip += len(hits)
            if len(found) >= self.params.limit or skip >= min(total, WINDOW):
                break
        return list(found.values())[: self.params.limit]

    async def _search_page(
        self, words: str, ciks: list[int], skip: int, source: str
    ) -> tuple[list[dict[str, Any]], int]:
        asked = {"q": words} | self._wanted.write_search(datetime.now(UTC).date())
        asked |= {"ciks": ",".join(f"{cik:010d}" for cik in ciks)} if ciks else {}
        asked |= {"from": str(skip)} if skip else {}
        url = f"{self.params.search_url.rstrip('/')}/LATEST/search-index?{urlencode(asked)}"
        answer = read_object(await self._ask(url, source))
        hits = read_object(answer.get("hits"))
        if not isinstance(hits.get("hits"), list):
            why = read_text(answer.get("errorMessage")) or read_text(answer.get("message")) or "no hits"
            raise SourceRejectedError(f"the SEC's search answered: {why:.200}")
        return read_objects(hits["hits"]), read_whole(read_object(hits.get("total")).get("value")) or 0

    def _add_hits(self, found: dict[str, FoundItem], hits: list[dict[str, Any]], source: str) -> None:
        for hit in hits:
            item = make_hit_item(hit, self.params.www_url, source)
            if not item.key:
                self.refused["no key"] += 1
            elif self._wanted.holds(item.data["form"], item.data["filed_on"]):
                documents = found.setdefault(item.key, item).data["documents"]
                documents.extend(each for each in item.data["documents"] if each not in documents)

    async def _ask(self, url: str, source: str) -> Any:
        fetched = await self.fetch(url, source=source, statuses_ok={HTTPStatus.FORBIDDEN})
        raise_refusal(fetched)
        return fetched.json()


def _fold(found: Iterable[FoundItem]) -> list[FoundItem]:
    items = list(found)
    once = {item.key: item for item in reversed(items) if item.key}
    return [item for item in items if not item.key or once[item.key] is item]
