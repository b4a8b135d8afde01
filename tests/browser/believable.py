"""A day of a house as somebody might have it, the same each time."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import tracker
from pipeline.notify import TroubleKind
from runner.code_version import read_code_version
from tracker.attempt_logs import AttemptLog, put_log
from tracker.budgets import remember_budgets
from tracker.connection import write
from tracker.discoveries import Findings, begin_discovery, finish_discovery
from tracker.notes import SWEPT_AT, set_note
from tracker.notices import open_notice
from tracker.pauses import Target, lift, pause
from tracker.plan import make_plan, remember_plan
from tracker.progress import tell_progress
from tracker.run_counts import Counts, add_to_run
from tracker.sources import SourceLook
from tracker.troubles import Trouble
from tracker.workers import WorkerWord, note_beat, note_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.filespec import JobsFile
    from tracker.connection import Connection
    from tracker.plan import StagePlan

NOW = datetime(2026, 11, 25, 16, 30, 14, tzinfo=UTC)

JOBS = """\
version: 1

defaults:
  retries: 2
  backoff: 30s

jobs:
  podcasts:
    title: Podcasts, transcribed
    discovery:
      strategy: podcast_feeds
      feeds:
        - {url: "https://feeds.example.org/on-rivers", name: On Rivers}
        - {url: "https://feeds.example.org/slow-maps", name: Slow Maps}
        - {url: "https://radio.example.net/night-school", name: Night School}
    schedule: {every: 1h}
    budget: {usd_per_day: 25}
    stages:
      - {name: download, handler: feed_enclosure, timeout: 2h}
      - {name: transcribe, handler: audio_transcribe, params: {model: whisper-1}, concurrency: 2, queue: audio}
      - {name: notes, handler: summarise_text, needs: transcribe}
      - {name: tell, handler: summarise_text, needs: notes}

  hacker-news:
    title: Hacker News, the best stories
    discovery: {strategy: hacker_news, list: best, limit: 30}
    schedule: {every: 30m}
    stages:
      - {name: fetch, rate: 1/s, timeout: 2m}
      - article
      - {name: summary, handler: summarise_text}

  papers:
    title: Papers on databases
    discovery: {strategy: arxiv, categories: [cs.DB], query: "abs:queue OR ti:scheduler", limit: 100}
    schedule: "@daily"
    budget: {usd_per_day: 3}
    stages:
      - {name: fetch, rate: 20/m}
      - {name: text, handler: article, timeout: 2m}
      - {name: keywords, handler: summarise_text, needs: text}
      - {name: abstract, handler: summarise_text, needs: text}
      - {name: digest, handler: summarise_text, needs: [keywords, abstract]}

  filings:
    title: What companies file
    discovery: {strategy: manual, items: [acme-10-k, globex-8-k, initech-10-q]}
    schedule: {every: 1h}
    stages: [fetch, article, {name: summary, handler: summarise_text}]

  demo:
    title: The Python standard library, outlined
    discovery: {strategy: local_files, root: "${PYTHON_STDLIB}", include: ["*.py"]}
    schedule: "@daily"
    stages:
      - {name: read, handler: read_file}
      - {name: outline, handler: python_outline}
      - {name: summarise, handler: summarise_text}
"""

FIRST = (
    "A small",
    "The hidden",
    "Another",
    "The last",
    "A faster",
    "Notes on the",
    "The unlikely",
    "In praise of the",
)
SECOND = ("history of", "theory of", "guide to", "life of", "cost of", "return of", "beauty of", "index of")
THIRD = (
    "queues",
    "lighthouses",
    "B-trees",
    "tide tables",
    "typewriters",
    "sorting",
    "canal boats",
    "checksums",
    "maps",
)
SHOWS = ("On Rivers", "Slow Maps", "Night School")
HOSTS = ("blog.example.org", "news.example.com", "www.example.net", "essays.example.org")
NAMES = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))


Cost = tuple[float, str, str, dict[str, int]] | None
"""US dollars, provider, model and units."""


class Clock:
    """A clock that stands still until it is moved; the tracker reads the time from it in the place of `time`."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def move_to(self, now: datetime) -> None:
        """Set it."""
        self.now = now

    def time_ns(self) -> int:
        """Tell the time as `time.time_ns` does."""
        return int(self.now.timestamp() * 1000) * 1_000_000


