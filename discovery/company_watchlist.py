"""What is written about companies, and what they file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, model_validator

from discovery.base import BaseDiscovery, FoundItem, FreeParams, StrategyParams, canonical_url, hash_url
from discovery.company_templates import Company, NotForCompanyError, names_a_company, put_company
from discovery.gather import gather_bounded, keep_answers
from discovery.sec_filings import SecFilings
from discovery.shapes import read_object, read_text, read_texts, read_web_address
from pipeline.catalog import STRATEGY, load
from pipeline.errors import CeleriacError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SEARCHES_AT_ONCE = 4
FILINGS = "sec_filings"


class Search(FreeParams):
    """A strategy and its parameters, with places for a company in them."""

    strategy: str = Field(min_length=1, description="Which strategy finds.")


@dataclass(frozen=True, slots=True)
class CompanySearch:
    """One strategy to run, for one company; for all of them when `company` is None."""

    strategy: str
    params: dict[str, Any]
    company: Company | None = None

    def __str__(self) -> str:
        return f"{self.company.name}: {self.strategy}" if self.company else self.strategy


class CompanyWatchlist(BaseDiscovery):
    """
    Find what is written about companies, by searches made for each, and what they file with the SEC.

    A search is any strategy with its parameters, where `{name}`, `{ticker}` and `{cik}` stand for a company's own;
    in a list, a text with `{alias}` is made once for the name and for each alias. One that takes `queries` has
    those of the list when it gives none. What needs something that a company does not have is not asked for it. A
    search that fails does not stop the others.

    Key: the hash of the canonical address; of a filing, the accession number. Order: company by company, search
    by search; filings last.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "companies": list[str],
    "strategies": list[str], "found": dict}`: `companies` are the names of all that it was found for, `strategies`
    those that found it, `found` what the first of them says; the instant is ISO in UTC. As many requests as the
    searches make: companies times searches times queries.
    Example: {strategy: company_watchlist, companies: [{name: Apple, ticker: AAPL, aliases: ["Apple Inc."]}],
    queries: ['"{alias}" earnings', "{ticker} stock"], searches: [{strategy: serper_news, tbs: daily}],
    filings: {forms: [8-K, 10-Q]}, api_key: "${SERPER_API_KEY}"}

    Source: what each search names as its own.
    """

    class Params(StrategyParams):
        """Which companies, and where to look for them."""

        companies: list[Company] = Field(min_length=1, description="The companies.")
        queries: list[str] = Field(['"{name}"'], description="What to search for, for each company.")
        searches: list[Search] = Field(
            [Search(strategy="serper_news")], description="Strategies, each with its parameters."
        )
        filings: dict[str, Any] | None = Field(
            None,
            description="Parameters of sec_filings without `companies`; left out, no filings are sought.",
        )
        api_key: SecretStr | None = Field(
            None, description="The key of the searches that need one; from SERPER_API_KEY, if it is set."
        )

        @model_validator(mode="after")
        def _searches_can_be_made(self) -> Self:
            for search in self.searches:
                _check_search(search, self)
            for made in _list_company_searches(self):
                _check_company_search(made)
            return self

    from_environment: ClassVar[Mapping[str, str]] = {"api_key": "SERPER_API_KEY:-"}
    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Make the searches, four at a time. Raises `SourceUnavailableError` when all of them fail."""
        searches = list(_list_company_searches(self.params))
        answers = await gather_bounded(self._run, searches, SEARCHES_AT_ONCE)
        found = keep_answers(answers, "search", self, [str(search) for search in searches])
        return _fold(item for items in found for item in items)

    async def _run(self, search: CompanySearch) -> list[FoundItem]:
        strategy: BaseDiscovery = load(STRATEGY, search.strategy)(
            search.params, replace(self.access, receive=None)
        )
        try:
            found = await strategy.discover()
        finally:
            self._take_over(strategy)
        return [self._make_item(item, search) for item in found]

    def _take_over(self, strategy: BaseDiscovery) -> None:
        self.refused.update(strategy.refused)
        self.problems.extend(strategy.problems)
        for name, look in strategy.looks.items():
            look.requests += self.looks[name].requests
            self.looks[name] = look

    def _make_item(self, item: FoundItem, search: CompanySearch) -> FoundItem:
        url = read_web_address(item.data.get("url"))
        companies = [search.company] if search.company else _find_filers(item, self.params.companies)
        data = {
            "url": url,
            "title": read_text(item.data.get("title")),
            "published_at": read_text(item.data.get("published_at")) or None,
            "companies": [company.name for company in companies],
            "strategies": [search.strategy],
            "found": item.data,
        }
        by_address = url and search.strategy != FILINGS
        return replace(
            item, key=hash_url(canonical_url(url), 20) if url and by_address else item.key, data=data
        )


def _list_company_searches(params: CompanyWatchlist.Params) -> Iterable[CompanySearch]:
    for company in params.companies:
        for search in params.searches:
            try:
                yield CompanySearch(search.strategy, put_company(_complete(search, params), company), company)
            except NotForCompanyError:
                continue
    if params.filings is not None:
        filers = [filer for each in params.companies if (filer := each.cik or each.ticker)]
        yield CompanySearch(FILINGS, {**params.filings, "companies": filers})


def _complete(search: Search, params: CompanyWatchlist.Params) -> dict[str, Any]:
    given, strategy = dict(search.model_extra or {}), load(STRATEGY, search.strategy)
    if "queries" in strategy.Params.model_fields:
        given.setdefault("queries", params.queries)
    if "api_key" in strategy.Params.model_fields and params.api_key and params.api_key.get_secret_value():
        given.setdefault("api_key", params.api_key)
    return given


def _check_search(search: Search, params: CompanyWatchlist.Params) -> None:
    try:
        strategy = load(STRATEGY, search.strategy)
        given = _complete(search, params)
    except CeleriacError as error:
        raise ValueError(str(error)) from error
    if strategy is CompanyWatchlist:
        raise ValueError("a company_watchlist cannot be a search of itself")
    if not names_a_company(given):
        raise ValueError(
            f"nothing in the search {search.strategy!r} names a company; write {{name}} somewhere"
        )
    needed = getattr(strategy, "from_environment", {}).get("api_key", ":-")
    if "api_key" not in given and not needed.endswith(":-"):
        raise ValueError(f"the search {search.strategy!r} needs a key: set {needed}, or give api_key")


def _check_company_search(search: CompanySearch) -> None:
    strategy = SecFilings if search.strategy == FILINGS else load(STRATEGY, search.strategy)
    try:
        strategy.Params.model_validate(search.params)
    except ValidationError as error:  # without what was given, which may be a key
        wrong = [(*each["loc"], each["msg"]) for each in error.errors(include_input=False, include_url=False)]
        told = "; ".join(": ".join(map(str, each)) for each in wrong)
        raise ValueError(f"{search}: {told}") from None


def _find_filers(item: FoundItem, companies: Iterable[Company]) -> list[Company]:
    cik, tickers = read_text(item.data.get("cik")).lstrip("0"), read_texts(item.data.get("tickers"))
    return [
        company
        for company in companies
        if (company.cik or "").lstrip("0") == cik
        or (company.ticker or "").upper().replace(".", "-") in tickers
    ]


def _fold(found: Iterable[FoundItem]) -> list[FoundItem]:
    folded: dict[str, FoundItem] = {}
    for item in found:
        kept = folded.setdefault(item.key, item)
        for field in ("companies", "strategies"):
            read_object(kept.data)[field].extend(
                each for each in item.data[field] if each not in kept.data[field]
            )
    return list(folded.values())
