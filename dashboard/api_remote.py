"""
The JSON API for workers far from the tracker's file: artifacts both ways, answers, twins, and whether to go on.

Whoever asks needs a token that may `remote`, and says for which attempt of a remote stage it asks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field, JsonValue
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from dashboard.api_acts import Body, Name
from dashboard.api_answers import HAS_TOKEN, PROBLEMS, answer
from dashboard.house import house_of
from dashboard.visitors import Needs
from pipeline.errors import ArtifactError, NotFoundError, UnclearRequestError
from runner import far_requests
from runner.far_dashboard import MOST_BYTES
from runner.far_desk import Place
from tracker.artifacts import get_artifact
from tracker.blobs import BlobStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from runner.runtime import Runtime

router = APIRouter(prefix="/api/remote", tags=["remote"], dependencies=[HAS_TOKEN], responses=PROBLEMS)

MAY = [Depends(Needs("remote"))]

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits.")]
Number = Annotated[int, Query(ge=0, lt=2**62)]
Text = Annotated[str, Query(min_length=1, max_length=500)]


class KeyBody(Body):
    """Under which key something is remembered."""

    key: str = Field(max_length=1_000_000)


class RememberBody(KeyBody):
    """What is to be remembered."""

    value: JsonValue


class TwinBody(Body):
    """An item's fingerprint, and how far away its twin may be; and which attempt asks."""

    item_id: int = Field(ge=0, lt=2**62)
    stage: Name
    attempt: int = Field(ge=0, lt=2**62)
    worker: Name
    fingerprint: str = Field(pattern="^[0-9]{1,20}$", description="0 to 2^64 - 1, as text.")
    distance: int = Field(ge=0, le=7)


class HostBody(Body):
    """Which host is about to be asked."""

    host: Name


@dataclass(frozen=True, slots=True)
class Paused:
    """Whether a host is paused, under which name and why, and for how long at least; else all is null."""

    name: str | None
    reason: str | None
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept artifact."""

    artifact: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether anybody waits for an attempt's result."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was remembered, null for nothing."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Twin:
    """The key of the item that is nearest, null for none."""

    key: str | None


@router.get(
    "/artifacts/{sha256}",
    dependencies=MAY,
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
def send_artifact(request: Request, sha256: Sha256) -> Response:
    """Send an artifact, as it is."""
    house = house_of(request)
    artifact = get_artifact(house.reader, sha256)
    path = BlobStore(house.settings.artifacts_path).path(artifact.sha256)
    if not path.is_file():
        raise NotFoundError("file any more of the artifact", sha256)
    return FileResponse(path, media_type="application/octet-stream")


@router.put(
    "/artifacts/{sha256}",
    dependencies=MAY,
    response_model=Kept,
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
)
async def take_artifact(
    request: Request,
    sha256: Sha256,
    item_id: Number,
    stage: Text,
    attempt: Number,
    worker: Text,
    name: Text,
    content_type: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Take in an artifact that a remote attempt made: at most 4 GiB, checked by its hash."""
    place, pieces = Place(item_id, stage, attempt, worker), _Pieces(request.stream())
    return await run_in_threadpool(
        _keep, house_of(request).runtime, place, sha256, pieces, name, content_type
    )


def _keep(
    runtime: Runtime, place: Place, sha256: str, pieces: _Pieces, name: str, content_type: str | None
) -> Response:
    try:
        blob = far_requests.keep_sent(runtime, place, sha256, pieces, name, content_type)
    except ArtifactError as error:
        raise UnclearRequestError(str(error)) from error
    return answer(Kept(f"sha256:{blob.sha256}", blob.size))


class _Pieces:
    """The pieces of a body as they come, for a thread beside the event loop in which this is made."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream, self._loop = stream, asyncio.get_running_loop()

    async def _read(self) -> bytes | None:
        return await anext(self._stream, None)

    def __iter__(self) -> Iterator[bytes]:
        left = MOST_BYTES
        while (piece := asyncio.run_coroutine_threadsafe(self._read(), self._loop).result()) is not None:
            left -= len(piece)
            if left < 0:
                raise UnclearRequestError(f"an artifact has at most {MOST_BYTES:,} bytes")
            yield piece


@router.get("/attempts/{item_id}/{stage}/{attempt}", dependencies=MAY, response_model=Wanted)
def tell_if_wanted(
    request: Request,
    item_id: Annotated[int, Path(ge=0, lt=2**62)],
    stage: str,
    attempt: Annotated[int, Path(ge=0, lt=2**62)],
) -> Response:
    """Tell whether anybody waits for the result of a running attempt."""
    return answer(Wanted(far_requests.is_wanted(house_of(request).runtime, item_id, stage, attempt)))


@router.post("/recall", dependencies=MAY, response_model=Recalled)
def recall(request: Request, body: KeyBody) -> Response:
    """Recall what was remembered under a key, by whomever."""
    return answer(Recalled(far_requests.recall(house_of(request).runtime, body.key)))


@router.post("/remember", dependencies=MAY, response_model=Recalled)
def remember(request: Request, body: RememberBody) -> Response:
    """Remember JSON under a key."""
    far_requests.remember(house_of(request).runtime, body.key, body.value)
    return answer(Recalled(body.value))


@router.post("/twin", dependencies=MAY, response_model=Twin)
def find_twin(request: Request, body: TwinBody) -> Response:
    """Note an item's fingerprint, and find the nearest of an earlier item."""
    fingerprint = int(body.fingerprint)
    if fingerprint >= 1 << 64:
        raise UnclearRequestError("a fingerprint has 64 bits")
    place = Place(body.item_id, body.stage, body.attempt, body.worker)
    return answer(Twin(far_requests.find_twin(house_of(request).runtime, place, fingerprint, body.distance)))


@router.post("/host", dependencies=MAY, response_model=Paused)
def tell_if_paused(request: Request, body: HostBody) -> Response:
    """Tell whether a host may be asked."""
    pause = far_requests.find_host_pause(house_of(request).runtime, body.host)
    if pause is None:
        return answer(Paused(None, None, None))
    return answer(Paused(pause.name, pause.reason, pause.wait_seconds))
