"""Searches of the web by serper.dev, which gives Google's results as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, SecretStr, StringConstraints

from discovery.base import TBS_MAP, BaseDiscovery, FoundItem, StrategyParams, hash_url
from discovery.gather import gather_bounded, keep_answers
from discovery.shapes import read_object, read_objects, read_text
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from net.client import Fetched

SEARCHES_AT_ONCE = 4

Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class SerperParams(StrategyParams):
    """What to search for, where and how far back."""

    queries: list[Query] = Field(min_length=1, description="What to search for, as one would type it.")
    tbs: str | None = Field(
        None,
        min_length=1,
        description="How far back: `daily` (two days), `weekly`, or Google's own, such as `qdr:h`.",
    )
    gl: str = Field("us", pattern="^[a-z]{2}$", description="The country to search from, as two letters.")
    hl: str = Field(
        "en", pattern="^[a-z]{2}(-[A-Za-z]{2,4})?$", description="The language, such as `en` or `zh-cn`."
    )
    pages: int = Field(1, ge=1, le=10, description="At most this many pages of each search.")
    num: int = Field(10, ge=1, le=100, description="Results on a page; over ten cost more credits.")
    api_key: SecretStr = Field(min_length=1, description="The key from serper.dev; from SERPER_API_KEY.")
    base_url: WebAddress = Field("https://google.serper.dev", description="Where the API is.")


class RefusedKeyError(SourceRejectedError):
    """The key is wrong: no other search by it will do better."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result of one search, as serper gave it."""

    fields: dict[str, Any]
    query: str
    found_at: datetime


class SerperDiscovery(BaseDiscovery):
    """
    Search by one of serper's endpoints; the results stand in one field of its answers.

    Override `make_item`; what several searches found is one item, whose data names all of them in `queries`. It has
    changed when its `title` or `snippet` has.

    Source: serper.dev/playground.
    """

    Params: ClassVar[type[StrategyParams]] = SerperParams
    from_environment: ClassVar[Mapping[str, str]] = {"api_key": "SERPER_API_KEY"}
    obeys_robots = False
    endpoint: ClassVar[str]
    field: ClassVar[str]
    params: SerperParams

    async def fetch_items(self) -> list[FoundItem]:
        """Make the searches, four at a time. Raises `RefusedKeyError`, or `SourceUnavailableError` when all fail."""
        queries = list(dict.fromkeys(self.params.queries))
        answers = await gather_bounded(self._search, queries, SEARCHES_AT_ONCE)
        _raise_refused_key(answers)
        found = keep_answers(answers, "search", self, queries)
        made = ((self.make_item(result), result.query) for results in found for result in results)
        return _fold(made)

    def make_item(self, result: Result) -> FoundItem | None:
        """Make the item of a result, without `queries`; None for a result of another kind."""
        raise NotImplementedError

    def write_query(self, query: str) -> str:
        """Write a query as it is sent."""
        return query

    async def _search(self, query: str) -> list[Result]:
        results: list[Result] = []
        for page in range(1, self.params.pages + 1):
            more = await self._search_page(query, page)
            known = [result.fields for result in results]
            if all(result.fields in known for result in more):  # none, or a page that repeats
                break
            results.extend(more)
        return results

    async def _search_page(self, query: str, page: int) -> list[Result]:
        fetched = await self.fetch(
            f"{self.params.base_url.rstrip('/')}/{self.endpoint}",
            source=query,
            method="POST",
            headers={"X-API-KEY": self.params.api_key.get_secret_value()},
            json=self._write_request(query, page),
            statuses_ok={HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN},
        )
        found = _read_results(fetched, self.field)
        return [Result(fields, query, fetched.fetched_at) for fields in found]

    def _write_request(self, query: str, page: int) -> dict[str, Any]:
        params = self.params
        request = {"q": self.write_query(query), "gl": params.gl, "hl": params.hl, "num": params.num}
        if params.tbs:
            request["tbs"] = TBS_MAP.get(params.tbs, params.tbs)
        return request | ({"page": page} if page > 1 else {})


def _read_results(fetched: Fetched, field: str) -> list[dict[str, Any]]:
    if fetched.status != HTTPStatus.OK:
        raise _explain_refusal(fetched)
    answer = read_object(fetched.json())
    if not isinstance(answer.get(field), list) and "searchParameters" not in answer:
        raise SourceRejectedError(f"serper gave no {field} but {fetched.text:.80}")
    return read_objects(answer.get(field))


def _explain_refusal(fetched: Fetched) -> SourceError:
    message = read_text(_read_json(fetched).get("message"))[:200]
    told = f"serper answered {fetched.status} ({message or 'without a message'})"
    if fetched.status != HTTPStatus.BAD_REQUEST:
        return RefusedKeyError(f"{told}: check the api_key, or SERPER_API_KEY")
    if "credit" in message.lower():
        return SourceUnavailableError(f"{told}: buy some at serper.dev")
    return SourceRejectedError(told)


def _read_json(fetched: Fetched) -> dict[str, Any]:
    try:
        return read_object(fetched.json())
    except SourceRejectedError:  # a refusal needs no body to be one
        return {}


def _raise_refused_key(answers: Sequence[list[Result] | SourceError]) -> None:
    if all(isinstance(answer, SourceError) for answer in answers):
        for answer in answers:
            if isinstance(answer, RefusedKeyError):
                raise answer


def _mark(item: FoundItem) -> FoundItem:
    # by its words alone: its place may be another at each look, and the instant of `3 hours ago` is
    return replace(item, version=hash_url(f"{item.data.get('title')}\n{item.data.get('snippet')}", 16))


def _fold(made: Iterable[tuple[FoundItem | None, str]]) -> list[FoundItem]:
    folded: dict[str, FoundItem] = {}
    unknown: list[FoundItem] = []
    for item, query in made:
        if item is None:
            continue
        if not item.key:
            unknown.append(item)
            continue
        queries = folded.setdefault(item.key, _mark(item)).data.setdefault("queries", [])
        if query not in queries:
            queries.append(query)
    return [*folded.values(), *unknown]
