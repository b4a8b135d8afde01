"""What a header of a request may be called, and may say."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110 5.6.2, token."""

_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
"""Of bytes beyond ASCII nobody knows what they mean. RFC 9110 5.5."""


def can_be_sent(value: str) -> bool:
    """
    Tell whether a header may say this; what a server said in one of its own need not be so.

    >>> can_be_sent('"v1"'), can_be_sent('"\u00e9"')
    (True, False)
    """
    return _VALUE.fullmatch(value) is not None


def can_be_header(name: str, value: str) -> bool:
    """
    Tell whether there can be a header of this name, and whether it may say this.

    >>> can_be_header("X-Title", "Roots"), can_be_header("X Title", "Roots")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None and can_be_sent(value)


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not can_be_header(name, value.get_secret_value()):
            raise ValueError(f"{name!r} is no header: its name or value cannot stand in one")
    return headers


SentHeaders = Annotated[dict[str, SecretStr], AfterValidator(_check_headers)]
"""The type of a parameter that holds headers by name, checked when jobs.yaml is read."""
