"""Web addresses, as jobs.yaml gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from pydantic import AfterValidator

from net.request import is_web_address
from pipeline.problems import InvalidValueError

if TYPE_CHECKING:
    from pipeline.problems import KeyPath


def check_web_address(url: str, within: KeyPath = ()) -> str:
    """
    Give an address back that could be asked. Raises `InvalidValueError`, at the keys `within`, for any other.

    >>> check_web_address("https://example.org/feed")
    'https://example.org/feed'
    """
    if not is_web_address(url):
        raise InvalidValueError("not an http or https address", "such as https://example.org/feed", within)
    return url


class _Named(Protocol):
    @property
    def url(self) -> str | None: ...


AnyNamed = TypeVar("AnyNamed", bound=str | _Named)


def check_named(named: AnyNamed) -> AnyNamed:
    """Give back an address, or what has one as `url` or has none. Raises `InvalidValueError` as above."""
    if isinstance(named, str):
        check_web_address(named)
    elif named.url is not None:
        check_web_address(named.url, ("url",))
    return named


WebAddress = Annotated[str, AfterValidator(check_web_address)]
"""An http or https address, checked when jobs.yaml is read."""
