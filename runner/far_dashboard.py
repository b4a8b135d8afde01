"""What a worker far from the file asks of the dashboard: artifacts, what was remembered, whether it is still wanted."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import structlog

from net.manners import HostPause
from pipeline.errors import ArtifactError, OperatorError, SourceError, SourceUnavailableError
from pipeline.outcomes import RetryLaterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from net.client import PoliteClient
    from net.fetched import Fetched
    from runner.far_cache import Hashing

log = structlog.get_logger(__name__)

MOST_BYTES = 4 * 1024**3
"""How large an artifact may be that goes either way."""

PATIENCE_SECONDS, STOPPING_PATIENCE_SECONDS = 60.0, 10.0
"""For how long a dashboard that does not answer is asked again; and by a worker that was told to stop."""

TRANSFER_SECONDS, ONCE_SECONDS = 3600.0, 5.0
SILENT_SECONDS = 60.0
"""For how long a dashboard that takes an artifact may take no piece, or not answer after the last one."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LOOK_SECONDS = 0.5, 5.0, 0.25

GONE, REFUSALS, BUSY = 404, {401, 403}, 503
ANSWERS = {400, *REFUSALS, GONE, 409, 413, 422, BUSY}
"""The statuses whose body says what is wrong."""


class FarDashboard:
    """
    The dashboard, from afar.

    Whatever keeps it from answering makes the attempt come again in a minute, by `RetryLaterError`, which uses no
    retry: not there, an address that is not allowed, a token that may not. `is_stopping` tells whether this worker was
    told to stop. Safe inside of an event loop, and outside.
    """

    def __init__(
        self,
        http: PoliteClient,
        url: str,
        token: str,
        patience_seconds: float = PATIENCE_SECONDS,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._http, self._url, self._patience_seconds = http, f"{url}/api/remote", patience_seconds
        self._is_stopping = is_stopping
        self._told_at: float | None = None
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def get_artifact(self, sha256: str, size: int | None, sink: Hashing) -> None:
        """Write an artifact to a file. Raises `ArtifactError` when it is gone."""

        def begin(status: int, _: Mapping[str, str]) -> None:
            if status == GONE:
                raise ArtifactError(f"the artifact {sha256[:12]}… is gone from the tracker's folder")
            if status in REFUSALS:
                raise _come_again(f"CELERIAC_TOKEN is not accepted: status {status}")
            sink.begin_anew()

        self._ask(
            lambda: self._http.download(
                f"{self._url}/artifacts/{sha256}",
                sink,
                headers=self._headers,
                begin=begin,
                statuses_ok={GONE, *REFUSALS},
                max_bytes=MOST_BYTES if size is None else min(size, MOST_BYTES),
                total_seconds=TRANSFER_SECONDS,
            )
        )

    def put_artifact(self, path: Path, sha256: str, **said: Any) -> None:
        """Send an artifact for an attempt. Raises `ArtifactError` when it is not taken, as for one overtaken."""
        asked = {name: value for name, value in said.items() if value is not None}
        self._send(
            f"artifacts/{sha256}?{urlencode(asked)}",
            "PUT",
            content=path,
            total_seconds=TRANSFER_SECONDS,
            silent_seconds=SILENT_SECONDS,
        )

    def ask(self, what: str, **said: Any) -> dict[str, Any]:
        """Ask for JSON, with JSON."""
        answer: dict[str, Any] = self._send(what, "POST", json=said, total_seconds=30.0).json()
        return answer

    def find_pause(self, host: str) -> HostPause | None:
        """Find what holds back every request to a host. Asked once: raises `SourceError` or `OperatorError`."""
        said = self._ask_once(f"{self._url}/host", method="POST", json={"host": host}).json()
        return None if said["name"] is None else HostPause(said["name"], said["reason"], said["wait_seconds"])

    def is_wanted(self, item_id: int, stage: str, attempt: int) -> bool:
        """Tell whether anybody waits for an attempt's result. Asked once: raises `SourceError` or `OperatorError`."""
        place = f"{item_id}/{quote(stage, safe='')}/{attempt}"
        return bool(self._ask_once(f"{self._url}/attempts/{place}").json()["wanted"])

    def _ask_once(self, url: str, **how: Any) -> Fetched:
        return _run_aside(
            lambda: self._http.fetch(url, headers=self._headers, total_seconds=ONCE_SECONDS, **how)
        )

    def _send(self, what: str, method: str, **how: Any) -> Fetched:
        answer = self._ask(
            lambda: self._http.fetch(
                f"{self._url}/{what}",
                method=method,
                headers=self._headers,
                redirects=False,
                statuses_ok=ANSWERS,
                **how,
            )
        )
        if answer.status >= 400:
            raise ArtifactError(f"the dashboard says: {_read_problem(answer)}")
        return answer

    def _ask(self, make: Callable[[], Awaitable[Fetched]]) -> Fetched:
        until, pause = time.monotonic() + self._patience_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = _run_aside(make)
            except SourceUnavailableError as error:
                problem = str(error)
            except ArtifactError:
                raise
            except (SourceError, OperatorError) as error:
                raise _come_again(str(error)) from error
            else:
                if answer.status in REFUSALS:
                    raise _come_again(f"CELERIAC_TOKEN is not accepted: {_read_problem(answer)}")
                if answer.status != BUSY:
                    return answer
                problem = _read_problem(answer)
            if not self._wait(pause, until):
                raise _come_again(problem)
            log.debug("the dashboard is asked again", reason=problem)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _wait(self, seconds: float, until: float) -> bool:
        """Wait for so long; False as soon as it would go beyond what patience there is."""
        over = time.monotonic() + seconds
        while over <= self._bound(until):
            if (left := over - time.monotonic()) <= 0:
                return True
            time.sleep(min(left, LOOK_SECONDS))
        return False

    def _bound(self, until: float) -> float:
        if not self._is_stopping():
            return until
        if self._told_at is None:
            self._told_at = time.monotonic()
        return min(until, self._told_at + STOPPING_PATIENCE_SECONDS)


def _come_again(problem: str) -> RetryLaterError:
    return RetryLaterError(f"the dashboard cannot be used from here: {problem}; retry in 1m")


def _read_problem(answer: Fetched) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status}"


def _run_aside(make: Callable[[], Awaitable[Fetched]]) -> Fetched:
    """Fetch in a thread of its own: a handler may ask from within an event loop."""

    async def run() -> Fetched:
        return await make()

    pool = ThreadPoolExecutor(1, thread_name_prefix="dashboard")
    try:
        return pool.submit(asyncio.run, run()).result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a time limit does not wait for it
