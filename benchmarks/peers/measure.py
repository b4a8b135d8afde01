"""
Measure one peer, in its own environment: `python measure.py huey_chain`. Prints one line of JSON.

First the whole workload, its first messages sent before any worker starts, from the beginning of the first stage to the
end of the last; then some items one after the other, for the hand-over from one stage's end to the next one's start.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from workload import STAGES, count_done, read_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from workload import Peer

LIMIT_SECONDS = 900


def measure(peer: Peer, items: int, lone_items: int) -> dict[str, object]:
    """Take the items through all at once, then some alone; what was seen."""
    stages = len(STAGES) * items
    with peer.server():
        peer.put(range(items))
        with peer.workers():
            wait_for(count_done, stages, "stages done")
            wait_for(peer.count_results, stages, "results on record")
            times = read_log()
            seconds = (max(ended for _, ended in times) - times[0][0]) / 1e9
            return {
                "stages_per_second": stages / seconds,
                "items": items,
                "settings": peer.settings,
                "on_disk": peer.on_disk,
                "hand_over_ms": measure_hand_overs(peer, items, lone_items),
            }


def measure_hand_overs(peer: Peer, known: int, items: int) -> float:
    """Take items through one at a time; the median of the milliseconds from a stage's end to the next one's start."""
    taken = []
    for item in range(known, known + items):
        peer.put([item])
        wait_for(count_done, len(STAGES) * (item + 1), "stages done")
        last = read_log()[-len(STAGES) :]
        taken += [(after[0] - before[1]) / 1e6 for before, after in pairwise(last)]
    return median(taken)


def wait_for(count: Callable[[], int], wanted: int, what: str) -> None:
    """Wait until so many are counted."""
    until = time.monotonic() + LIMIT_SECONDS
    while (seen := count()) < wanted:
        if time.monotonic() > until:
            raise TimeoutError(f"{seen} of {wanted} {what} after {LIMIT_SECONDS} s")
        time.sleep(0.01)


def main() -> None:
    """Measure the peer that is named."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("peer", help="A module beside this one, with a `PEER`.")
    options.add_argument("--items", type=int, default=2000)
    options.add_argument("--lone-items", type=int, default=50)
    asked = options.parse_args()
    print(json.dumps(measure(import_module(asked.peer).PEER, asked.items, asked.lone_items)))


if __name__ == "__main__":
    main()
