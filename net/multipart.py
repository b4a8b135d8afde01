"""Forms with a file, as the body of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode_form(fields: Mapping[str, str], name: str, file_name: str, content: bytes) -> tuple[bytes, str]:
    """
    Encode fields and one file, which stands under `name`: the body, and the `Content-Type` that goes with it.

    The file's own type is guessed from its name.

    Source: RFC 7578.
    """
    files = {name: (file_name, content)}
    request = httpx2.Request("POST", "http://form.invalid/", data=dict(fields), files=files)
    return request.read(), request.headers["content-type"]
