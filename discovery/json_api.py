"""Lists in JSON, at any API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, hash_url, name_source
from discovery.instants import tell_instant, tell_unix_milliseconds
from discovery.json_paging import (
    Answer,
    ByCursor,
    ByLinkHeader,
    ByNextUrl,
    ByOffset,
    ByPage,
    Question,
    may_follow,
    restore_secrets,
)
from discovery.json_paths import JsonPath, as_word, look_up
from discovery.paging import Page, hand_over_pages
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.field_values import SentHeaders  # noqa: TC001  the model is built with it
from net.shown import show_url
from pipeline.errors import SourceRejectedError

MAX_VERSION_CHARACTERS = 1024


class JsonApi(BaseDiscovery):
    """
    Find the items of a list that an API gives in JSON, page by page.

    Each page is stored before the next is asked for: a discovery that breaks off goes on at the page that it had
    come to. A page that comes again, a cursor that goes back and a next page at another host end it with what
    was found before.

    Key: what `key` finds in an item, a text or a number. Order: the API's own.
    Data: what `data` makes of an item, such as `{"title": str, "url": str}`, or the whole item; and with
    `published_at`, `{"published_at": str | None}`, ISO in UTC. One request per page.
    Example: {strategy: json_api, url: "https://api.example.org/posts", items: posts, key: id,
    data: "{title: title, url: link}", published_at: created, headers: {x-api-key: "${API_KEY}"},
    paging: {by: cursor, next: meta.next, parameter: after, size: 100}}

    Source: the JMESPath specification, jmespath.org; for the header `Link`, RFC 8288.
    """

    class Params(StrategyParams):
        """Where the list is, how it goes on, and what its items are."""

        url: WebAddress = Field(min_length=1, description="The address of the list, or of its first page.")
        method: Literal["GET", "POST"] = Field("GET", description="How it is asked.")
        headers: SentHeaders = Field(
            default_factory=dict, description="Headers to send; write secrets as `${VARIABLE}`."
        )
        body: Any = Field(None, description="The JSON body of a POST.")
        items: JsonPath = Field(
            "@",
            description="A JMESPath to the list in an answer; add ` || `[]`` where an empty one is null.",
        )
        key: JsonPath = Field("id", description="A JMESPath to the key in an item.")
        data: JsonPath | None = Field(
            None, description="A JMESPath that makes an object of an item; left out, the whole item."
        )
        published_at: JsonPath | None = Field(
            None, description="A JMESPath to the instant in an item: ISO, as in mails, or Unix seconds."
        )
        version: JsonPath | None = Field(
            None,
            description="A JMESPath to what is another in an item that has changed, such as its edit time.",
        )
        paging: ByPage | ByOffset | ByCursor | ByNextUrl | ByLinkHeader | None = Field(
            None, discriminator="by", description="How the list goes on; left out, it is one page."
        )
        max_pages: int = Field(100, ge=1, le=100_000, description="At most this many pages a discovery.")
        follow_hosts: list[str] = Field(
            default_factory=list,
            description="Other hosts at which the next page may be; they are sent the headers too.",
        )
        incremental: bool = Field(
            False,
            description="Keep the last cursor and begin there the next time, at an API that only ever adds.",
        )

        @model_validator(mode="after")
        def _fits(self) -> JsonApi.Params:
            if self.method == "GET" and self.body is not None:
                raise ValueError("a body needs method: POST")
            if self.incremental and isinstance(self.paging, ByPage | ByOffset | None):
                raise ValueError("incremental needs paging by cursor, next_url or link_header")
            return self

    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read page after page. Raises `SourceError` when the first could not be had."""
        asked = self.params
        async with self.looking():
            await hand_over_pages(
                self,
                self._name_source(),
                self._read_page,
                max_pages=asked.max_pages if asked.paging else 1,
                keeps_place=asked.incremental,
            )
        return self.kept

    def _name_source(self) -> str:
        name = name_source(self.params.url)
        return name if self.params.body is None else f"{name}#{hash_url(repr(self.params.body), 8)}"

    async def _read_page(self, at: Any) -> Page:
        asked, first = self.params, Question(self.params.url, self.params.body)
        question = asked.paging.ask(first, at) if asked.paging else first
        fetched = await self.fetch(
            question.url,
            source=self._name_source(),
            method=asked.method,
            json=question.body,
            headers={name: secret.get_secret_value() for name, secret in asked.headers.items()},
            statuses_ok=asked.paging.past_the_end if asked.paging and at is not None else (),
        )
        if fetched.status >= 400:
            return Page(())
        body = fetched.json()
        found = look_up(asked.items, body)
        if not isinstance(found, list):
            raise SourceRejectedError(
                f"{show_url(fetched.url)} has no list at {asked.items!r}{_describe(body)}"
            )
        answer = Answer(fetched.url, body, fetched.headers, len(found))
        after = self._find_next(first, at, answer)
        return Page([self._make_item(each) for each in found], after, ends=asked.incremental and not found)

    def _find_next(self, first: Question, at: Any, answer: Answer) -> Any:
        paging = self.params.paging
        after = paging.find_next(first, at, answer) if paging else None
        if not isinstance(paging, ByNextUrl | ByLinkHeader) or after is None:
            return after
        url = restore_secrets(after, first.url)
        if may_follow(url, first.url, self.params.follow_hosts):
            return after
        self.problems.append(
            f"{show_url(answer.url)} goes on at another place, {show_url(url)}; if that is right, name its host "
            "in follow_hosts"
        )
        return None

    def _make_item(self, item: Any) -> FoundItem:
        asked = self.params
        data = look_up(asked.data, item) if asked.data else item
        if asked.published_at is not None and isinstance(data, dict):
            given = look_up(asked.published_at, item)
            data = {**data, "published_at": tell_instant(given) or tell_unix_milliseconds(given)}
        version = as_word(look_up(asked.version, item))[:MAX_VERSION_CHARACTERS]
        return FoundItem(as_word(look_up(asked.key, item)), data, version=version or None)


def _describe(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    return f"; it has {', '.join(sorted(map(str, body))[:10])[:200]}"
