"""Manners of a process far from the file: its own, but for the pauses of hosts, which the dashboard knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from net.memory_manners import MemoryManners
from pipeline.errors import CeleriacError

if TYPE_CHECKING:
    from collections.abc import Callable

    from net.manners import HostPause

log = structlog.get_logger(__name__)

ASK_EVERY_SECONDS = 10.0
"""How long a host is taken to be as the dashboard last said, or could not be asked."""


class FarManners(MemoryManners):
    """
    Manners for all the threads of one process; `ask` finds a host's pause.

    A pause that lets out probes is one like any other here: who is beside the file sends them.
    """

    def __init__(self, ask: Callable[[str], HostPause | None]) -> None:
        super().__init__()
        self._ask = ask
        self._said: dict[str, tuple[float, HostPause | None]] = {}

    def find_pause(self, host: str) -> HostPause | None:
        """Find what holds back every request to the host; nothing, if the dashboard cannot be asked."""
        asked_at, pause = self._said.get(host, (float("-inf"), None))
        if time.monotonic() - asked_at < ASK_EVERY_SECONDS:
            return pause
        try:
            pause = self._ask(host)
        except CeleriacError as error:
            log.debug("cannot ask whether a host is paused", host=host, reason=str(error))
            pause = None
        self._said[host] = time.monotonic(), pause
        return pause
