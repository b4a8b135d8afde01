"""Mishaps to the machine: its clock, its disk, its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos import strangers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.house import House


def step_all_clocks(house: House, random: Random) -> Iterator[float]:
    """Step the machine's clock, as all processes see it, and back."""
    seconds = random.choice([-1, 1]) * random.choice([0.5, 5, 35, 90])
    for service in house.services:
        service.clock.step_to(seconds)
    yield random.uniform(2, 15)
    for service in house.services:
        service.clock.step_to(0)


def step_one_clock(house: House, random: Random) -> Iterator[float]:
    """Step the clock that one service sees, and back."""
    service = random.choice(house.services)
    service.clock.step_to(random.choice([-1, 1]) * random.choice([0.5, 2, 5, 20]))
    yield random.uniform(2, 15)
    service.clock.step_to(0)


def fill_disk(house: House, random: Random) -> Iterator[float]:
    """Leave no room on the tracker's disk."""
    house.disk.fill()
    yield random.uniform(1, 10)
    house.disk.make_room()


def hold_write_lock(house: House, random: Random) -> Iterator[float]:
    """Let a stranger hold the database's write lock for up to 20 seconds."""
    stranger = house.run_stranger(strangers.HOLD_WRITE_LOCK, str(random.uniform(1, 20)))
    while stranger.poll() is None:
        yield 0.2


def hold_turn(house: House, random: Random) -> Iterator[float]:
    """Let a stranger hold the file on which writers queue for up to 20 seconds, and be killed then."""
    stranger = house.run_stranger(strangers.HOLD_TURN, "60")
    yield random.uniform(1, 20)
    stranger.kill()
    stranger.wait()