@dataclass
class Day:
    """What happens, by the hour at which it does; `live` plays it."""

    conn: Connection
    clock: Clock
    plans: Mapping[str, StagePlan]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    happens: list[tuple[datetime, int, Callable[[], Any]]] = field(default_factory=list)

    def at(self, when: datetime, act: Callable[..., Any], *said: Any) -> None:
        """Let something happen, unless it is yet to come."""
        if when <= NOW:
            self.happens.append((when, len(self.happens), lambda: act(*said)))

    def live(self) -> None:
        """Play what happens, in the order of time."""
        for when, _, act in sorted(self.happens, key=lambda one: one[:2]):
            self.clock.move_to(when)
            act()
        self.clock.move_to(NOW)

    # -- discovery ----------------------------------------------------------------------------------------

    def look(self, job: str, items: list[dict[str, Any]], looks: list[SourceLook]) -> None:
        """Look for items, and find these."""
        run = begin_discovery(self.conn, job)
        assert run is not None
        add_to_run(self.conn, run, Counts(found=max(30, len(items)), new=len(items)))
        tracker.upsert_items(self.conn, job, items)
        self.clock.move_to(self.clock.now + timedelta(seconds=1 + 0.3 * len(items) % 7))
        finish_discovery(self.conn, run, Findings(looks=looks))

    # -- one stage ----------------------------------------------------------------------------------------

    def claim(self, job: str, key: str, stage: str, worker: str) -> None:
        item_id = self.find(job, key)
        tracker.mark_stage_in_progress(
            self.conn, item_id, stage, self.plans[job], worker=worker, lease_seconds=7200
        )

    def settle(
        self, job: str, key: str, stage: str, result: dict[str, Any], cost: tuple[Any, ...] | None
    ) -> None:
        item_id = self.find(job, key)
        if cost is not None:
            usd, provider, model, units = cost
            tracker.log_cost(
                self.conn,
                job,
                usd,
                provider,
                item_id=item_id,
                stage=stage,
                attempt=1,
                model=model,
                units=units,
            )
        with write(self.conn):
            lines = (f"{self.clock.now:%H:%M:%S} info   {stage} begun  key={key}", *LOGS.get(stage, ()))
            put_log(self.conn, item_id, stage, 1, job, AttemptLog(len(lines), 0, "\n".join(lines)))
        tracker.mark_stage_done(
            self.conn, item_id, stage, self.plans[job], result, handler_version="9c41e07d55ab"
        )

    def fail(self, job: str, key: str, stage: str, error: Exception) -> None:
        tracker.mark_stage_failed(self.conn, self.find(job, key), stage, self.plans[job], error)

    def find(self, job: str, key: str) -> int:
        found = tracker.items.find_item(self.conn, job, key)
        assert found is not None
        return int(found["item_id"])

    # -- jobs ---------------------------------------------------------------------------------------------

    def title(self) -> str:
        return f"{self.chance.choice(FIRST)} {self.chance.choice(SECOND)} {self.chance.choice(THIRD)}"

    def do(
        self, job: str, item: dict[str, Any], stage: str, begin: datetime, seconds: float, cost: Cost = None
    ) -> None:
        """Let a stage of an item be done, from `begin` on, for so long."""
        worker = (
            f"elm:{self.chance.randint(820, 821)}"
            if stage == "transcribe"
            else f"oak:{self.chance.randint(4100, 4107)}"
        )
        self.at(begin, self.claim, job, item["key"], stage, worker)
        self.at(
            begin + timedelta(seconds=seconds),
            self.settle,
            job,
            item["key"],
            stage,
            make_result(stage, item),
            cost,
        )

    def pass_through(
        self, job: str, item: dict[str, Any], begin: datetime, seconds: dict[str, float], **facts: Any
    ) -> None:
        """Let an item go through its stages, each as long as it takes, up to the one that `fails`, if one does."""
        fails = facts.get("fails")
        for stage in self.plans[job].names:
            took = seconds[stage] * self.chance.uniform(0.6, 1.7)
            if fails and fails[0] == stage:
                self.at(begin, self.claim, job, item["key"], stage, "oak:4101")
                self.at(begin + timedelta(seconds=took), self.fail, job, item["key"], stage, fails[1])
                return
            cost = facts["cost"](stage, took) if "cost" in facts else None
            self.do(job, item, stage, begin, took, cost)
            begin += timedelta(seconds=took + self.chance.uniform(0.1, 1))


LOGS = {
    "transcribe": (
        "         info   audio read     seconds=2811 channels=1",
        "         info   sent           parts=5 model=whisper-1",
    ),
    "fetch": ("         info   answered       status=200 bytes=48213",),
}


def make_result(stage: str, item: dict[str, Any]) -> dict[str, Any]:
    """Make what a stage may have made of an item."""
    title = item["data"].get("title", item["key"])
    if stage == "transcribe":
        return {
            "language": "en",
            "seconds": 2811.4,
            "text": f"Welcome back. Today: {title.lower()}. We begin at the river, where the first gauges were read by "
            "hand, twice a day, and written down in ink.\n\nNobody thought of it as data.",
            "segments": [
                {"start": 0.0, "end": 6.2, "text": "Welcome back."},
                {"start": 6.2, "end": 14.9, "text": "We begin."},
            ],
        }
    if stage in ("summary", "notes", "abstract", "digest", "summarise"):
        return {
            "title": title,
            "summary": f"{title}: what began as a way of keeping count became a way of seeing.",
            "keywords": ["count", "river", "gauge", "ledger"],
            "words": 1840,
        }
    return {"title": title, "url": item["data"].get("url"), "bytes": 48_213}


