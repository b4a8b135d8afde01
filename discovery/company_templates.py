"""Companies, and texts with places for their names in which one of them is put."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field, StringConstraints

from discovery.base import StrategyParams

PLACE = re.compile(r"\{(name|alias|ticker|cik)\}")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Cik = Annotated[
    str,
    BeforeValidator(lambda given: str(given) if type(given) is int else given),
    StringConstraints(pattern=r"^[0-9]{1,10}$"),
]


class Company(StrategyParams):
    """A company to watch."""

    name: Text = Field(description="What it is called.")
    ticker: Text | None = Field(None, description="What it is called on the stock exchange.")
    aliases: list[Text] = Field([], description="What else it is called.")
    cik: Cik | None = Field(None, description="Its number with the SEC.")


class NotForCompanyError(LookupError):
    """A text has a place for something that the company does not have."""


def names_a_company(value: Any) -> bool:
    """Tell whether there is a place for a company in a text, or in the texts of a list or object."""
    if isinstance(value, str):
        return bool(PLACE.search(value))
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(names_a_company(inner) for inner in inside)


def put_company(value: Any, company: Company) -> Any:
    """
    Put a company in the places `{name}`, `{ticker}` and `{cik}` of a text, or of the texts in a list or object.

    In a list, a text with `{alias}` becomes one for its name and one for each alias, and a text with a place for
    what the company does not have is left out. In web addresses what is put in is percent-encoded.

    Raises `NotForCompanyError` when nothing is left.

    >>> put_company({"q": ["{alias} news", "${ticker}"]}, Company(name="Sample", aliases=["S. A."]))
    {'q': ['Sample news', 'S. A. news']}
    """
    if isinstance(value, str):
        return _put_in_text(value, company)[0]
    if isinstance(value, dict):
        return {name: put_company(inner, company) for name, inner in value.items()}
    if isinstance(value, list):
        return _put_in_list(value, company)
    return value


def _put_in_list(values: list[Any], company: Company) -> list[Any]:
    found: list[Any] = []
    for value in values:
        try:
            found += _put_in_text(value, company) if isinstance(value, str) else [put_company(value, company)]
        except NotForCompanyError:
            continue
    if values and not found:
        raise NotForCompanyError
    return found


def _put_in_text(text: str, company: Company) -> list[str]:
    known = {"name": company.name, "ticker": company.ticker, "cik": company.cik}
    if any(place != "alias" and not known[place] for place in PLACE.findall(text)):
        raise NotForCompanyError
    in_address = text.startswith(("http://", "https://"))
    aliases = [company.name, *company.aliases] if "{alias}" in text else [""]
    return [_put(text, {**known, "alias": alias}, in_address) for alias in dict.fromkeys(aliases)]


def _put(text: str, known: dict[str, str | None], in_address: bool) -> str:
    def tell(place: re.Match[str]) -> str:
        value = known[place[1]] or ""
        return quote(value, safe="") if in_address else value

    return PLACE.sub(tell, text)
