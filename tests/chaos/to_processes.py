"""Mishaps to the processes of the house: killed, frozen, restarted."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.house import House

FREEZES_SECONDS = (1, 2, 4, 8, 15, 40)
"""How long a worker is frozen: now and then for longer than a lease."""


def kill_worker(house: House, random: Random) -> Iterator[float]:
    """SIGKILL a whole worker, as when its container is killed."""
    random.choice(house.workers).send(signal.SIGKILL)
    yield 0


def kill_worker_parent(house: House, random: Random) -> Iterator[float]:
    """SIGKILL a worker's parent; its pool is orphaned."""
    worker = random.choice(house.workers)
    if worker.process is not None:
        worker.send(signal.SIGKILL, worker.process.pid)
    yield 0


def kill_pool_process(house: House, random: Random) -> Iterator[float]:
    """SIGKILL some processes of a worker's pool."""
    worker = random.choice(house.workers)
    for child in worker.children():
        if random.random() < 0.6:
            worker.send(signal.SIGKILL, child)
    yield 0


def freeze_worker(house: House, random: Random) -> Iterator[float]:
    """SIGSTOP a whole worker, now and then for longer than a lease, and SIGCONT."""
    worker = random.choice(house.workers)
    group = worker.process
    worker.send(signal.SIGSTOP)
    yield random.choice(FREEZES_SECONDS)
    if group is worker.process:
        worker.send(signal.SIGCONT)


def freeze_pool_process(house: House, random: Random) -> Iterator[float]:
    """SIGSTOP one process of a worker's pool, or its parent, and SIGCONT."""
    worker = random.choice(house.workers)
    assert worker.process is not None
    frozen = random.choice([*worker.children(), worker.process.pid])
    worker.send(signal.SIGSTOP, frozen)
    yield random.choice(FREEZES_SECONDS)
    worker.send(signal.SIGCONT, frozen)


def freeze_longest_running(house: House, _random: Random) -> Iterator[float]:
    """SIGSTOP the process that has run a stage for longest, and SIGCONT when another has taken that stage over."""
    for _ in range(40):
        process = house.find_longest_running()
        if process is not None:
            break
        yield 0.5
    else:
        return
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
        yield 45
        os.kill(process, signal.SIGCONT)


def restart_worker(house: House, random: Random) -> Iterator[float]:
    """Stop a worker kindly and start it again, as an upgrade does."""
    worker = random.choice(house.workers)
    worker.stop(patience_seconds=20)
    worker.start()
    yield 0


def kill_beat(house: House, _: Random) -> Iterator[float]:
    """SIGKILL beat."""
    house.beat.send(signal.SIGKILL)
    yield 0


def freeze_beat(house: House, random: Random) -> Iterator[float]:
    """SIGSTOP beat, and SIGCONT."""
    house.beat.send(signal.SIGSTOP)
    yield random.uniform(1, 20)
    house.beat.send(signal.SIGCONT)


def kill_dashboard(house: House, _: Random) -> Iterator[float]:
    """SIGKILL the dashboard."""
    house.dashboard.send(signal.SIGKILL)
    yield 0


def freeze_dashboard(house: House, random: Random) -> Iterator[float]:
    """SIGSTOP the dashboard in the middle of what it reads, and SIGCONT."""
    house.dashboard.send(signal.SIGSTOP)
    yield random.uniform(1, 20)
    house.dashboard.send(signal.SIGCONT)