def live_a_day(conn: Connection, jobs: JobsFile, clock: Clock) -> None:
    """Live the day up to `NOW`."""
    clock.move_to(NOW - timedelta(hours=30))
    plans = {name: make_plan(job.stages) for name, job in jobs.jobs.items()}
    for name, plan in plans.items():
        tracker.upsert_items(conn, name, [])
        with write(conn):
            remember_plan(conn, name, plan)
    remember_budgets(conn, {name: job.budget for name, job in jobs.jobs.items() if job.budget})
    day = Day(conn, clock, plans)
    _live_demo(day)
    _live_hacker_news(day)
    _live_podcasts(day)
    _live_papers(day)
    _live_filings(day)
    _let_people_act(day)
    day.live()
    _see_workers(conn)


def _live_demo(day: Day) -> None:
    begin = NOW.replace(hour=0, minute=0, second=3)
    items = [{"key": f"{name}.py", "data": {"path": f"{name}.py"}} for name in NAMES]
    day.at(
        begin, day.look, "demo", items, [SourceLook("the standard library", found=len(items), new=len(items))]
    )
    for number, item in enumerate(items):
        seconds = {"read": 0.002, "outline": 0.02, "summarise": 0.004}
        day.pass_through("demo", item, begin + timedelta(seconds=1 + number * 0.05), seconds)


def _live_hacker_news(day: Day) -> None:
    when, number = NOW.replace(second=0) - timedelta(hours=24), 46_020_113
    while when <= NOW:
        wave = 9 if 7 <= when.hour <= 20 else 3
        items = []
        for _ in range(day.chance.randint(max(1, wave - 3), wave + 3)):
            number += day.chance.randint(40, 900)
            host = day.chance.choice(HOSTS)
            items.append(
                {
                    "key": str(number),
                    "data": {"title": day.title(), "url": f"https://{host}/{number}", "points": number % 700},
                }
            )
        looks = [SourceLook("best", requests=1 + len(items), found=30, new=len(items))]
        day.at(when, day.look, "hacker-news", items, looks)
        for place, item in enumerate(items):
            fails = None
            if day.chance.random() < 0.06:
                error = ConnectionError(
                    f"{item['data']['url'].split('/')[2]} answered 503 after {day.chance.randint(2, 9)} s"
                )
                fails = ("fetch", error)
            elif day.chance.random() < 0.03:
                fails = (
                    "article",
                    ValueError(f"no article in {day.chance.randint(800, 9000)} characters of HTML"),
                )
            begin = when + timedelta(seconds=2 + 1.2 * place)
            day.pass_through(
                "hacker-news", item, begin, {"fetch": 0.8, "article": 0.09, "summary": 0.03}, fails=fails
            )
        when += timedelta(minutes=30)


def _cost_of_a_podcast(stage: str, took: float) -> Cost:
    if stage == "transcribe":
        return round(0.006 * 46.9, 4), "openai", "whisper-1", {"audio_seconds": 2811}
    if stage == "notes":
        return round(0.0004 * took, 4), "openai", "gpt-5-mini", {"input_tokens": 8120, "output_tokens": 412}
    return None


def _live_podcasts(day: Day) -> None:
    when, number, free = (
        NOW.replace(minute=12, second=0) - timedelta(hours=24),
        211,
        [NOW - timedelta(days=2)] * 2,
    )
    while when <= NOW:
        items = []
        shows = SHOWS * 18 if when.hour == 15 else day.chance.sample(SHOWS, day.chance.randint(1, 3))
        for show in shows:
            number += 1
            key = f"{show.lower().replace(' ', '-')}-{number}"
            url = f"https://media.example.org/{number}.mp3"
            items.append({"key": key, "data": {"title": day.title(), "show": show, "url": url}})
        looks = [SourceLook(show, requests=1, found=40, new=shows.count(show)) for show in SHOWS]
        if when.hour in (13, 14, 16):
            looks[2] = SourceLook(SHOWS[2], requests=1, error="radio.example.net answered 502")
        day.at(when, day.look, "podcasts", items, looks)
        for item in items:
            is_away = item["data"]["show"] == SHOWS[2] and day.chance.random() < 0.2
            begin = when + timedelta(seconds=day.chance.uniform(3, 50 * len(shows)))
            _live_an_episode(day, item, begin, free, is_away=is_away)
        when += timedelta(hours=1)


