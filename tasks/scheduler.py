"""Beat: its entries come from jobs.yaml, anew whenever that changes. The tracker remembers, not beat."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery.beat import Scheduler

from beat_schedule import make_beat_schedule
from pipeline.errors import TrackerNewerError
from tasks.app import get_runtime
from tasks.newer import UNUSABLE
from tracker.clock import EPOCH
from tracker.workers import BEAT_SECONDS, note_beat

log = structlog.get_logger(__name__)

LONGEST_SLEEP_SECONDS = 2
"""How long beat sleeps at most: so soon it sees that jobs.yaml has changed."""


class JobsScheduler(Scheduler):
    """Sends a discovery at each job's slots, and the sweep every few seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._digest: str | None = None
        self._refusal: str | None = None
        self._said_at = float("-inf")
        self._ticked_at = EPOCH
        super().__init__(*args, **kwargs)
        self.max_interval = LONGEST_SLEEP_SECONDS

    def setup_schedule(self) -> None:
        """Make the entries; Celery calls this once."""
        self._refresh()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; the seconds until the next look."""
        self._follow_clock()
        self._refresh()
        self._say_that_it_ticks()
        return min(float(super().tick(*args, **kwargs)), LONGEST_SLEEP_SECONDS)

    def _say_that_it_ticks(self) -> None:
        if time.monotonic() - self._said_at < BEAT_SECONDS:
            return
        self._said_at = time.monotonic()
        try:
            note_beat(get_runtime().tracker)
        except TrackerNewerError as error:
            log.error("beat stops: the tracker is no longer for this code", error=str(error))
            raise SystemExit(UNUSABLE) from None
        except Exception as error:  # noqa: BLE001 - beat goes on ticking when nobody can write it down
            log.warning("could not note that beat ticks", error=str(error))

    def _follow_clock(self) -> None:
        """When the clock was set back, begin anew from now: else nothing would be sent until it is where it was."""
        now = self.app.now()
        if now < self._ticked_at:
            log.warning("the clock was set back", seconds=(self._ticked_at - now).total_seconds())
            for entry in self.schedule.values():
                entry.last_run_at = min(entry.last_run_at or now, now)
            self._heap = None
        self._ticked_at = now

    def _refresh(self) -> None:
        watch = get_runtime().watch
        jobs = watch.current()
        self._tell_of_refusal(str(watch.refusal) if watch.refusal else None)
        if jobs.digest == self._digest:
            return
        self._digest = jobs.digest
        entries = make_beat_schedule(jobs)
        self.merge_inplace(entries)  # type: ignore[arg-type]  # the stubs want entries, Celery makes them
        self._heap = None  # Celery would keep to the old times: it compares the entries with themselves
        log.info("schedule in force", entries=sorted(entries))

    def _tell_of_refusal(self, refusal: str | None) -> None:
        """Log it once: whoever edits jobs.yaml looks at the log of what runs."""
        if refusal == self._refusal:
            return
        self._refusal = refusal
        if refusal is None:
            log.info("jobs.yaml is in order again")
        else:
            log.warning(
                "jobs.yaml is refused; the last good one stays in force", problems=refusal.splitlines()
            )
