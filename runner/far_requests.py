"""What the dashboard does for workers far from the file: keep their artifacts, and tell whether they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError, StaleLeaseError, UnclearRequestError
from runner.manners import TrackerManners
from runner.remote import find_claim
from tracker import answers, artifacts, claims, fingerprints
from tracker.artifacts import Holder
from tracker.connection import write

if TYPE_CHECKING:
    from net.manners import HostPause
    from runner.far_desk import Place
    from runner.runtime import Runtime
    from tracker.blobs import Blob, Content


def keep_sent(
    runtime: Runtime, place: Place, sha256: str, content: Content, name: str, content_type: str | None
) -> Blob:
    """
    Keep an artifact that a remote attempt made, held while that runs. Commits.

    Raises `ArtifactError` when it has another hash, `StaleLeaseError` for an attempt that was overtaken.
    """
    _own(runtime, place)
    holder = Holder(place.item_id, place.stage, place.attempt)
    return artifacts.keep(
        runtime.tracker, runtime.artifacts, holder, content, name, content_type, sha256=sha256
    )


def find_twin(runtime: Runtime, place: Place, fingerprint: int, distance: int) -> str | None:
    """
    Note an item's fingerprint for a remote attempt, and find its twin, as `tracker.fingerprints`. Commits.

    Raises `StaleLeaseError` for an attempt that was overtaken.
    """
    _own(runtime, place)
    return fingerprints.find_twin(runtime.tracker, place.item_id, place.stage, fingerprint, distance)


def recall(runtime: Runtime, key: str) -> Any:
    """Recall what was remembered under a key, or None."""
    return answers.recall(runtime.tracker, key)


def remember(runtime: Runtime, key: str, value: Any) -> None:
    """Remember JSON under a key. Commits."""
    answers.remember(runtime.tracker, key, value)


def find_host_pause(runtime: Runtime, host: str) -> HostPause | None:
    """Find what holds back every request to a host."""
    return TrackerManners(lambda: runtime.tracker, lambda: runtime.worker).find_pause(host)


def is_wanted(runtime: Runtime, item_id: int, stage: str, attempt: int) -> bool:
    """Tell whether anybody waits for the result of an attempt: it owns its stage, and nobody cancelled it."""
    conn = runtime.tracker
    return claims.is_held(conn, item_id, stage, attempt) and not claims.is_cancelled(
        conn, item_id, stage, attempt
    )


def _own(runtime: Runtime, place: Place) -> None:
    """
    See that an attempt is claimed, and is of a remote stage; the word that it began may be on its way still.

    Raises `StaleLeaseError`, or `UnclearRequestError` for a stage that is not remote.
    """
    with write(runtime.tracker):
        claim = find_claim(runtime, place.item_id, place.stage, place.attempt, place.worker)
        if claim is None:
            raise StaleLeaseError(place.item_id, place.stage, place.attempt)
        try:
            is_remote = runtime.jobs.get_job(claim.job_id).stage(claim.stage).remote
        except NotFoundError as error:
            raise UnclearRequestError(str(error)) from error
        if not is_remote:
            raise UnclearRequestError(f"the stage {place.stage!r} of {claim.job_id!r} is not remote")
