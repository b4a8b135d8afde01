"""One hop of a fetch: an address and what is sent there."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from http import HTTPStatus
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httpx2

from net.field_values import can_be_sent
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PIECE_BYTES = 256 * 1024

_SAME_METHOD = {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}

_VALIDATORS = {"if-none-match", "if-modified-since"}
"""Headers that repeat what a server said. Without them its answer is whole."""

_HARMLESS = {"user-agent", "accept", "accept-encoding", "accept-language"}
"""Headers that another host may see too; the rest may hold secrets."""


@dataclass(frozen=True, slots=True)
class Hop:
    """
    A request to come.

    As text it is `shown`, else the address without what may be secret: credentials and the query.
    """

    url: httpx2.URL
    headers: httpx2.Headers
    cookies: httpx2.Cookies
    method: str = "GET"
    body: bytes | Path = b""
    shown: str | None = None
    is_redirected: bool = False

    @classmethod
    def start(
        cls,
        url: str,
        identity: Mapping[str, str],
        headers: Mapping[str, str],
        method: str = "GET",
        json: Any = None,
        content: bytes | Path | None = None,
        shown: str | None = None,
    ) -> Hop:
        """
        Begin at a URL; credentials in it become basic authentication. `json` or `content`, unless None, is the body;
        of a path, the file there.

        Raises `SourceRejectedError`.
        """
        address, sent = _parse(url, shown=shown), httpx2.Headers(identity)
        sent.update(_check_headers(headers))
        if address.userinfo:
            sent.setdefault("Authorization", _basic(address.userinfo))
        if json is None:
            return cls(_bare(address), sent, httpx2.Cookies(), method, content or b"", shown)
        sent.setdefault("Content-Type", "application/json")
        return cls(_bare(address), sent, httpx2.Cookies(), method, dumps(json).encode(), shown)

    def redirected(self, response: httpx2.Response) -> Hop:
        """
        Go where the response points; a different origin is shown harmless headers only, and no body.

        A body is sent again for 307 and 308 alone; after any other redirect, the answer is fetched with GET.

        Source: RFC 9110 15.4.
        """
        target = _bare(_parse(response.headers["location"], self.url))
        self.cookies.extract_cookies(response)
        _leave_out_unsendable(self.cookies)
        stays = _origin(target) == _origin(self.url)
        headers = self.headers if stays else _harmless(self.headers)
        moved = replace(self, url=target, headers=headers, is_redirected=True)
        if stays and response.status_code in _SAME_METHOD:
            return moved
        method = "HEAD" if self.method == "HEAD" else "GET"
        return replace(moved, method=method, body=b"", headers=_without_body(moved.headers))

    def request(self, silence: Mapping[str, float]) -> httpx2.Request:
        """
        Make the request, with the cookies that earlier hops of this fetch were given.

        `silence` is for how many seconds the server may say nothing (`read`) and take nothing (`write`), where that is
        not the usual time.
        """
        if isinstance(self.body, Path):
            headers = self.headers | {"Content-Length": str(self.body.stat().st_size)}
            request = httpx2.Request(self.method, self.url, headers=headers, content=_read_file(self.body))
        else:
            request = httpx2.Request(self.method, self.url, headers=self.headers, content=self.body or None)
        request.extensions["timeout"] = dict(silence)
        self.cookies.set_cookie_header(request)
        return request

    @property
    def origin(self) -> str:
        """The scheme, host and port, as `https://example.org`."""
        return f"{self.url.scheme}://{self.url.netloc.decode('ascii')}"

    def __str__(self) -> str:
        return self.shown or show_url(str(self.url))


async def _read_file(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Check what is to be sent, without validators that cannot be. Raises `SourceRejectedError`."""
    checked = {}
    for name, value in headers.items():
        if can_be_sent(value):
            checked[name] = value
        elif name.lower() not in _VALIDATORS:  # the value may be a secret: it is not shown
            raise SourceRejectedError(
                f"the header {name!r} cannot be sent: in or around its value is a line break, a blank, or no ASCII"
            )
    return checked


def _leave_out_unsendable(cookies: httpx2.Cookies) -> None:
    for each in list(cookies.jar):
        if not can_be_sent(f"{each.name}={each.value}"):
            cookies.jar.clear(each.domain, each.path, each.name)


def _parse(text: str, base: httpx2.URL | None = None, shown: str | None = None) -> httpx2.URL:
    try:
        url = base.join(text) if base else httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as error:
        whole = shown is None and show_url(text) == text  # else the library's words may name what is left out
        said = f": {error}" if whole else ""
        raise SourceRejectedError(f"{shown or show_url(text)!r} is no address{said}") from error
    port = 80 if url.port is None else url.port
    if url.scheme not in {"http", "https"} or not _can_be_host(url.host) or not 0 < port < 65_536:
        raise SourceRejectedError(f"{shown or show_url(text)!r} is not an http or https address")
    return url


def _can_be_host(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:  # nothing between two dots, or too much
        return False
    return ":" in host or (host != "" and "%" not in host)  # which the library writes for what no name has


def is_web_address(text: str) -> bool:
    """
    Tell whether a request could begin there.

    >>> is_web_address("https://example.org/feed"), is_web_address("example.org/feed"), is_web_address("http://[")
    (True, False, False)
    """
    try:
        _parse(text)
    except SourceRejectedError:
        return False
    return True


def _bare(url: httpx2.URL) -> httpx2.URL:
    return url.copy_with(username=None, password=None)


def _basic(userinfo: bytes) -> str:
    return f"Basic {b64encode(unquote_to_bytes(userinfo)).decode()}"


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _without_body(headers: httpx2.Headers) -> httpx2.Headers:
    return httpx2.Headers({name: value for name, value in headers.items() if name != "content-type"})


def _harmless(headers: httpx2.Headers) -> httpx2.Headers:
    return httpx2.Headers({name: value for name, value in headers.items() if name in _HARMLESS})
