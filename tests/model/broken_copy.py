"""
Replay the shortest way to a fault on whatever code is on the path, and tell what is broken then, as JSON.

Run as `python -m tests.model.broken_copy FAULT FOLDER`, with a copy of the code, one line of which is broken, first on
the path.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tracker
from tests.model.properties import explore_protocol
from tests.model.protocol import Fault, Protocol
from tests.model.replay import OpenHouse

if TYPE_CHECKING:
    from tests.model.states import Step


def find_way(fault: Fault) -> list[Step]:
    """Find the shortest way to where a fault shows in the machine."""
    protocol = Protocol(fault=fault)
    found = explore_protocol(protocol.start(), protocol.steps).counterexample
    return [step for step, _ in found.trace[1:]]


def main(fault: str, folder: str) -> None:
    """Replay it, let whoever lives finish, and tell what is broken."""
    with OpenHouse(Path(folder), retries=1) as house:
        for step in find_way(Fault[fault]):
            house.do(step)
        house.finish_what_lives()
        told = {"code": str(Path(tracker.__file__).parents[1]), "broken": house.list_broken()}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
