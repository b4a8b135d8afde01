"""GitHub's REST API: how a repository is written, what its refusals mean, whether more pages follow."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from discovery.shapes import read_object, read_text
from net.refusals import read_retry_after
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from net.client import Fetched

_REPOSITORY = re.compile(
    r"(?:https?://(?:www\.)?github\.com/)?(?P<owner>[\w-]{1,100})/(?P<name>[\w.-]{1,100})", re.ASCII
)
_NEXT = re.compile(r'<[^>]*>[^<]*;\s*rel="?next"?', re.ASCII)


def read_repository(text: str) -> str:
    """
    Read `owner/name` from itself or from an address of the repository. Raises `ValueError` for anything else.

    >>> read_repository("https://github.com/python/cpython.git"), read_repository("python/cpython")
    ('python/cpython', 'python/cpython')
    """
    found = _REPOSITORY.match(text.strip())
    rest = text.strip()[found.end() :] if found else ""
    if not found or found["name"] in {".", ".."} or (rest and not rest.startswith(("/", "?", "#"))):
        raise ValueError(f"{text!r} is no repository of GitHub; write owner/name")
    return f"{found['owner']}/{found['name'].removesuffix('.git')}"


def has_next_page(fetched: Fetched) -> bool:
    """
    Tell whether an answer says that another page follows it.

    Where it is said to be is not looked at: a token must go nowhere but to the API.
    """
    return bool(_NEXT.search(fetched.headers.get("link", "")))


def explain_refusal(fetched: Fetched) -> SourceError:
    """
    Make the error for a 401, 403 or 429.

    Too much was asked when no requests remain, or a wait or a rate limit is named: `SourceUnavailableError`, with
    the seconds until GitHub counts anew. Else `SourceRejectedError`.

    Source: docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
    """
    message = _read_message(fetched)
    told = f"GitHub answered {fetched.status} ({message or 'without a message'})"
    if fetched.status == HTTPStatus.UNAUTHORIZED:
        return SourceRejectedError(f"{told}: check the token, or GITHUB_TOKEN")
    spent = fetched.headers.get("x-ratelimit-remaining") == "0"
    wait = read_retry_after(fetched.headers.get("retry-after", ""))
    if spent and wait is None:
        wait = _seconds_until_reset(fetched)
    limited = spent or wait is not None or "rate limit" in message.lower()
    if limited or fetched.status == HTTPStatus.TOO_MANY_REQUESTS:
        return SourceUnavailableError(told, wait)
    return SourceRejectedError(told)


def _seconds_until_reset(fetched: Fetched) -> float | None:
    reset = fetched.headers.get("x-ratelimit-reset", "")
    if not re.fullmatch(r"[0-9]{1,12}", reset):
        return None
    return max(0.0, int(reset) - fetched.fetched_at.timestamp())


def _read_message(fetched: Fetched) -> str:
    try:
        return read_text(read_object(fetched.json()).get("message"))[:200]
    except SourceRejectedError:  # a refusal needs no body to be one
        return ""
