"""Check the promises when all has ended, and say what was found."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

import apsw

from tests.chaos.aftermath import (
    costs_add_up_with_what_was_spent,
    count_complaints,
    every_item_ended_as_it_must,
    every_result_is_of_the_attempt_that_made_it,
    no_message_is_left,
    nobody_dies_once_all_is_healed,
    nobody_saw_a_locked_database,
    read_ledger,
)
from tests.chaos.promises import AT_REST, Broken, list_broken, tell_history

if TYPE_CHECKING:
    from tests.chaos.fronts import Fronts
    from tests.chaos.house import House
    from tests.chaos.watch import Watch

MOST_TOLD = 20

COUNT_LOST = """
SELECT count(*) FROM events
 WHERE kind = 'expire' OR (kind IN ('release', 'fail') AND detail ->> 'reason' NOT LIKE '%the worker was stopped%'
                           AND (kind = 'release' OR detail ->> 'reason' LIKE 'poison%'))
"""

COUNT_CLAIMS = "SELECT count(*) FROM events WHERE kind = 'claim'"


class Report:
    """What is said of one run."""

    def __init__(self, seed: int, items: int, house: House) -> None:
        self._seed, self._items, self._house = seed, items, house
        self.exit_code = 1

    def describe(self, fronts: Fronts, stages: int) -> None:
        """Say what is about to happen, and what cannot be done here."""
        house = self._house
        workers = f"{len(house.workers)} workers of {house.processes} processes"
        say(f"chaos with seed {self._seed}: {self._items:,} items, {stages:,} stages, {workers}")
        say(f"in {house.folder}")
        if fronts.left_out:
            say(f"left out, because this machine does not permit it: {', '.join(fronts.left_out)}")

    def check(self, watch: Watch, fronts: Fronts, *, finished: bool) -> bool:
        """Check every promise and say what is broken; whether none is."""
        house = self._house
        with house.redis() as client:
            broken = list(no_message_is_left(client))
        broken += [Broken("every_mishap_goes_as_it_should", error) for error in fronts.errors]
        conn = apsw.Connection(str(house.db), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            broken += list_broken(conn, AT_REST)
            broken += every_item_ended_as_it_must(conn, self._items)
            broken += every_result_is_of_the_attempt_that_made_it(conn)
            broken += nobody_dies_once_all_is_healed(conn, watch.healed_at)
            broken += costs_add_up_with_what_was_spent(conn, read_ledger(house.folder / "ledger.jsonl"))
            broken += nobody_saw_a_locked_database(house.folder)
            self._sum_up(conn, watch, fronts)
            self._tell_broken(conn, broken)
        finally:
            conn.close()
        self.exit_code = 1 if broken else 0 if finished else 3
        if not finished:
            say("the house did not come to its end in time")
        say(f"seed {self._seed}: {'every promise was kept' if not self.exit_code else 'BROKEN'}")
        return self.exit_code == 0

    def _sum_up(self, conn: apsw.Connection, watch: Watch, fronts: Fronts) -> None:
        seconds = time.monotonic() - watch.began_at
        (claims,), (lost,) = conn.execute(COUNT_CLAIMS).fetchone(), conn.execute(COUNT_LOST).fetchone()
        say(f"mishaps: {', '.join(f'{count} {name}' for name, count in fronts.counts.most_common())}")
        say(
            f"settled: {watch.settled:,} stages in {seconds:.0f} s; {claims:,} attempts, of which {lost:,} were lost; "
            f"longest stall: {watch.longest_stall:.1f} s"
        )
        for complaint, count in count_complaints(self._house.folder).most_common(MOST_TOLD):
            say(f"  {count} times in the logs: {complaint}")

    def _tell_broken(self, conn: apsw.Connection, broken: list[Broken]) -> None:
        for one in broken[:MOST_TOLD]:
            say(f"BROKEN {one}")
        if len(broken) > MOST_TOLD:
            say(f"and {len(broken) - MOST_TOLD} more")
        histories = [(one, tell_history(conn, one)) for one in broken if one.item_id is not None]
        if histories:
            one, history = min(histories, key=lambda told: told[1].count("\n"))
            say(f"the shortest history, of {one}:\n{history}")

    def save_file(self, *, keep: bool) -> None:
        """Save the tracker beside the logs before its disk is released."""
        if keep and self._house.disk.can_be_filled and self._house.db.exists():
            shutil.copytree(self._house.disk.path, self._house.folder / "tracker", dirs_exist_ok=True)
            say(f"logs, the list of mishaps and the tracker are in {self._house.folder}")


def say(text: str) -> None:
    start = "\r\033[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}{text}\n")
    sys.stderr.flush()
