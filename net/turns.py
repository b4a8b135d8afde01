"""Waiting for one's turn at a host, and telling the others how it answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from net.refusals import Throttle, read_throttle
from pipeline.durations import format_duration
from pipeline.errors import HostBusyError, HostPausedError

if TYPE_CHECKING:
    import httpx2

    from net.host_rates import FindRate, HostRate
    from net.manners import HostPause, Manners, Turn
    from pipeline.errors import SourceUnavailableError


@dataclass(frozen=True, slots=True)
class Turns:
    """The queues before all hosts, as one client stands in them."""

    manners: Manners
    find_rate: FindRate
    patience_seconds: float

    async def wait(self, host: str, least_interval_seconds: float = 0.0, *, paced: bool = True) -> Turn:
        """
        Wait until it is our turn to ask a host. The interval to the next is at least what is given.

        With `paced` off it is nothing for a host without a known rate; one that asked to slow down is left alone.

        Raises `HostBusyError` with the time to come back when that is beyond the patience, and `HostPausedError` for a
        host that is paused, unless its breaker lets this request out to see whether all is well again.
        """
        if (pause := self.manners.find_pause(host)) is not None and not pause.lets_probes:
            raise _paused(pause)
        rate = self.find_rate(host)
        usual_seconds = rate.interval_seconds if paced or rate.is_known else 0.0
        interval_seconds = max(usual_seconds, least_interval_seconds)
        left_seconds = self.patience_seconds
        while True:
            turn = self.manners.take_turn(rate.name, interval_seconds, max(0.0, left_seconds))
            if not turn.granted:
                raise self._busy(rate, turn)
            if turn.wait_seconds > 0:
                await asyncio.sleep(turn.wait_seconds)
            if turn.wait_seconds <= 0 or not self.manners.is_slowed(rate.name):
                return self._admit(host, turn)
            left_seconds -= turn.wait_seconds  # it was slowed meanwhile: our turn is no longer one

    def _admit(self, host: str, turn: Turn) -> Turn:
        """Go, unless the host was paused meanwhile; as a probe, if it lets one out."""
        pause = self.manners.find_pause(host)
        if pause is None:
            return turn
        probe = self.manners.take_probe(pause.name) if pause.lets_probes else None
        if probe is None:
            raise _paused(pause)
        return replace(turn, probe=probe)

    def _busy(self, rate: HostRate, turn: Turn) -> HostBusyError:
        why = "it asked to slow down" if self.manners.is_slowed(rate.name) else "others are before us"
        wait = format_duration(turn.wait_seconds)
        return HostBusyError(f"{rate.name} is asked again in {wait}: {why}", turn.wait_seconds)

    def note(self, turn: Turn, response: httpx2.Response) -> Throttle | None:
        """Note how a host answered; the wait, if it asked us to slow down."""
        host = response.request.url.host
        name = self.find_rate(host).name
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.manners.note_no_answer(host, f"HTTP {response.status_code}", turn.probe)
        else:
            self.manners.note_answer(host, turn.probe)
        throttle = read_throttle(response.status_code, response.headers)
        if throttle is not None:
            wait_seconds = self.manners.slow_host(
                name, throttle.wait_seconds, throttle.reason, turn.throttles
            )
            return Throttle(throttle.reason, wait_seconds)
        if turn.throttles and response.status_code < HTTPStatus.BAD_REQUEST:
            self.manners.note_success(name, turn.throttles)
        return None

    def note_no_answer(self, host: str, turn: Turn, error: SourceUnavailableError) -> None:
        """Note that a host could not be asked, or gave no answer in time. Of an answer it is known already."""
        if error.__cause__ is not None:
            self.manners.note_no_answer(host, type(error.__cause__).__name__, turn.probe)


def _paused(pause: HostPause) -> HostPausedError:
    return HostPausedError(pause.name, pause.reason, pause.wait_seconds)
