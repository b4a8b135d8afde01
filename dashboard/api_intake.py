"""The intake: whoever has items sends them, once or many times over; each is taken in once, by its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from dashboard.api_answers import HAS_TOKEN, PROBLEMS, answer
from dashboard.house import house_of
from dashboard.visitors import Needs, Visitor
from runner import operate
from runner.given_items import parse, read_item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.items import ItemToStore

MOST_ITEMS = 10_000

AT_ONCE = 1000
"""How many are stored in one transaction: workers who want to claim wait for no longer than that."""

router = APIRouter(prefix="/api", tags=["intake"], dependencies=[HAS_TOKEN], responses=PROBLEMS)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of items that were sent: how many came, were new, and were known; and how many messages went out."""

    job: str
    received: int
    new: int
    known: int
    sent: int


ITEM = {
    "type": "object",
    "required": ["key"],
    "additionalProperties": False,
    "properties": {
        "key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "description": "At most 1,024 bytes in UTF-8.",
        },
        "data": {"type": ["object", "null"], "description": "At most 1 MiB of JSON."},
        "priority": {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1},
    },
}

BODY = {
    "requestBody": {
        "required": False,  # none is as good as an empty list
        "description": f"One item, a list of at most {MOST_ITEMS:,}, or a line of JSON for each; at most 16 MiB.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [ITEM, {"type": "array", "items": ITEM, "maxItems": MOST_ITEMS}]}
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


async def read_body(request: Request) -> bytes:
    """Read what was sent, which `dashboard.bounds` bounds."""
    return await request.body()


@router.post("/jobs/{job}/items", response_model=Taken, openapi_extra=BODY)
def take_in(
    request: Request,
    job: str,
    visitor: Annotated[Visitor, Depends(Needs("enqueue"))],
    body: Annotated[bytes, Depends(read_body)],
) -> Response:
    """
    Take in items of a job: all that are new by their keys, and none if one of them is not an item.

    Safe to be sent again: an item that is known is left as it is.
    """
    runtime = house_of(request).runtime
    runtime.jobs.get_job(job)
    items = list(_read_items(body))
    new = sent = 0
    for batch in _cut(items):
        acted = operate.enqueue(runtime, job, batch, visitor.name)
        new, sent = new + acted.items, sent + acted.sent
    return answer(Taken(job, len(items), new, len(items) - new, sent))


def _cut(items: list[ItemToStore]) -> Iterator[list[ItemToStore]]:
    for begin in range(0, len(items), AT_ONCE):
        yield items[begin : begin + AT_ONCE]


def _read_items(body: bytes) -> Iterator[ItemToStore]:
    for place, given in _read_given(body):
        if not isinstance(given, dict):
            raise HTTPException(400, f"{place}: an item is a JSON object with a key")
        try:
            yield read_item(given)
        except ValueError as error:
            raise HTTPException(400, f"{place}: {error}") from None


def _read_given(body: bytes) -> list[tuple[str, Any]]:
    """Read one JSON text, or else one on each line; each item with its place, as people count."""
    try:
        given = parse(body)
    except ValueError:
        lines = [(number, line) for number, line in enumerate(body.splitlines(), start=1) if line.strip()]
        _refuse_too_many(len(lines))
        return [(f"line {number}", _parse_line(number, line)) for number, line in lines]
    if not isinstance(given, list):
        return [("the item", given)]
    _refuse_too_many(len(given))
    return [(f"item {number}", one) for number, one in enumerate(given, start=1)]


def _parse_line(number: int, line: bytes) -> Any:
    try:
        return parse(line)
    except ValueError as error:
        raise HTTPException(400, f"line {number} is {error}") from None


def _refuse_too_many(count: int) -> None:
    if count > MOST_ITEMS:
        raise HTTPException(
            413, f"{count:,} items in one request: at most {MOST_ITEMS:,}; send them in parts"
        )
