"""What every answer of the API has in common: records as JSON, and errors as `{"error": …}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.responses import Response

from pipeline.records import as_data, as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS = 1000

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many.")]
After = Annotated[
    str, Query(max_length=500, description="Go on where the page before ended: its `next_after`.")
]

HAS_TOKEN = Security(HTTPBearer(auto_error=False, description="A token of `celeriac access token`."))
"""For the document: who may what is decided by `dashboard.visitors.Needs`."""


class Problem(BaseModel):
    """What went wrong, in words."""

    error: str = Field(description="What is wrong, which one, and what to do.")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "What is asked for cannot be read, or not be done."},
    401: {"model": Problem, "description": "Nobody knows who asks."},
    403: {"model": Problem, "description": "Whoever asks may not."},
    404: {"model": Problem, "description": "There is no such thing."},
    409: {"model": Problem, "description": "It cannot be done as things stand."},
    413: {"model": Problem, "description": "There is too much of it."},
    422: {"model": Problem, "description": "A value that is not allowed."},
    503: {"model": Problem, "description": "The tracker, or jobs.yaml, cannot be used now."},
}
"""What every route may answer besides what it is for."""


def answer(records: Any, status: int = 200) -> Response:
    """Answer with a record, or several: the same text as the command line's `--json`, on one line."""
    try:
        content = as_json(records).encode()
    except UnicodeEncodeError:  # half a pair of surrogates, as a file's name may have: then by its number
        content = json.dumps(records, default=as_data).encode()
    return Response(content, status, media_type="application/json")


def say_invalid(errors: Sequence[Any]) -> str:
    """Say in one line which values are not allowed, without repeating them."""
    said = []
    for error in errors[:5]:
        place = ".".join(str(part) for part in error.get("loc", ())[1:]) or "the body"
        said.append(f"{place}: {_say_fault(error)}")
    return "; ".join(said)


def _say_fault(error: Any) -> str:
    if error.get("type") == "extra_forbidden":
        return "is not known here"
    if error.get("type") == "missing":
        return "is missing"
    return str(error.get("msg", "not allowed")).removeprefix("Value error, ")
