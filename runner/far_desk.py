"""The desk of an attempt far from the tracker's folder: what it keeps and remembers goes there by the dashboard."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import structlog

from handlers.contract import find_json_fault
from handlers.desk import NoDesk, read_pointer, write_pointer
from pipeline.errors import ArtifactError, HandlerContractError
from pipeline.outcomes import RetryLaterError
from pipeline.redaction import KNOWN
from runner.judge import as_text

if TYPE_CHECKING:
    from pathlib import Path

    from handlers.desk import Content, Pointer
    from runner.far_cache import ArtifactCache, Hashing
    from runner.far_dashboard import FarDashboard

log = structlog.get_logger(__name__)

MOST_INLINE_BYTES, MOST_INLINE_IN_ALL = 64 * 1024, 256 * 1024
"""How large an artifact may be that goes with the outcome, and all of them together."""

NO_DASHBOARD = (
    "this worker far from the tracker needs the dashboard for {what}: set CELERIAC_DASHBOARD_URL and "
    "CELERIAC_TOKEN there; retry in 1m"
)


HowFar = tuple[float, float | None, str]
"""How far an attempt said that it is: done, total and note."""


@dataclass(frozen=True, slots=True)
class Afar:
    """What a process far from the file has instead: a cache, and the dashboard if it is told where that is."""

    cache: ArtifactCache
    dashboard: FarDashboard | None = None

    def need_dashboard(self, what: str) -> FarDashboard:
        """Give the dashboard. Raises `RetryLaterError`, for a worker that has it to take over."""
        if self.dashboard is None:
            raise RetryLaterError(NO_DASHBOARD.format(what=what))
        return self.dashboard


@dataclass(frozen=True, slots=True)
class Place:
    """The attempt, as the tracker names it, and the process that runs it."""

    item_id: int
    stage: str
    attempt: int
    worker: str


@dataclass
class FarDesk(NoDesk):
    """
    Keep what an attempt makes, and find what it needs, far from the tracker's folder.

    Small artifacts, and what was remembered with no dashboard, go with the outcome: `sent_along` gives them.
    """

    afar: Afar
    place: Place
    told: HowFar | None = None
    _inline: list[dict[str, Any]] = field(default_factory=list)
    _answers: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._loan = self.afar.cache.lend()
        return self

    def __exit__(self, *_: object) -> None:
        self._loan.end()

    def sent_along(self) -> dict[str, Any]:
        """Give what belongs into the report."""
        return {"artifacts": self._inline, "answers": self._answers}

    # -- progress -----------------------------------------------------------------------------------------

    def tell_progress(self, done: float, total: float | None, note: str) -> None:
        """Have the next word that the attempt lives say how far it is."""
        self.told = float(done), None if total is None else float(total), as_text(note)

    def take_told(self) -> HowFar | None:
        """Give what was told since the last time."""
        told, self.told = self.told, None
        return told

    # -- artifacts ----------------------------------------------------------------------------------------

    def keep(self, name: str, content: Content, content_type: str | None) -> Pointer:
        """Send a file to the tracker's folder, or with the outcome. Raises `RetryLaterError` without a dashboard."""
        called = as_text(name)
        path, blob = self._loan.keep(content)
        if not self._put_inline(path, blob.sha256, blob.size, called, content_type):
            self.afar.need_dashboard(f"the artifact {called!r} of {blob.size:,} bytes").put_artifact(
                path, blob.sha256, **self._say_place(), name=called, content_type=content_type
            )
        return write_pointer(blob.sha256, called, blob.size, content_type)

    def _put_inline(self, path: Path, sha256: str, size: int, name: str, content_type: str | None) -> bool:
        room = MOST_INLINE_IN_ALL - sum(one["bytes"] for one in self._inline)
        if size > min(MOST_INLINE_BYTES, room):
            return False
        self._inline.append(
            {
                "sha256": sha256,
                "bytes": size,
                "name": name,
                "content_type": content_type,
                "content": base64.b64encode(path.read_bytes()).decode(),
            }
        )
        return True

    def find(self, pointer: Mapping[str, Any]) -> Path:
        """Find a kept file, fetched if it is not here. Raises `RetryLaterError` without a dashboard."""
        sha256, size = read_pointer(pointer)

        def download(sink: Hashing) -> None:
            called = as_text(pointer.get("name", sha256))
            self.afar.need_dashboard(f"the artifact {called!r}").get_artifact(sha256, size, sink)

        return self._loan.take(lambda: self.afar.cache.fetch(sha256, size, download))

    # -- answers and twins --------------------------------------------------------------------------------

    def recall(self, key: str) -> Any:
        """Recall what was remembered; without a dashboard only by this attempt."""
        called = as_text(key)
        if self.afar.dashboard is None or called in self._answers:
            return self._answers.get(called)
        return self.afar.dashboard.ask("recall", key=called)["value"]

    def remember(self, key: str, value: Any) -> None:
        """Remember JSON at once, or without the dashboard with the outcome. Raises `HandlerContractError`."""
        if (fault := find_json_fault(value)) is not None:
            raise HandlerContractError(f"what is to be remembered is not JSON: {fault}")
        called, hidden = as_text(key), KNOWN.hide_in(value)
        try:
            if self.afar.dashboard is not None:
                self.afar.dashboard.ask("remember", key=called, value=hidden)
                return
        except (ArtifactError, RetryLaterError) as error:  # it is paid for: it goes with the outcome
            log.warning("remembered with the outcome", reason=str(error))
        self._answers[called] = hidden

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """Note the item's fingerprint, and find the nearest of an earlier item; without a dashboard there is none."""
        if self.afar.dashboard is None:
            return None
        asked = {**self._say_place(), "fingerprint": str(fingerprint), "distance": distance}
        key: str | None = self.afar.dashboard.ask("twin", **asked)["key"]
        return key

    def _say_place(self) -> dict[str, Any]:
        place = self.place
        return {
            "item_id": place.item_id,
            "stage": place.stage,
            "attempt": place.attempt,
            "worker": place.worker,
        }


class FarResults(Mapping[str, dict[str, Any]]):
    """The results that came with a message; one that is kept as an artifact is fetched when it is read."""

    def __init__(self, sent: Mapping[str, dict[str, Any]], moved: Any, desk: FarDesk) -> None:
        self._sent, self._moved, self._desk = dict(sent), set(moved), desk

    def __getitem__(self, stage: str) -> dict[str, Any]:
        if stage in self._moved:
            path = self._desk.find(self._sent[stage])
            self._sent[stage] = json.loads(path.read_bytes())
            self._moved.discard(stage)
        return self._sent[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sent)

    def __len__(self) -> int:
        return len(self._sent)
