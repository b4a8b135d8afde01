"""What a fetch brings back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from net.bounded_json import load_json
from net.charset import decode
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    An answer in full.

    `url` is where the last redirect led, if it `is_redirected`, without credentials. `headers` has lower-case
    names, repeated ones joined by commas. `body` is decoded from gzip and the like. `fetched_at` is aware, in
    UTC. A `status` of 304 has an empty body.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime
    is_redirected: bool = False

    @property
    def content_type(self) -> str:
        """Name the media type in lower case, without parameters; empty when the server names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """Read the body as text; see `net.charset.decode`. Decodes anew each time."""
        return decode(self.body, self.headers.get("content-type", ""))

    def json(self) -> Any:
        """Read the body as JSON. Raises `SourceRejectedError` when it is none, or too much of it."""
        try:
            return load_json(self.body)
        except ValueError as error:
            raise SourceRejectedError(f"{show_url(self.url)} did not answer with JSON: {error}") from error
