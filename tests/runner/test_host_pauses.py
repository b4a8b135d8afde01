"""A paused host is asked by nobody: its stages and discoveries wait, which is no failure; its own breaker."""

from __future__ import annotations

import json

import pytest
import time_machine
from werkzeug import Response
from workshop import job, step

import tracker
from pipeline.errors import HostPausedError
from runner.discover import discover
from runner.explain import explain_item, find_job
from runner.pausing import pause, unpause
from runner.sweep import sweep
from tracker import pauses
from tracker.clock import now_ms
from tracker.host_breaker import PROBE_MS, take_host_probe
from tracker.hosts import list_hosts
from tracker.pauses import Target
from tracker.runs import find_last_run
from tracker.sources import list_sources

HOST = Target.of_host("localhost")
MINUTE = 60


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def shop(open_workshop):
    """Open a workshop whose stage asks a local server."""
    shop = open_workshop(papers=job(step("fetch", retries=2)))
    shop.acts["fetch"] = lambda context: {"body": context.http.fetch_now(context.data["url"]).body.decode()}
    return shop


@pytest.fixture
def serve(httpserver):
    """Answer `/page` with what the list of statuses says, in turn, the last for ever; count the requests."""
    statuses, asked = [200], []

    def answer(request):
        asked.append(request.path)
        return Response("page", statuses.pop(0) if len(statuses) > 1 else statuses[0])

    httpserver.expect_request("/page").respond_with_handler(answer)
    httpserver.url = httpserver.url_for("/page")
    httpserver.statuses, httpserver.asked = statuses, asked
    return httpserver


def run(shop, serve, *keys):
    shop.add(*keys, data={"url": serve.url})
    shop.dispatch()
    return shop.work()


def test_a_stage_that_would_ask_a_paused_host_waits_for_its_end_and_uses_no_retry(shop, serve, clock):
    pause(shop.runtime, HOST, "they asked us to", tracker.clock.to_datetime(now_ms() + 3_600_000), "ann")
    run(shop, serve, "a")
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"], row["retry_at"]) == ("pending", 0, now_ms() + 3_600_000)
    assert row["reason"] == "host localhost is paused: they asked us to (by ann)"
    assert serve.asked == []
    assert shop.failures() == []
    clock.shift(3600)
    sweep(shop.runtime)
    shop.work()
    assert (shop.status("a"), len(serve.asked)) == ("done", 1)


@pytest.mark.parametrize("until", [None, 3600])
def test_when_somebody_lifts_it_those_who_wait_go_at_once(shop, serve, clock, until):
    end = tracker.clock.to_datetime(now_ms() + until * 1000) if until else None
    pause(shop.runtime, HOST, "why", end, "ann")
    run(shop, serve, "a", "b")
    clock.shift(MINUTE)
    assert unpause(shop.runtime, HOST, "ben").sent == 2
    shop.work()
    assert [shop.status(key) for key in "ab"] == ["done", "done"]
    assert shop.conn.execute("SELECT count(*) FROM host_waits").fetchone()[0] == 0


MODEL = {"model": "m", "api_key": "sk-none"}

ASKING = {
    "llm": {**MODEL, "prompt": "Hello"},
    "classify": {**MODEL, "labels": ["food", "tools"]},
    "embed": MODEL,
    "notify": {"title": "New", "message": "Roots"},
    "http_call": {},
    "webhook": {},
}
"""Handlers that ask an address of jobs.yaml: those of a model, and some that end in a way of their own."""

ADDRESS = {"notify": "webhook", "http_call": "url", "webhook": "url"}


@pytest.mark.parametrize("handler", ASKING)
def test_a_stage_of_any_handler_that_met_a_paused_host_goes_at_once_when_it_is_lifted(
    open_workshop, serve, clock, handler, monkeypatch
):
    monkeypatch.setenv("CELERIAC_CONTACT", "me@example.org")
    params = ASKING[handler] | {ADDRESS.get(handler, "base_url"): serve.url}
    shop = open_workshop(papers=job(step("ask", handler=handler, params=params)))
    pause(shop.runtime, HOST, "why", tracker.clock.to_datetime(now_ms() + 3_600_000), "ann")
    shop.add("a", data={"text": "Celeriac is a root."})
    shop.dispatch()
    shop.work()
    row = shop.row("a", "ask")
    assert (row["status"], row["retry_at"], serve.asked) == ("pending", now_ms() + 3_600_000, [])
    file = find_job(shop.runtime.watch.current(), "papers")
    assert explain_item(shop.conn, file, "papers", "a").cause.do == "`celeriac unpause --host localhost`"
    clock.shift(MINUTE)
    assert unpause(shop.runtime, HOST, "ben").sent == 1


def test_a_stage_that_waits_for_something_else_by_then_is_not_woken(shop, serve, clock):
    pause(shop.runtime, HOST, "why", None, "ann")
    run(shop, serve, "a")
    with tracker.write(shop.conn):
        shop.conn.execute("UPDATE item_stages SET retry_at = retry_at + 1")
    unpause(shop.runtime, HOST, "ben")
    assert shop.row("a", "fetch")["retry_at"] is not None


