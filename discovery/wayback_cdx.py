"""What the Wayback Machine has archived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_plus, urlencode

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, hash_url
from discovery.instants import tell_iso
from discovery.paging import Page, hand_over_pages
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.shown import show_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from net.fetched import Fetched

KEY_DIGITS = 20
FORBIDDEN = 403
REASON = "x-archive-wayback-runtime-error"
COLUMNS = ("urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length")

Capture = dict[str, str]


class WaybackCdx(BaseDiscovery):
    """
    Find what the Wayback Machine has archived of a page, a path, a host or a domain.

    Each page of the index is stored with where the next begins: a discovery that breaks off goes on there, and so
    does the next when `max_pages` ends one.

    Key: a hash of the address as the archive sorts it, or with `key: capture`, of that and the time. Order: by
    address, then time. Version: the digest of what was archived; of several captures of one address on a page of
    the index, the last is taken.
    Data: `{"url": str, "archive_url": str, "captured_at": str | None, "digest": str, "mimetype": str,
    "status": int | None, "length": int | None}`: `archive_url` gives the page as it was, without the archive's
    banner; the instant is ISO in UTC; the length is that of the archived record. One request per `page_size`.
    Example: {strategy: wayback_cdx, url: "example.org/blog/*", from: "2019", filter: ["mimetype:text/html"]}

    Source: the Wayback CDX Server API, github.com/internetarchive/wayback/tree/master/wayback-cdx-server.
    """

    class Params(StrategyParams):
        """Which part of the index."""

        url: str = Field(
            min_length=1,
            description="An address; `example.org/a/*` for a path, `*.example.org` for a domain.",
        )
        match: Literal["exact", "prefix", "host", "domain"] | None = Field(
            None, description="What the address stands for, when it has no `*`."
        )
        from_: str | None = Field(
            None,
            alias="from",
            pattern=r"^\d{1,14}$",
            description="Captures from then on, such as `2019` or `20190501`.",
        )
        to: str | None = Field(None, pattern=r"^\d{1,14}$", description="Captures until then.")
        filter: list[str] = Field(
            default_factory=lambda: ["statuscode:200"],
            description="Regular expressions on fields, such as `mimetype:text/html` or `!statuscode:200`.",
        )
        collapse: list[str] = Field(
            default_factory=lambda: ["urlkey"],
            description="Take one of neighbours that agree in these fields: `urlkey`, `digest`, `timestamp:8`.",
        )
        key: Literal["url", "capture"] = Field(
            "url", description="What is one item: an address, or each capture of it."
        )
        page_size: int = Field(5000, ge=1, le=100_000, description="How many captures to ask for at a time.")
        max_pages: int = Field(20, ge=1, le=10_000, description="At most this many requests a discovery.")
        base_url: WebAddress = Field("https://web.archive.org", description="Where the archive is.")

    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read the index page by page. Raises `SourceError` when the first could not be had."""
        async with self.looking():
            await hand_over_pages(
                self, self._ask(None), self._read_page, max_pages=self.params.max_pages, goes_on=True
            )
        return self.kept

    def make_item(self, capture: Capture) -> FoundItem | None:
        """Make an item of a capture; None for one that is not wanted."""
        time, original = capture["timestamp"], capture["original"]
        data = {
            "url": original,
            "archive_url": f"{self.params.base_url.rstrip('/')}/web/{time}id_/{original}",
            "captured_at": tell_iso(f"{time[:8]}T{time[8:]}"),
            "digest": capture["digest"],
            "mimetype": capture["mimetype"],
            "status": _read_number(capture["statuscode"]),
            "length": _read_number(capture["length"]),
        }
        key = hash_url(capture["urlkey"], KEY_DIGITS)
        return FoundItem(
            key if self.params.key == "url" else f"{key}:{time}", data, version=capture["digest"] or None
        )

    def _ask(self, at: Any) -> str:
        asked = self.params
        named = {"matchType": asked.match, "from": asked.from_, "to": asked.to}
        query = [
            ("url", asked.url),
            *((name, value) for name, value in named.items() if value),
            *(("filter", each) for each in asked.filter),
            *(("collapse", each) for each in asked.collapse),
            ("output", "json"),
            ("fl", ",".join(COLUMNS)),  # without urlkey, the service's own resume keys lead astray
            ("limit", str(asked.page_size)),
            ("showResumeKey", "true"),
            *([("resumeKey", at)] if isinstance(at, str) else []),
        ]
        return f"{asked.base_url.rstrip('/')}/cdx/search/cdx?{urlencode(query)}"

    async def _read_page(self, at: Any) -> Page:
        fetched = await self.fetch(self._ask(at), source=self._ask(None), statuses_ok=(FORBIDDEN,))
        if fetched.status == FORBIDDEN:
            reason = fetched.headers.get(REASON, "").rpartition(": ")[2][:200] or "Forbidden"
            raise SourceRejectedError(f"{show_url(fetched.url)} gives nothing of {self.params.url}: {reason}")
        rows, resume_key = _read_rows(fetched)
        captures = [capture for row in rows if (capture := _read_capture(row))]
        if len(captures) < len(rows):
            self.refused["not a capture"] += len(rows) - len(captures)
        made = [item for capture in captures if (item := self.make_item(capture))]
        return Page([*{item.key: item for item in made}.values()], resume_key)


def _read_rows(fetched: Fetched) -> tuple[list[Any], str | None]:
    if "html" in fetched.content_type:  # so it says that it is down
        raise SourceUnavailableError(
            f"{show_url(fetched.url)} answered with a web page in place of its index"
        )
    if not fetched.body.strip():
        return [], None
    rows = fetched.json()
    if not isinstance(rows, list) or (rows and rows[0] != [*COLUMNS]):
        raise SourceRejectedError(f"{show_url(fetched.url)} did not answer with an index, but {rows!r:.80}")
    if len(rows) >= 2 and rows[-2] == [] and isinstance(rows[-1], list) and len(rows[-1]) == 1:
        return rows[1:-2], _read_resume_key(rows[-1][0])
    return rows[1:], None


def _read_resume_key(given: object) -> str | None:
    # It comes encoded for use in a query: a bare comma or bracket would show that it did not.
    if not isinstance(given, str) or not given or not given.isascii():
        return None
    return given if any(character in given for character in ",) ") else unquote_plus(given)


def _read_capture(row: object) -> Capture | None:
    if (
        not isinstance(row, list)
        or len(row) != len(COLUMNS)
        or not all(isinstance(each, str) for each in row)
    ):
        return None
    capture = dict(zip(COLUMNS, row, strict=True))
    usable = capture["urlkey"] and capture["original"] and capture["timestamp"].isdecimal()
    return capture if usable else None


def _read_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
