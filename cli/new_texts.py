"""
The files that `celeriac new` writes, each of which works as it is.

`$name`, `$Name`, `$path` and `$module` are to be filled in; what follows `$imports` up to an empty line is to be
grouped as a sorter of imports wants it, which depends on whose packages they are.
"""

from __future__ import annotations

HANDLER = '''\
"""The handler `$name`: how many words a text has."""

from __future__ import annotations

from typing import TYPE_CHECKING

$imports
from pydantic import Field
from handlers.base import Handler, HandlerParams
from handlers.inputs import Input, find_input
from pipeline.outcomes import Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class $Name(Handler):
    """
    Count the words of a text.

    Input: a needed result with `text`, else the item's data. Result: `{"words"}`. Endings: Skip for a text of
    fewer words than wanted, and without any input; GiveUp when what it needs has no text.
    Idempotent: it only computes; the same text gives the same result.
    Example: {name: $name, handler: "$path", params: {least: 3}}
    """

    class Params(HandlerParams):
        """The parameters of `$name`."""

        least: int = Field(1, ge=0, description="A text of fewer words is skipped.")

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Count."""
        found = find_input(context)
        if not isinstance(found, Input):
            return found
        words = len(found.text.split())
        if words < self.params.least:
            return Skip(f"only {words} words")
        return {"words": words}
'''

HANDLER_TEST = '''\
"""What the handler `$name` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

$imports
from handlers.running import run_handler
from $module import $Name
from pipeline.outcomes import Skip
from runner.scratch_context import make_scratch_context

if TYPE_CHECKING:
    from pathlib import Path


def test_the_words_of_a_text_are_counted(tmp_path: Path) -> None:
    context = make_scratch_context(tmp_path, data={"text": "one two three"})
    assert run_handler($Name({}), context) == {"words": 3}


def test_a_text_of_fewer_words_is_skipped(tmp_path: Path) -> None:
    context = make_scratch_context(tmp_path, results={"fetch": {"text": "one two"}})
    assert run_handler($Name({"least": 3}), context) == Skip("only 2 words")
'''

HANDLER_CASE = """\
from __future__ import annotations


def make_sample(house):
    del house  # it serves, keeps files and writes modules, for handlers that need such
    return {"data": {"text": "one two three"}}


def make_endings(house):
    del house
    return {
        "skip": {"params": {"least": 3}, "data": {"text": "one two"}},
        "never": {"results": {"fetch": {"body": "no text"}}},
    }
"""

STRATEGY = '''\
"""The strategy `$name`: what a list in JSON names."""

from __future__ import annotations

$imports
from pydantic import Field
from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.shapes import read_objects, read_text, read_web_address
from pipeline.errors import SourceRejectedError


class $Name(BaseDiscovery):
    """
    Find the entries of a list in JSON.

    Key: the entry's `id`. Order: the list's own, at most `limit`.
    Data: `{"url": str | None, "title": str}`. One request.
    Example: {strategy: "$path", url: "https://example.org/list.json"}

    Source: example.org.
    """

    class Params(StrategyParams):
        """Which list, and how much of it."""

        url: str = Field(description="Where the list is.")
        limit: int = Field(100, ge=1, le=10_000, description="At most this many entries.")

    obeys_robots = False  # what is published for programs
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Fetch the list, unless nothing has changed since the last look."""
        fetched = await self.fetch_if_changed(self.params.url)
        if fetched is None:
            return []
        listed = fetched.json()
        if not isinstance(listed, list):
            raise SourceRejectedError(f"there is no list but {type(listed).__name__}")
        return [_make_item(entry) for entry in read_objects(listed)[: self.params.limit]]


def _make_item(entry: dict[str, object]) -> FoundItem:
    data = {"url": read_web_address(entry.get("url")), "title": read_text(entry.get("title"))}
    return FoundItem(read_text(entry.get("id")), data)
'''

STRATEGY_TEST = '''\
"""What the strategy `$name` promises."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

$imports
import pytest
from $module import $Name
from pipeline.errors import SourceRejectedError
from runner.scratch_context import make_scratch_access

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """Answer one request on this machine with this body; the address to ask."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        thread.join()


def make(url: str) -> $Name:
    return $Name({"url": url}, make_scratch_access(allow_hosts=["127.0.0.1"]))


def test_each_entry_of_the_list_is_an_item() -> None:
    with serving(b'[{"id": "7", "title": "Seven", "url": "https://example.org/7"}, "no object"]') as url:
        (item,) = asyncio.run(make(url).discover())
    assert (item.key, item.data) == ("7", {"url": "https://example.org/7", "title": "Seven"})


def test_what_is_no_list_is_said() -> None:
    with serving(b"{}") as url, pytest.raises(SourceRejectedError, match="no list but dict"):
        asyncio.run(make(url).discover())
'''

STRATEGY_CASE = """\
from __future__ import annotations


def make_case(sources, case):
    sources.serve("/list.json", "good")
    sources.serve("/empty.json", "empty")
    return case(
        good={"url": sources.url("/list.json")}, empty={"url": sources.url("/empty.json")}, networked=True
    )
"""

RECORDINGS = {
    "good": '200 OK\nContent-Type: application/json\n\n[{"id": "7", "title": "Seven", "url": "https://example.org/7"}]\n',
    "empty": "200 OK\nContent-Type: application/json\n\n[]\n",
    "throttled": "429 Too Many Requests\nContent-Type: application/json\nRetry-After: 30\n\n{}\n",
    "broken": '200 OK\nContent-Type: application/json\n\n{"error": "not today"}\n',
}
"""By name: an HTTP answer, to stand until the service's own is recorded, after the name of the protocol."""
