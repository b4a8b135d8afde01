"""
What goes wrong, front by front. Each mishap is a generator: it does harm, yields how long that lasts, and heals it.

A front is what can only be harmed in one way at a time, such as the broker; its mishaps follow one another, while
those of other fronts go on. Each front draws from a random source of its own, made of the seed and its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.by_people import (
    add_next_version,
    add_previous_version,
    back_up,
    break_jobs,
    edit_jobs,
    fold_log,
)
from tests.chaos.to_processes import (
    freeze_beat,
    freeze_dashboard,
    freeze_longest_running,
    freeze_pool_process,
    freeze_worker,
    kill_beat,
    kill_dashboard,
    kill_pool_process,
    kill_worker,
    kill_worker_parent,
    restart_worker,
)
from tests.chaos.to_the_broker import deliver_ten_times, flush_broker, freeze_broker, kill_broker, stop_broker
from tests.chaos.to_the_machine import fill_disk, hold_turn, hold_write_lock, step_all_clocks, step_one_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.chaos.house import House

    Mishap = Callable[[House, Random], Iterator[float]]


@dataclass(frozen=True, slots=True)
class Front:
    """Mishaps that exclude one another, each with its weight, and the mean pause between two."""

    name: str
    pause_seconds: float
    mishaps: dict[Mishap, int]


FRONTS = (
    Front(
        "workers",
        7,
        {
            kill_worker: 1,
            kill_worker_parent: 1,
            kill_pool_process: 6,
            freeze_worker: 2,
            freeze_pool_process: 2,
            restart_worker: 1,
        },
    ),
    Front("other workers", 9, {kill_pool_process: 4, freeze_pool_process: 1}),
    Front("long stages", 8, {freeze_longest_running: 1}),
    Front("beat and dashboard", 12, {kill_beat: 2, freeze_beat: 2, kill_dashboard: 1, freeze_dashboard: 1}),
    Front("broker", 18, {kill_broker: 3, stop_broker: 1, freeze_broker: 1, flush_broker: 3}),
    Front("messages", 4, {deliver_ten_times: 1}),
    Front("clocks", 15, {step_all_clocks: 2, step_one_clock: 1}),
    Front("disk", 25, {fill_disk: 1}),
    Front("locks", 40, {hold_write_lock: 1, hold_turn: 1}),
    Front("jobs.yaml", 7, {edit_jobs: 3, break_jobs: 2}),
    Front("copies", 12, {back_up: 1, fold_log: 2}),
    Front("versions", 10, {add_next_version: 1, add_previous_version: 1}),
)
