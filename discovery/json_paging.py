"""The ways in which JSON APIs give a long list page by page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import unquote_plus

from pydantic import Field

from discovery.base import StrategyParams
from discovery.json_paths import JsonPath, as_position, look_up
from discovery.urls import join_url, name_host, read_origin, with_query

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))""", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(\d{1,3})\}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an API: an address, and a body for POST."""

    url: str
    body: Any = None

    def having(self, parameters: Mapping[str, object], into: str) -> Question:
        """Set parameters in the query, or in the body."""
        if into == "query":
            return replace(self, url=with_query(self.url, parameters))
        return replace(self, body=(self.body if isinstance(self.body, dict) else {}) | dict(parameters))


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered: where it was asked, its JSON and headers, and how many items were in it."""

    url: str
    body: Any
    headers: Mapping[str, str]
    count: int


class Paging(StrategyParams):
    """A way of paging. A position is JSON; None is the first page's."""

    past_the_end: ClassVar[Collection[int]] = ()
    """Statuses that say that there is no such page."""

    def ask(self, first: Question, at: Any) -> Question:
        """Ask for the page at a position."""
        raise NotImplementedError

    def find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        """Find the position of the page after an answer; None when there is none, or none that may be asked for."""
        raise NotImplementedError


class _Sized(Paging):
    size: int | None = Field(None, ge=1, le=100_000, description="How many items to ask for in a page.")
    size_parameter: str = Field("limit", min_length=1, description="The parameter that `size` goes into.")
    into: Literal["query", "body"] = Field(
        "query", description="Where the parameters go: the query, or the body of a POST."
    )

    def _ask(self, first: Question, **parameters: object) -> Question:
        sized = {} if self.size is None else {self.size_parameter: self.size}
        return first.having({**sized, **parameters}, self.into)

    def _is_short(self, answer: Answer) -> bool:
        return not answer.count or (self.size is not None and answer.count < self.size)


class ByPage(_Sized):
    """Pages with numbers. They end with an empty one, one shorter than `size`, or a 404."""

    past_the_end = (404,)
    by: Literal["page"] = Field(description="The way of paging: `page`, for pages with numbers.")
    parameter: str = Field("page", min_length=1, description="The parameter that the number goes into.")
    first: int = Field(1, ge=0, description="The number of the first page.")

    def ask(self, first: Question, at: Any) -> Question:
        """Ask for a page by its number."""
        return self._ask(first, **{self.parameter: self._number(at)})

    def find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        """Count on."""
        del first
        return None if self._is_short(answer) else self._number(at) + 1

    def _number(self, at: Any) -> int:
        return at if isinstance(at, int) else self.first


class ByOffset(_Sized):
    """An offset that counts items. They end with an empty page, one shorter than `size`, or a 404."""

    past_the_end = (404,)
    by: Literal["offset"] = Field(description="The way of paging: `offset`, for an offset that counts items.")
    parameter: str = Field("offset", min_length=1, description="The parameter that the offset goes into.")
    first: int = Field(0, ge=0, description="The offset of the first item.")

    def ask(self, first: Question, at: Any) -> Question:
        """Ask for the items from an offset on."""
        return self._ask(first, **{self.parameter: self._offset(at)})

    def find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        """Count on."""
        del first
        return None if self._is_short(answer) else self._offset(at) + answer.count

    def _offset(self, at: Any) -> int:
        return at if isinstance(at, int) else self.first


class ByCursor(_Sized):
    """A cursor that each answer gives for the next question. They end with an answer that gives none."""

    by: Literal["cursor"] = Field(
        description="The way of paging: `cursor`, for a cursor that each answer gives for the next question."
    )
    next: JsonPath = Field(description="A JMESPath to the next cursor in an answer.")
    parameter: str = Field("cursor", min_length=1, description="The parameter that the cursor goes into.")

    def ask(self, first: Question, at: Any) -> Question:
        """Ask for what comes after a cursor."""
        return self._ask(first, **({} if at is None else {self.parameter: at}))

    def find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        """Read the next cursor."""
        del first, at
        return as_position(look_up(self.next, answer.body))


class _ByAddress(Paging):
    def ask(self, first: Question, at: Any) -> Question:
        """Ask at the address that an answer gave."""
        return replace(first, url=restore_secrets(at, first.url)) if isinstance(at, str) else first

    def find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        """Read the next address."""
        del at
        reference = as_position(self._read(answer))
        url = join_url(answer.url, reference) if isinstance(reference, str) else None
        return leave_out_secrets(_as_safe(url, first.url), first.url) if url else None

    def _read(self, answer: Answer) -> Any:
        raise NotImplementedError


class ByNextUrl(_ByAddress):
    """An address that each answer gives of the next page."""

    by: Literal["next_url"] = Field(
        description="The way of paging: `next_url`, for an address that each answer gives of the next page."
    )
    next: JsonPath = Field(description="A JMESPath to the address of the next page in an answer.")

    def _read(self, answer: Answer) -> Any:
        return look_up(self.next, answer.body)


class ByLinkHeader(_ByAddress):
    """An address of the next page in the header `Link`, with `rel="next"`."""

    by: Literal["link_header"] = Field(
        description="The way of paging: `link_header`, for the address of the next page in the header `Link`."
    )

    def _read(self, answer: Answer) -> Any:
        return find_link(answer.headers.get("link", ""), "next")


def find_link(header: str, relation: str) -> str | None:
    """
    Find the target of a relation in a `Link` header; None when it names none.

    Source: RFC 8288 3.

    >>> find_link('<https://a.org/?p=2,3>; rel="next", </?p=9>; rel=last', "next")
    'https://a.org/?p=2,3'
    """
    for target, parameters in _LINK.findall(header):
        for quoted, bare in _REL.findall(parameters)[:1]:  # of several, the first counts
            if relation in (quoted or bare).lower().split():
                return str(target)
    return None


def may_follow(url: str, first_url: str, hosts: Collection[str]) -> bool:
    """Tell whether a next page may be asked for there: at the same host and port, or at one of these hosts."""
    try:
        there, here = read_origin(url), read_origin(first_url)
    except ValueError:
        return False
    if there == here:
        return True
    return there[0] == here[0] and name_host(url) in {name_host(f"//{host}") for host in hosts}


def leave_out_secrets(url: str, first_url: str) -> str:
    """
    Write an address without what the first address had in its query already, such as an API key.

    >>> leave_out_secrets("https://a.org/?key=secret&page=2", "https://a.org/?key=secret")
    'https://a.org/?{0}&page=2'
    """
    known = {unquote_plus(piece): f"{{{n}}}" for n, piece in enumerate(_pieces(first_url))}
    bare = url.partition("?")[0].replace("{", "%7B")
    pieces = [known.get(unquote_plus(piece), piece.replace("{", "%7B")) for piece in _pieces(url)]
    return f"{bare}?{'&'.join(pieces)}" if pieces else bare


def restore_secrets(url: str, first_url: str) -> str:
    """Undo `leave_out_secrets`."""
    known = dict(enumerate(_pieces(first_url)))
    return _PLACEHOLDER.sub(lambda found: known.get(int(found[1]), ""), url)


def _pieces(url: str) -> list[str]:
    return [piece for piece in url.partition("#")[0].partition("?")[2].split("&") if piece]


def _as_safe(url: str, first_url: str) -> str:
    # Behind a proxy many an API believes that it is asked without TLS, and says so in its links.
    if (
        first_url.startswith("https://")
        and url.startswith("http://")
        and name_host(url) == name_host(first_url)
    ):
        return f"https://{url.removeprefix('http://')}"
    return url
