"""One hop of a fetch: an address and what is sent there."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from http import HTTPStatus
from json import dumps
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httpx2

from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAME_METHOD = {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}

_HARMLESS = {"user-agent", "accept", "accept-encoding", "accept-language"}
"""Headers that another host may see too; the rest may hold secrets."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A request to come. As text it is the address without what may be secret: credentials and the query."""

    url: httpx2.URL
    headers: httpx2.Headers
    cookies: httpx2.Cookies
    method: str = "GET"
    body: bytes = b""

    @classmethod
    def start(
        cls,
        url: str,
        identity: Mapping[str, str],
        headers: Mapping[str, str],
        method: str = "GET",
        json: Any = None,
    ) -> Hop:
        """
        Begin at a URL; credentials in it become basic authentication. `json`, unless None, is the body.

        Raises `SourceRejectedError`.
        """
        address, sent = _parse(url), httpx2.Headers(identity)
        sent.update(headers)
        if address.userinfo:
            sent.setdefault("Authorization", _basic(address.userinfo))
        if json is None:
            return cls(_bare(address), sent, httpx2.Cookies(), method)
        sent.setdefault("Content-Type", "application/json")
        return cls(_bare(address), sent, httpx2.Cookies(), method, dumps(json).encode())

    def redirected(self, response: httpx2.Response) -> Hop:
        """
        Go where the response points; a different origin is shown harmless headers only, and no body.

        A body is sent again for 307 and 308 alone; after any other redirect, the answer is fetched with GET.

        Source: RFC 9110 15.4.
        """
        target = _bare(_parse(response.headers["location"], self.url))
        self.cookies.extract_cookies(response)
        stays = _origin(target) == _origin(self.url)
        moved = replace(self, url=target, headers=self.headers if stays else _harmless(self.headers))
        if stays and response.status_code in _SAME_METHOD:
            return moved
        return replace(moved, method="HEAD" if self.method == "HEAD" else "GET", body=b"")

    def request(self) -> httpx2.Request:
        """Make the request, with the cookies that earlier hops of this fetch were given."""
        request = httpx2.Request(self.method, self.url, headers=self.headers, content=self.body or None)
        self.cookies.set_cookie_header(request)
        return request

    def __str__(self) -> str:
        return show_url(str(self.url))


def _parse(text: str, base: httpx2.URL | None = None) -> httpx2.URL:
    try:
        url = base.join(text) if base else httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as error:
        raise SourceRejectedError(f"{show_url(text)!r} is no address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or (url.port or 0) > 65_535:
        raise SourceRejectedError(f"{show_url(text)!r} is not an http or https address")
    return url


def _bare(url: httpx2.URL) -> httpx2.URL:
    return url.copy_with(username=None, password=None)


def _basic(userinfo: bytes) -> str:
    return f"Basic {b64encode(unquote_to_bytes(userinfo)).decode()}"


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _harmless(headers: httpx2.Headers) -> httpx2.Headers:
    return httpx2.Headers({name: value for name, value in headers.items() if name in _HARMLESS})
