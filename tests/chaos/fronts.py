"""Run the fronts of mishaps beside one another until told to heal everything."""

from __future__ import annotations

import threading
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.chaos import mishaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.house import House
    from tests.chaos.mishaps import Front


class Fronts:
    """All fronts, each in a thread. What happens in one follows from the seed; how the house takes it does not."""

    def __init__(self, house: House, seed: int, began_at: float) -> None:
        self._house, self._seed, self._began_at = house, seed, began_at
        self._over = threading.Event()
        self.counts: Counter[str] = Counter()
        self.now: dict[str, str] = {}
        self.errors: list[str] = []
        self._log = (house.folder / "mishaps.txt").open("a", buffering=1)
        fronts = [front for front in mishaps.FRONTS if self._is_possible(front)]
        self._threads = [threading.Thread(target=self._run, args=(front,), daemon=True) for front in fronts]
        self.left_out = [front.name for front in mishaps.FRONTS if front not in fronts]

    def _is_possible(self, front: Front) -> bool:
        return {"disk": self._house.disk.can_be_filled, "clocks": self._house.steps_clocks}.get(
            front.name, True
        )

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def heal(self) -> None:
        """Begin nothing more, heal what is under way, and wait for that."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, front: Front) -> None:
        random = Random(f"{self._seed} {front.name}")
        choices, weights = list(front.mishaps), list(front.mishaps.values())
        while not self._over.wait(random.expovariate(1 / front.pause_seconds)):
            (mishap,) = random.choices(choices, weights)
            own = Random(random.getrandbits(64))  # of which a mishap draws as often as there are processes
            name = getattr(mishap, "__name__", "deliver_ten_times").replace("_", " ")
            self.now[front.name] = name
            self.counts[name] += 1
            self._tell(name)
            try:
                self._do(mishap(self._house, own))
            except Exception as error:  # noqa: BLE001 - the chaos must go on; it is told at the end
                self.errors.append(f"{name}: {error!r}")
            self._tell(f"healed: {name}")
            del self.now[front.name]

    def _do(self, happening: Iterator[float]) -> None:
        """Go through a mishap; when it is time to heal, its waits are cut short."""
        for seconds in happening:
            if self._over.wait(seconds):
                time.sleep(0.05)  # what it waits for may still take a while

    def _tell(self, text: str) -> None:
        self._log.write(f"{time.monotonic() - self._began_at:7.2f} {text}\n")