def _live_an_episode(
    day: Day, item: dict[str, Any], begin: datetime, free: list[datetime], *, is_away: bool
) -> None:
    """Let an episode be downloaded at once, and transcribed when one of two places is free."""
    if is_away:
        fails = ("download", ConnectionError("radio.example.net answered 502 after 12 s"))
        day.pass_through("podcasts", item, begin, {"download": 12}, fails=fails)
        return
    heard = begin + timedelta(seconds=day.chance.uniform(20, 70))
    day.do("podcasts", item, "download", begin, (heard - begin).total_seconds())
    free.sort()
    begin, took = max(free[0], heard + timedelta(seconds=1)), day.chance.uniform(190, 420)
    free[0] = begin + timedelta(seconds=took + 1)
    for stage, seconds in (("transcribe", took), ("notes", day.chance.uniform(6, 14)), ("tell", 0.4)):
        day.do("podcasts", item, stage, begin, seconds, _cost_of_a_podcast(stage, seconds))
        begin += timedelta(seconds=seconds + 0.3)


def _cost_of_a_paper(stage: str, took: float) -> Cost:
    if stage == "abstract":
        return round(0.011 * took, 4), "openai", "gpt-5-mini", {"input_tokens": 14_200}
    return None


def _live_papers(day: Day) -> None:
    begin = NOW.replace(hour=6, minute=0, second=1)
    items = [
        {
            "key": f"2611.{14000 + number * 7}",
            "data": {
                "title": f"{day.title()} in databases",
                "url": f"https://papers.example.org/2611.{14000 + number * 7}",
            },
        }
        for number in range(74)
    ]
    day.at(begin, day.look, "papers", items, [SourceLook("cs.DB", requests=2, found=74, new=74)])
    for number, item in enumerate(items):
        fails = (
            ("text", ValueError(f"no text in the PDF: {5 + number % 13} pages of images"))
            if number % 6 == 5
            else None
        )
        seconds = {"fetch": 1.4, "text": 2.2, "keywords": 0.1, "abstract": 3.1, "digest": 0.2}
        day.pass_through(
            "papers", item, begin + timedelta(seconds=4 * number), seconds, fails=fails, cost=_cost_of_a_paper
        )


def _live_filings(day: Day) -> None:
    firms = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell")
    items = [
        {"key": f"{firm}-{form}", "data": {"title": f"{firm.title()}, {form.upper()}"}}
        for firm in firms
        for form in ("10-k", "8-k", "10-q")
    ]
    begin = NOW.replace(hour=9, minute=0, second=2)
    day.at(begin, day.look, "filings", items, [SourceLook("filings", found=24, new=24)])
    for number, item in enumerate(items[:9]):
        day.pass_through(
            "filings",
            item,
            begin + timedelta(minutes=9 * number),
            {"fetch": 2, "article": 0.4, "summary": 0.1},
        )
    until = NOW.replace(hour=18, minute=0, second=0)
    day.at(
        NOW - timedelta(hours=3),
        pause,
        day.conn,
        Target.of_job("filings"),
        "the regulator asks for quiet until six",
        until,
        "ada",
    )


def _let_people_act(day: Day) -> None:
    article = Target.of_stage("hacker-news", "article")
    day.at(NOW - timedelta(minutes=56), pause, day.conn, article, "a new parser comes", None, "ada")
    day.at(NOW - timedelta(minutes=52), lift, day.conn, article, "ada")
    day.at(NOW - timedelta(minutes=17), tracker.wake_job, day.conn, "podcasts", "bo")


def _see_workers(conn: Connection) -> None:
    now = int(NOW.timestamp() * 1000)
    up = now - 9 * 3_600_000
    oak = WorkerWord(
        "oak",
        4096,
        "worker@oak",
        [*range(4100, 4108)],
        ["celery"],
        read_code_version(),
        False,
        False,
        up,
        now - 900,
    )
    elm = WorkerWord(
        "elm",
        812,
        "audio@elm",
        [820, 821],
        ["audio"],
        read_code_version(),
        False,
        False,
        up + 400_000,
        now - 1_100,
    )
    note_worker(conn, oak)
    note_worker(conn, elm)
    note_beat(conn)
    with write(conn):
        set_note(conn, SWEPT_AT, str(now - 1_400))
    for row in conn.execute(
        "SELECT item_id, stage, attempt FROM item_stages WHERE status = 'in_progress' AND job_id = 'podcasts'"
    ).fetchall():
        tell_progress(conn, row[0], row[1], row[2], done=3, total=5, note="parts heard")
    words = f"the source {SHOWS[2]} failed 3 times in a row: radio.example.net answered 502"
    open_notice(conn, Trouble(TroubleKind.SOURCE, "podcasts", SHOWS[2], words), ())
