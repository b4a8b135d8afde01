"""Manners kept in the tracker, beside those kept in memory, and what a busy host means to a stage."""

from __future__ import annotations

import time

import pytest
import time_machine
from workshop import ListPublisher, job, step

from net.manners import KnownRobots, Manners, Turn
from net.memory_manners import MemoryManners
from pipeline.errors import HostBusyError, SourceUnavailableError
from runner.context import RunContext
from runner.manners import TrackerManners
from runner.runtime import Runtime
from tracker.hosts import list_hosts, slow_host

NOON = "2026-03-01T12:00:00Z"


@pytest.fixture(params=["tracker", "memory"])
def manners(request, shop) -> Manners:
    if request.param == "memory":
        return MemoryManners()
    return TrackerManners(lambda: shop.conn, lambda: "w:1")


@pytest.fixture
def clock():
    """Stop the clock at noon, until it is shifted."""
    with time_machine.travel(NOON, tick=False) as stopped:
        yield stopped


def test_turns_are_told_and_taken_alike(manners, clock):
    asked = [(0.5, 9), (0.5, 9), (2, 9), (0.5, 2), (0.5, 2), (0.5, 3)]
    turns = [manners.take_turn("example.org", *each) for each in asked]
    told = [(turn.wait_seconds, turn.granted) for turn in turns]
    assert told == [(0, True), (0.5, True), (1, True), (3, False), (3.5, False), (3, True)]


def test_who_is_turned_away_comes_back_within_the_hour_alike(manners, clock):
    manners.take_turn("example.org", 2000, 0)
    waits = [manners.take_turn("example.org", 2000, 1).wait_seconds for _ in range(4)]
    assert waits == [2000, 4000, 5600, 5600]


def test_a_host_is_slowed_and_forgiven_alike(manners, clock):
    asked_together = [manners.take_turn("example.org", 0.1, 9) for _ in range(2)]
    waits = [manners.slow_host("example.org", None, "503", turn.throttles) for turn in asked_together]
    assert waits == [60, 60]
    assert manners.slow_host("example.org", 90, "503", 0) == 90
    assert manners.is_slowed("example.org")
    assert manners.take_turn("example.org", 0.1, 9) == Turn(90, granted=False, throttles=1)
    clock.shift(90)
    assert not manners.is_slowed("example.org")
    assert manners.slow_host("example.org", None, "503", 1) == 120
    manners.note_success("example.org", 1)
    assert manners.is_slowed("example.org")
    manners.note_success("example.org", 2)
    assert not manners.is_slowed("example.org")


def test_a_host_that_nobody_asked_is_not_slowed(manners):
    assert not manners.is_slowed("example.org")
    manners.note_success("example.org", 0)


def test_robots_are_recalled_alike(manners):
    robots = KnownRobots(200, "User-agent: *\nDisallow: /é", round(time.time()) + 3600.0)
    manners.keep_robots("https://example.org", robots)
    assert manners.recall_robots("https://example.org") == robots
    assert manners.recall_robots("https://example.net") is None


# -- the process that has them ----------------------------------------------------------------------------

HOST = "localhost"


@pytest.fixture
def serve(httpserver):
    """Answer `/page` with a status and headers, and `/robots.txt` with 404."""

    def answer(status=200, **headers):
        httpserver.expect_request("/robots.txt").respond_with_data("", 404)
        httpserver.expect_request("/page").respond_with_data("page", status, headers)
        return httpserver.url_for("/page")

    return answer


def fetching(**more):
    return {"name": "fetch", "handler": "fetch", "params": {"robots": False}, **more}


def test_requests_of_a_stage_are_counted_in_the_tracker(open_workshop, serve):
    shop = open_workshop(papers=job(fetching()))
    shop.run("a", data={"url": serve()})
    (host,) = list_hosts(shop.conn)
    assert (host.host, host.requests, host.interval_seconds) == (HOST, 1, 0.5)
    assert shop.status("a") == "done"


def test_jobs_yaml_says_how_often_a_host_is_asked(open_workshop, serve):
    shop = open_workshop(papers=job(fetching()))
    with_hosts = shop.runtime.settings.jobs.read_text().replace(
        '"jobs":', f'"hosts": {{"{HOST}": {{"rate": "4/s"}}}}, "jobs":'
    )
    shop.runtime.settings.jobs.write_text(with_hosts)
    shop.run("a", data={"url": serve()})
    assert list_hosts(shop.conn)[0].interval_seconds == 0.25


def test_a_stage_heeds_robots_txt_unless_told_otherwise(open_workshop, httpserver, serve):
    httpserver.expect_request("/robots.txt").respond_with_data("User-agent: *\nDisallow: /")
    shop = open_workshop(papers=job(fetching(params={})))
    shop.run("a", data={"url": serve()})
    assert shop.status("a") == "failed"
    assert "robots.txt" in shop.failures()[0]["message"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_stage_comes_back_when_its_host_is_free_and_loses_no_retry(
    open_workshop, serve, clock, status
):
    shop = open_workshop(papers=job(fetching(retries=0)))
    shop.run("a", data={"url": serve(status)})
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"], shop.failures()) == ("pending", 0, [])
    assert row["retry_at"] / 1000 == time.time() + 60
    assert shop.events("host_slowed", job_id=None)[0]["detail"]["host"] == HOST


def test_a_host_slowed_by_one_job_is_left_alone_by_another(open_workshop, httpserver, serve):
    shop = open_workshop(papers=job(fetching(retries=0)), notes=job(fetching(retries=0)))
    url = serve(429)
    shop.run("a", data={"url": url})
    (item,) = shop.add("b", job_id="notes", data={"url": url})
    shop.dispatch("notes")
    shop.work()
    assert len(httpserver.log) == 1
    row = shop.row("b", "fetch", "notes")
    assert (row["status"], row["retries"]) == ("pending", 0)
    assert item


def test_any_handler_may_let_a_time_to_come_back_pass(open_workshop, clock):
    def busy(_):
        raise SourceUnavailableError("come back", 120.0)

    shop = open_workshop(papers=job(step("fetch", retries=0)))
    shop.acts["fetch"] = busy
    shop.run("a")
    assert (shop.status("a", "fetch"), shop.failures()) == ("pending", [])
    assert shop.row("a", "fetch")["retry_at"] / 1000 == time.time() + 120


def test_a_discovery_waits_for_a_host_that_a_stage_would_not(open_workshop, serve):
    shop = open_workshop(papers=job(fetching()))
    assert shop.runtime.http._turns.patience_seconds == 10
    assert shop.runtime.access(shop.spec()).http._turns.patience_seconds == 300


def test_a_busy_host_is_an_error_that_says_when(open_workshop, serve, clock):
    shop = open_workshop(papers=job(fetching()))
    url = serve()
    slow_host(shop.conn, HOST, 120, "429", 0, "w:1")
    with pytest.raises(HostBusyError) as caught:
        shop.runtime.http.fetch_now(url)
    assert caught.value.retry_after_seconds == 120


def test_a_dry_run_writes_nothing_of_its_manners(settings, db_path, open_workshop, serve):
    shop = open_workshop(papers=job(fetching()))
    runtime = Runtime(settings, ListPublisher(), run=RunContext(mode="dry_run"))
    runtime.http.fetch_now(serve())
    assert list_hosts(shop.conn) == []


def test_a_process_far_from_the_file_has_manners_of_its_own(settings, serve):
    runtime = Runtime(settings, None)
    for _ in range(2):
        assert runtime.remote_http.fetch_now(serve()).body == b"page"
    assert not settings.db_path.exists()
