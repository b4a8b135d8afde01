"""A full disk: wait for room, and go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from pipeline.errors import TrackerFullError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LOOK_FOR_ROOM_SECONDS = 1.0

T = TypeVar("T")


def wait_for_room(act: Callable[[], T]) -> T:
    """
    Do a write; on a full disk wait, saying so once, and do it again until there is room.

    Meanwhile this worker claims nothing, and loses nothing.
    """
    told = False
    while True:
        try:
            done = act()
        except TrackerFullError as error:
            if not told:
                log.error("the disk is full; waiting for room", error=str(error))
            told = True
            time.sleep(LOOK_FOR_ROOM_SECONDS)
        else:
            if told:
                log.info("there is room on the disk again")
            return done
