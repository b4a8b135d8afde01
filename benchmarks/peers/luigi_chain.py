"""Luigi with its local scheduler: each task leaves a file, which the next one requires."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import luigi
from workload import FOLDER, PROCESSES, Peer, do_stage

if TYPE_CHECKING:
    from collections.abc import Iterable


class Stage(luigi.Task):
    """One stage of one item."""

    item = luigi.IntParameter()

    def output(self) -> luigi.LocalTarget:
        """Name the file that it leaves."""
        return luigi.LocalTarget(str(FOLDER / "results" / f"{self.item}-{type(self).__name__}.json"))

    def run(self) -> None:
        """Do the stage, and write its result."""
        result = do_stage()
        with self.output().open("w") as file:
            json.dump(result, file)


class First(Stage):
    """The first stage."""


class Second(Stage):
    """The second stage."""

    def requires(self) -> First:
        """Name the stage before."""
        return First(item=self.item)


class Third(Stage):
    """The third stage."""

    def requires(self) -> Second:
        """Name the stage before."""
        return Second(item=self.item)


def put(items: Iterable[int]) -> None:
    """Take the items through all stages."""
    luigi.build(
        [Third(item=item) for item in items], local_scheduler=True, workers=PROCESSES, log_level="CRITICAL"
    )


PEER = Peer(
    settings=f"{PROCESSES} processes, local scheduler, a file for each result",
    on_disk=True,
    put=put,
    count_results=lambda: sum(1 for _ in (FOLDER / "results").iterdir()),
)