def test_who_met_the_pause_again_because_it_was_made_longer_goes_at_once_when_it_is_lifted(
    shop, serve, clock
):
    until = tracker.clock.to_datetime(now_ms() + 3_600_000)
    pause(shop.runtime, HOST, "they asked us to", until, "ann")
    run(shop, serve, "a")
    pause(shop.runtime, HOST, "they asked us to", until.replace(hour=23), "ann")
    clock.shift(3600)
    sweep(shop.runtime)
    shop.work()
    assert shop.row("a", "fetch")["retry_at"] == pauses.read_pause(shop.conn, HOST).until_at
    unpause(shop.runtime, HOST, "ann")
    shop.work()
    assert shop.status("a", "fetch") == "done"


def test_a_pause_of_the_domain_covers_the_host_and_another_is_asked(shop, serve):
    pause(shop.runtime, Target.of_host("example.org"), "why", None, "ann")
    client = shop.runtime.http
    with pytest.raises(HostPausedError, match=r"host example\.org is paused: why"):
        client.fetch_now("http://www.example.org/page")
    assert client.fetch_now(serve.url).status == 200


def test_a_host_that_is_paused_gives_nobody_a_turn(shop, serve):
    pause(shop.runtime, HOST, "why", None, "ann")
    run(shop, serve, "a")
    assert [one.requests for one in list_hosts(shop.conn)] == [0]


def test_a_redirect_to_a_paused_host_is_not_followed(shop, serve, httpserver):
    pause(shop.runtime, Target.of_host("example.org"), "why", None, "ann")
    httpserver.expect_request("/away").respond_with_data("", 302, {"Location": "http://example.org/page"})
    with pytest.raises(HostPausedError):
        shop.runtime.http.fetch_now(httpserver.url_for("/away"))


def test_a_paused_host_is_listed_first_whether_it_was_asked_or_not(shop, serve):
    run(shop, serve, "a")
    pause(shop.runtime, Target.of_host("example.org"), "why", None, "ann")
    assert [(one.host, one.pause and one.pause.by) for one in list_hosts(shop.conn)] == [
        ("example.org", "ann"),
        ("localhost", None),
    ]
    pause(shop.runtime, HOST, "why", None, "ben")
    assert {one.host: one.pause.by for one in list_hosts(shop.conn)} == {
        "example.org": "ann",
        "localhost": "ben",
    }


# -- discovery --------------------------------------------------------------------------------------------

FEED = """<rss version="2.0"><channel><title>t</title>
<item><guid>1</guid><title>one</title><link>https://example.org/1</link></item></channel></rss>"""


@pytest.fixture
def feed_shop(open_workshop, httpserver, monkeypatch):
    """Open a workshop that reads a feed of a local server."""
    monkeypatch.setenv("CELERIAC_CONTACT", "me@example.org")
    httpserver.expect_request("/robots.txt").respond_with_data("", 404)
    httpserver.expect_request("/feed").respond_with_data(FEED, content_type="application/rss+xml")
    feeds = {"strategy": "rss_feeds", "feeds": [httpserver.url_for("/feed")]}
    return open_workshop(papers=job(step("fetch")) | {"discovery": feeds})


def test_a_discovery_of_a_paused_host_waits_and_no_error_is_counted(feed_shop, clock):
    end = tracker.clock.to_datetime(now_ms() + 3_600_000)
    pause(feed_shop.runtime, HOST, "they asked us to", end, "ann")
    ended = discover(feed_shop.runtime, "papers")
    assert ended.retry_at == now_ms() + 3_600_000
    assert tracker.get_job_error(feed_shop.conn, "papers") is None
    assert list_sources(feed_shop.conn, "papers") == []
    (event,) = feed_shop.events("discover_waits")
    assert (event["detail"]["host"], "they asked us to" in event["detail"]["reason"]) == ("localhost", True)
    assert find_last_run(feed_shop.conn, "papers").outcome == "unavailable"
    clock.shift(3600)
    sweep(feed_shop.runtime)
    assert feed_shop.publisher.discoveries == [("papers", 1, False)]
    assert discover(feed_shop.runtime, "papers", run_id=1).new == 1
    (source,) = list_sources(feed_shop.conn, "papers")
    assert source.failures == 0


def test_of_several_sources_only_the_paused_one_is_left_out(feed_shop, httpserver):
    pause(feed_shop.runtime, HOST, "why", None, "ann")
    feeds = [httpserver.url_for("/feed"), f"http://127.0.0.1:{httpserver.port}/feed"]
    feed_shop.edit(papers=job(step("fetch")) | {"discovery": {"strategy": "rss_feeds", "feeds": feeds}})
    assert discover(feed_shop.runtime, "papers").new == 1
    assert [(one.source, one.error) for one in list_sources(feed_shop.conn, "papers")] == [(feeds[1], None)]


