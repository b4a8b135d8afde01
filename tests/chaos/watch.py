"""See from the file how far the house is, and tell whoever waits."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.fronts import Fronts
    from tests.chaos.house import House

COUNT_SETTLED = "SELECT coalesce(sum(done + failed + skipped), 0) FROM stage_counts"

COUNT_UNDER_WAY = """
SELECT (SELECT coalesce(sum(unopened), 0) FROM item_counts)
     + (SELECT count(*) FROM item_stages WHERE status IN ('pending', 'in_progress') AND needs_left = 0)
     + (SELECT count(*) FROM discovery_runs WHERE leased_until IS NOT NULL)
     + (SELECT count(*) FROM plan_changes)
"""

LAST_EVENT = "SELECT coalesce(max(event_id), 0) FROM events"

COUNT_ITEMS = "SELECT count(*) FROM work_items"

LINE_EVERY_SECONDS = 10


@dataclass(slots=True)
class Watch:
    """Counts what is settled, and remembers the longest time in which nothing was."""

    house: House
    began_at: float
    settled: int = 0
    longest_stall: float = 0.0
    healed_at: int = 0
    """The last event when the last mishap was healed. Events, unlike clocks, are in order."""
    moved_at: float = field(default_factory=time.monotonic)
    _told_at: float = 0.0

    def ask(self, sql: str) -> int:
        """Ask the file for a number; -1 while it cannot be asked."""
        try:
            conn = apsw.Connection(str(self.house.db), flags=apsw.SQLITE_OPEN_READONLY)
        except apsw.Error:
            return -1
        try:
            conn.set_busy_timeout(1000)
            return int(conn.execute(sql).fetchone()[0])
        except apsw.Error:
            return -1
        finally:
            conn.close()

    def look(self) -> None:
        settled, now = self.ask(COUNT_SETTLED), time.monotonic()
        if settled not in (-1, self.settled):
            self.settled, self.moved_at = settled, now
        self.longest_stall = max(self.longest_stall, now - self.moved_at)

    @property
    def stalled_seconds(self) -> float:
        return time.monotonic() - self.moved_at

    def wait_until(self, done: Callable[[], bool], limit_seconds: float, fronts: Fronts, of: int) -> bool:
        """Wait for something, with words, for at most so long; whether it came to be."""
        until = time.monotonic() + limit_seconds
        while not done():
            if time.monotonic() > until:
                return False
            self.look()
            self.tell(fronts, of)
            time.sleep(0.25)
        return True

    def tell(self, fronts: Fronts, of: int) -> None:
        """Say how far it is: a line that is written over in a terminal, else one every so often."""
        is_terminal, now = sys.stderr.isatty(), time.monotonic()
        if now - self._told_at < (0.5 if is_terminal else LINE_EVERY_SECONDS):
            return
        self._told_at = now
        seconds = int(now - self.began_at)
        workers = sum(worker.is_up() for worker in self.house.workers)
        line = (
            f"{seconds // 60}:{seconds % 60:02} · {self.settled:,} of about {of:,} stages · "
            f"{workers} of {len(self.house.workers)} workers · {sum(fronts.counts.values())} mishaps · "
            f"stalled {self.stalled_seconds:.0f} s · {', '.join(sorted(fronts.now.values())) or 'all is well'}"
        )
        sys.stderr.write(f"\r\033[K{line:.180}" if is_terminal else f"{line}\n")
        sys.stderr.flush()
