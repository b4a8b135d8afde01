"""
A day and a half in the life of a job, by a clock that the test moves: schedule, backoff, breaker, budget and lanes.

It goes over the night in which Berlin's clocks are put forward: that Sunday is 23 hours long.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from workshop import job, step

import tracker
from runner.actions import Order, carry_out
from runner.choices import choose_keys
from runner.discover import discover
from runner.sweep import sweep
from tracker.clock import to_datetime

BEGIN, END = datetime(2026, 3, 28, 16, 50, tzinfo=UTC), datetime(2026, 3, 29, 22, 30, tzinfo=UTC)
DOWN = datetime(2026, 3, 29, 4, tzinfo=UTC), datetime(2026, 3, 29, 4, 20, tzinfo=UTC)
PUBLISHED = {
    datetime(2026, 3, 28, 17, tzinfo=UTC): [f"evening-{n}" for n in range(6)],
    datetime(2026, 3, 29, 4, tzinfo=UTC): [f"morning-{n}" for n in range(5)],
    datetime(2026, 3, 29, 10, tzinfo=UTC): [f"noon-{n}" for n in range(9)],
}
ASKED_USD = 0.30
BERLIN = ZoneInfo("Europe/Berlin")
JOB = job(
    step("fetch", retries=2, backoff="1m", concurrency=4),
    step("ask", retries=0),
    schedule={"cron": "0 */6 * * *", "timezone": "Europe/Berlin"},
    budget={"usd_per_day": 1.0, "timezone": "Europe/Berlin"},
    breaker={"after": 3, "pause": "15m", "max": "1h"},
    on_schedule="queue",
)


# By UTC. Midnight in Berlin is at 23:00 on Saturday, and at 22:00 on Sunday, an hour sooner.
EXPECTED = """\
Sat 16:51 apply_plan
Sat 16:51 discover
Sat 17:01 discover
Sat 17:01 budget_reached
Sat 23:00 budget_lifted
Sat 23:01 discover
Sun 04:01 discover
Sun 04:01 retry morning-0
Sun 04:01 retry morning-1
Sun 04:01 retry morning-2
Sun 04:01 breaker_opened
Sun 04:16 breaker_probe
Sun 04:16 retry morning-0
Sun 04:16 breaker_opened
Sun 04:46 breaker_probe
Sun 04:46 breaker_closed
Sun 04:46 budget_reached
Sun 09:55 pause
Sun 10:01 discover_queued
Sun 10:01 discover
Sun 10:03 reset_stage
Sun 10:05 unpause
Sun 16:01 discover
Sun 22:00 budget_lifted
Sun 22:00 budget_reached
Sun 22:01 discover"""


class Day:
    """The clock, the job's source and its site, and what a beat and a worker do as the time goes by."""

    def __init__(self, shop, clock):
        self.shop, self._clock = shop, clock
        shop.plugins.find = self._find
        shop.acts.update(fetch=self._fetch, ask=self._ask)

    @property
    def now(self):
        return datetime.now(UTC)

    def _find(self):
        return [{"key": key} for at, keys in PUBLISHED.items() if at <= self.now for key in keys]

    def _fetch(self, context):
        if DOWN[0] <= self.now < DOWN[1]:
            raise OSError(f"no answer for {context.key}")
        return {"text": context.key}

    def _ask(self, context):
        context.cost(ASKED_USD, "model")
        return {"answer": context.key}

    def go_on(self, until, minutes=1):
        """Let the time go by, minute by minute: what is due is discovered, sent and worked off."""
        while self.now < until:
            self._clock.shift(timedelta(minutes=minutes))
            self._tick()

    def pause_until(self, until):
        """Pause the job, as somebody does."""
        tracker.pause_job(self.shop.conn, "papers", "the printer is out", until=until, by="ada")

    def fetch_again(self, *keys):
        """Reset the first stage of some items, as somebody does."""
        how = choose_keys(self.shop.runtime, "papers", keys)
        carry_out(self.shop.runtime, Order("reset", "papers", "ada", "fetch", how, detail={"stage": "fetch"}))

    def spent(self):
        """Tell what was spent on each day, by Berlin's calendar."""
        rows = self.shop.conn.execute("SELECT spent_at, usd FROM costs")
        days = [(to_datetime(spent_at).astimezone(BERLIN).strftime("%a"), usd) for spent_at, usd in rows]
        return {day: round(sum(usd for other, usd in days if other == day), 2) for day, _ in days}

    def _tick(self):
        sweep(self.shop.runtime)
        due, self.shop.publisher.discoveries = self.shop.publisher.discoveries, []
        for job_id, run_id, scheduled in due:
            discover(self.shop.runtime, job_id, scheduled=scheduled, run_id=run_id)
        self._hand_over_countdowns()
        while self.shop.publisher.waiting:
            self.shop.take()
            self._hand_over_countdowns()

    def _hand_over_countdowns(self):
        publisher, now = self.shop.publisher, tracker.clock.now_ms()
        for message in list(publisher.countdowns):
            row = self.shop.row(message.key, message.stage)
            if row["retry_at"] is None or row["retry_at"] <= now:
                publisher.countdowns.remove(message)
                publisher.waiting.append(message)

    def story(self):
        """Tell what happened, but for the plain moves, as `day HH:MM kind key`."""
        told = []
        for event in self.shop.events():
            if event["kind"] not in {"claim", "finish", "release", "reset"}:
                key = event["key"] or ""
                told.append(f"{to_datetime(event['at']):%a %H:%M} {event['kind']} {key}".strip())
        return told


@pytest.fixture
def day(open_workshop):
    with time_machine.travel(BEGIN, tick=False) as clock:
        yield Day(open_workshop(papers=JOB), clock)


def at(text):
    """Read a day and a time of that March, by UTC."""
    return datetime.fromisoformat(f"2026-03-{text}:00+00:00")


def test_a_day_goes_as_jobs_yaml_says(day):
    day.go_on(at("29 09:55"))
    day.pause_until(at("29 10:05"))
    day.go_on(at("29 10:03"))
    sent = len(day.shop.sent)
    day.fetch_again("evening-0", "evening-1", "evening-2", "evening-3", "evening-4")
    day.go_on(at("29 10:06"))
    fetched = [key for key, stage in day.shop.sent[sent:] if stage == "fetch"]
    day.go_on(END)
    assert day.story() == EXPECTED.split("\n")
    assert fetched == [
        *("noon-0", "noon-1", "noon-2", "evening-0"),  # a quarter is backfill while both wait
        *("noon-3", "noon-4", "noon-5", "evening-1"),
        *("noon-6", "noon-7", "noon-8", "evening-2", "evening-3", "evening-4"),
    ]
    assert day.spent() == {"Sat": 1.5, "Sun": 0.9, "Mon": 0.9}  # five before anybody knew what asking costs
    assert tracker.stage_stats(day.shop.conn, "papers")["fetch"]["done"] == 20