def test_a_discovery_that_waits_goes_on_as_soon_as_the_host_is_lifted(feed_shop, clock):
    pause(feed_shop.runtime, HOST, "why", None, "ann")
    discover(feed_shop.runtime, "papers")
    unpause(feed_shop.runtime, HOST, "ben")
    assert sweep(feed_shop.runtime).discoveries == 1


def test_a_discovery_may_wait_as_often_as_it_must(feed_shop, clock):
    pause(feed_shop.runtime, HOST, "why", None, "ann")
    discover(feed_shop.runtime, "papers")
    for _ in range(20):
        clock.shift(86_400)
        assert "paused" in discover(feed_shop.runtime, "papers", run_id=1).error
    unpause(feed_shop.runtime, HOST, "ben")
    assert discover(feed_shop.runtime, "papers", run_id=1).new == 1


# -- its breaker ------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(open_workshop, settings, shop):
    """Open the workshop again, with a breaker for the host."""
    text = json.loads(settings.jobs.read_text())
    text["hosts"] = {"localhost": {"rate": "1000/s", "breaker": {"after": 3, "pause": "5m", "max": "1h"}}}
    settings.jobs.write_text(json.dumps(text))
    shop.look_again()
    return shop


def ask(shop, serve, times=1):
    errors = []
    for _ in range(times):
        try:
            shop.runtime.http.fetch_now(serve.url)
        except Exception as error:  # noqa: BLE001 - which is what is looked at
            errors.append(type(error).__name__)
    return errors


def test_a_host_that_fails_in_a_row_is_paused_and_a_probe_that_is_answered_lifts_it(guarded, serve, clock):
    serve.statuses[:] = [500]
    assert ask(guarded, serve, 4) == ["SourceUnavailableError"] * 3 + ["HostPausedError"]
    held = pauses.read_pause(guarded.conn, HOST)
    assert (held.cause, held.reason) == ("breaker", "3 failures in a row: HTTP 500")
    assert held.until_at - held.since_at == 300_000
    clock.shift(300)
    sweep(guarded.runtime)
    serve.statuses[:] = [200]
    assert ask(guarded, serve) == []
    assert pauses.read_pause(guarded.conn, HOST) is None
    events = tracker.get_events(guarded.conn)[::-1]
    kinds = [event["kind"] for event in events if event["kind"].startswith("breaker")]
    assert kinds == ["breaker_opened", "breaker_probe", "breaker_closed"]


def test_of_a_paused_host_only_the_probe_is_asked_and_its_failure_doubles_the_pause(guarded, serve, clock):
    serve.statuses[:] = [500]
    ask(guarded, serve, 3)
    clock.shift(300)
    sweep(guarded.runtime)
    assert ask(guarded, serve, 3) == ["SourceUnavailableError", "HostPausedError", "HostPausedError"]
    held = pauses.read_pause(guarded.conn, HOST)
    assert (held.lifts, held.until_at) == (1, now_ms() + 600_000)
    assert len(serve.asked) == 4


def test_a_request_that_was_under_way_when_its_host_was_paused_says_nothing(guarded, serve):
    manners = guarded.runtime._manners
    held = pause(guarded.runtime, HOST, "why", None, "ann").pause
    for _ in range(5):
        manners.note_no_answer("localhost", "HTTP 500", None)
    manners.note_answer("localhost", None)
    assert pauses.read_pause(guarded.conn, HOST) == held
    unpause(guarded.runtime, HOST, "ann")
    assert ask(guarded, serve) == []


def test_a_host_that_cannot_be_reached_is_paused_too(guarded, serve):
    serve.url = "http://localhost:9/page"
    assert ask(guarded, serve, 4)[-1] == "HostPausedError"


@pytest.mark.parametrize("status", [404, 200])
def test_an_answer_ends_the_row(guarded, serve, status):
    serve.statuses[:] = [500, 500, status, 500, 500, status]
    ask(guarded, serve, 6)
    assert pauses.list_pauses(guarded.conn) == []


def test_an_answer_of_a_host_that_had_not_failed_writes_nothing_for_its_breaker(guarded, shop, serve):
    writes = []
    for _ in range(2):
        before = shop.conn.total_changes()
        ask(shop, serve)
        writes.append(shop.conn.total_changes() - before)
    assert writes == [1, 1]


def test_a_probe_whose_process_died_lets_another_out(guarded, serve, clock):
    serve.statuses[:] = [500]
    ask(guarded, serve, 3)
    clock.shift(300)
    sweep(guarded.runtime)
    assert take_host_probe(guarded.conn, "localhost") is not None
    assert take_host_probe(guarded.conn, "localhost") is None
    clock.shift(PROBE_MS // 1000)
    sweep(guarded.runtime)
    assert take_host_probe(guarded.conn, "localhost") is not None


def test_without_a_breaker_a_host_may_fail_as_often_as_it_likes(shop, serve):
    serve.statuses[:] = [500]
    assert ask(shop, serve, 12) == ["SourceUnavailableError"] * 12
