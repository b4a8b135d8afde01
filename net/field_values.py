"""What a header of a request may say."""

from __future__ import annotations

import re

_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
"""Of bytes beyond ASCII nobody knows what they mean. RFC 9110 5.5."""


def can_be_sent(value: str) -> bool:
    """
    Tell whether a header may say this; what a server said in one of its own need not be so.

    >>> can_be_sent('"v1"'), can_be_sent('"\u00e9"')
    (True, False)
    """
    return _VALUE.fullmatch(value) is not None
