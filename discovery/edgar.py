"""EDGAR, the filings of the SEC: where things are, what a row or a hit says, what its refusals mean."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from discovery.base import FoundItem
from discovery.instants import tell_iso
from discovery.shapes import read_list, read_object, read_text, read_texts
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from net.client import Fetched

_DISPLAY_NAME = re.compile(r"(?P<name>.*?)\s*(?:\((?P<tickers>[A-Z0-9.,\- ]+)\)\s*)?\(CIK (?P<cik>\d{10})\)")
_ACCESSION_NUMBER = re.compile(r"\d{10}-\d{2}-\d{6}", re.ASCII)

COLUMNS = (
    "accessionNumber",
    "form",
    "filingDate",
    "reportDate",
    "acceptanceDateTime",
    "primaryDocument",
    "primaryDocDescription",
    "items",
)


def raise_refusal(fetched: Fetched) -> None:
    """
    Raise what a 403 of the SEC means, which its page says.

    Source: sec.gov/about/webmaster-frequently-asked-questions (developers).
    """
    if fetched.status == HTTPStatus.FORBIDDEN:
        raise _explain_refusal(fetched.text[:20_000].lower())


def _explain_refusal(page: str) -> SourceError:
    contact = "a contact in our User-Agent (set CELERIAC_CONTACT to a mail address)"
    if "request rate threshold exceeded" in page:
        return SourceUnavailableError(
            f"the SEC says Request Rate Threshold Exceeded: too much was asked, or it misses {contact}"
        )
    if "undeclared automated tool" in page:
        return SourceRejectedError(f"the SEC refuses undeclared tools: it wants {contact}")
    return SourceRejectedError("the SEC answered 403 (Forbidden): there is no such thing, or not for us")


def read_company(text: str) -> str:
    """
    Read a ticker as the SEC writes it, or a CIK without its zeros. Raises `ValueError` for what is neither.

    >>> read_company("brk.b"), read_company("CIK0000320193")
    ('BRK-B', '320193')
    """
    name = text.strip().upper().removeprefix("CIK")
    if re.fullmatch(r"[0-9]{1,10}", name):
        return str(int(name))
    if re.fullmatch(r"[A-Z][A-Z0-9.\-]{0,9}", name):
        return name.replace(".", "-")
    raise ValueError(f"{text!r} is neither a ticker nor a CIK (up to ten digits)")


def read_tickers(answer: object) -> dict[str, int]:
    """Read the SEC's list of tickers: the CIK of each. Raises `SourceRejectedError` when it is none."""
    rows = read_object(answer).values()
    found = {read_text(row.get("ticker")): row.get("cik_str") for row in rows if isinstance(row, dict)}
    known = {ticker.upper(): cik for ticker, cik in found.items() if ticker and type(cik) is int}
    if not known:
        raise SourceRejectedError("the SEC gave no list of tickers")
    return known


def read_rows(columns: object) -> Iterator[dict[str, str]]:
    """Turn the columns of a list of filings into rows; what a short column lacks is empty."""
    lists = {name: read_list(read_object(columns).get(name)) for name in COLUMNS}
    for number in range(len(lists["accessionNumber"])):
        yield {
            name: read_text(values[number]) if number < len(values) else "" for name, values in lists.items()
        }


def make_row_item(row: dict[str, str], company: dict[str, Any], archive: str, source: str) -> FoundItem:
    """Make the item of a row; without a key when it names no filing."""
    return _make_item(
        archive,
        source,
        accession_number=row["accessionNumber"],
        form=row["form"],
        company=read_text(company.get("name")),
        cik=str(company["cik"]),
        tickers=read_texts(company.get("tickers")),
        filed_on=row["filingDate"],
        period_ends_on=row["reportDate"],
        accepted=row["acceptanceDateTime"],
        document=row["primaryDocument"],
        description=row["primaryDocDescription"],
        items=[number for number in row["items"].split(",") if number],
    )


def make_hit_item(hit: dict[str, Any], archive: str, source: str) -> FoundItem:
    """Make the item of a hit of the full-text search; without a key when it names no filing."""
    about = read_object(hit.get("_source"))
    name, tickers, cik = _read_filer(about)
    accession_number, _, document = read_text(hit.get("_id")).partition(":")
    return _make_item(
        archive,
        source,
        accession_number=read_text(about.get("adsh")) or accession_number,
        form=read_text(about.get("form")) or read_text(about.get("file_type")),
        company=name,
        cik=cik,
        tickers=tickers,
        filed_on=read_text(about.get("file_date")),
        period_ends_on=read_text(about.get("period_ending")),
        accepted="",
        document=document,
        description=read_text(about.get("file_description")),
        items=read_texts(about.get("items")),
    )


def _read_filer(about: dict[str, Any]) -> tuple[str, list[str], str]:
    names = read_texts(about.get("display_names"))
    found = _DISPLAY_NAME.fullmatch(names[0]) if names else None
    ciks = read_texts(about.get("ciks"))
    if found is None:
        return (names[0] if names else "", [], ciks[0] if ciks else "")
    return (found["name"], re.findall(r"[A-Z0-9.\-]+", found["tickers"] or ""), found["cik"])


def _make_item(archive: str, source: str, *, accession_number: str, document: str, **about: Any) -> FoundItem:
    number = accession_number if _ACCESSION_NUMBER.fullmatch(accession_number) else ""
    cik = about["cik"].lstrip("0") if about["cik"].isdecimal() else ""
    folder = f"{archive.rstrip('/')}/Archives/edgar/data/{cik}/{number.replace('-', '')}"
    index_url = f"{folder}/{number}-index.htm"
    url = f"{folder}/{quote(document)}" if document else index_url
    data = {
        "url": url,
        "title": " ".join(filter(None, (about["form"], about["company"], about["filed_on"]))),
        "published_at": tell_iso(about["filed_on"]),
        "accession_number": number,
        "index_url": index_url,
        "documents": [url],
        **about,
    }
    return FoundItem(number if cik else "", data, source=source)
