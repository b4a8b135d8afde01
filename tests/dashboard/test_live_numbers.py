from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import tracker
from dashboard.house import House, Served
from dashboard.live import RENDER_SHARE, Live, _Watched
from dashboard.live_parts import Topic, render_topic
from dashboard.roles import Role
from dashboard.visitors import Visitor
from runner.runtime import Runtime
from tracker.live import read_counts
from tracker.pauses import Target, pause
from tracker.plan import StagePlan, make_plan, open_items, remember_plan

LIMIT_SECONDS = 200


@pytest.fixture
def house(settings):
    return House(settings, Served(), lambda: Runtime(settings, publisher=None))


@pytest.fixture
def rendered():
    """The topics that were rendered, in order."""
    return []


@pytest.fixture
def live(settings, house, rendered):
    def render(topic):
        rendered.append(topic)
        return render_topic(house, topic)

    return Live(settings.db_path, render)


def watch(page, subject="", role=Role.VIEWER):
    return Topic.of(page, subject, Visitor("ann", role, "session"))


async def next_message(stream, kind):
    while True:
        message = await asyncio.wait_for(anext(stream), LIMIT_SECONDS)
        if message.startswith(f"event: {kind}"):
            return json.loads(message.split("data: ", 1)[1])


async def next_counts(stream):
    return await next_message(stream, "counts")


async def next_parts(stream):
    return await next_message(stream, "parts")


def test_who_begins_to_listen_is_told_every_number_and_then_those_that_change(live, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])

    async def listen():
        stream = live.listen()
        first = await next_counts(stream)
        tracker.upsert_items(conn, "papers", [{"key": "b"}])
        then = await next_counts(stream)
        await stream.aclose()
        return first, then

    first, then = asyncio.run(listen())
    assert first["papers.pending"] == 1
    assert then == {"papers.pending": 2}


def test_twenty_who_listen_are_told_by_one_poller(live, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])

    async def listen():
        streams = [live.listen() for _ in range(20)]
        told = await asyncio.gather(*(next_counts(stream) for stream in streams))
        pollers = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_poll"]
        listeners = len(live._listeners)
        for stream in streams:
            await stream.aclose()
        return told, len(pollers), listeners

    told, pollers, listeners = asyncio.run(listen())
    assert told == [told[0]] * 20
    assert (pollers, listeners) == (1, 20)


def test_a_server_that_stops_ends_every_stream(live, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])

    async def listen():
        stream = live.listen()
        await next_counts(stream)
        live.close()
        return [message async for message in stream], [message async for message in live.listen()]

    assert asyncio.run(listen()) == ([], [])


def test_what_waits_at_a_stage_is_told_by_what_it_waits_for(conn):
    tracker.upsert_items(conn, "papers", [{"key": key} for key in "abc"])
    item_id = tracker.items.find_item(conn, "papers", "a")["item_id"]
    with tracker.write(conn):
        remember_plan(conn, "papers", make_plan(["read", "note"]))
    tracker.mark_stage_in_progress(conn, item_id, "read", ["read", "note"])
    counts = read_counts(conn)
    assert (counts["papers/read.waiting"], counts["papers/note.waiting"]) == (2, 0)
    tracker.mark_stage_done(conn, item_id, "read", ["read", "note"])
    assert read_counts(conn)["papers/note.waiting"] == 1


def test_an_item_that_has_no_stages_yet_waits_where_it_begins_when_the_stage_before_is_off(conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}, {"key": "b"}])
    item_id = tracker.items.find_item(conn, "papers", "a")["item_id"]
    plan = StagePlan(("read", "note"), {"read": (), "note": ("read",)}, frozenset({"note"}))
    with tracker.write(conn):
        open_items(conn, "papers", [item_id], plan)
    counts = read_counts(conn)
    assert (counts["papers/read.waiting"], counts["papers/note.waiting"]) == (0, 2)


def test_an_error_ends_every_stream_and_who_comes_back_is_told_every_number(live, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])

    async def listen():
        streams = [live.listen(), live.listen()]
        for stream in streams:
            await next_counts(stream)
        conn.execute("ALTER TABLE item_counts RENAME TO lost")
        left = [await asyncio.wait_for(anext(stream, None), LIMIT_SECONDS) for stream in streams]
        conn.execute("ALTER TABLE lost RENAME TO item_counts")
        again = live.listen()
        told = await next_counts(again)
        await again.aclose()
        return left, told

    left, told = asyncio.run(listen())
    assert left == [None, None]
    assert told["papers.pending"] == 1


# -- the parts of pages -----------------------------------------------------------------------------------


def test_a_card_is_sent_anew_when_its_job_stands_otherwise_and_those_of_others_are_not(live, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    tracker.upsert_items(conn, "talks", [{"key": "t"}])

    async def listen():
        stream = live.listen(watch("overview"))
        first = await next_parts(stream)
        tracker.pause_job(conn, "papers", "the site is down", by="ann")
        then = await next_parts(stream)
        await stream.aclose()
        return first, then

    first, then = asyncio.run(listen())
    assert set(first) == {"head", "card-papers", "card-talks", "order"}
    assert "the site is down" not in first["card-papers"]
    assert "the site is down" in then["card-papers"]
    assert 'data-stand="paused"' in then["card-papers"]
    assert "card-talks" not in then


def test_a_pause_of_everything_is_shown_above_the_cards(live, conn):
    async def listen():
        stream = live.listen(watch("overview"))
        await next_parts(stream)
        pause(conn, Target.everything(), "disk <full>", by="ann")
        then = await next_parts(stream)
        await stream.aclose()
        return then

    assert "disk &lt;full&gt;" in asyncio.run(listen())["head"]


@pytest.mark.parametrize(
    ("topic", "parts"),
    [
        (watch("job", "papers"), {"head", "figures", "pipeline"}),
        (watch("job", "nobody's"), set()),
        (watch("events", "job=papers&kind=wake"), {"events"}),
        (watch("workers"), {"workers"}),
    ],
)
def test_each_page_that_is_watched_has_the_parts_that_its_page_has(house, conn, visit, topic, parts):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    rendered = render_topic(house, topic)
    assert set(rendered) == parts
    address = {"job": f"/jobs/{topic.subject}", "events": f"/events?{topic.subject}", "workers": "/workers"}
    page = visit().get(address[topic.page]).text
    for name, html in rendered.items():
        assert f'data-part="{name}"' in html
        assert f'data-part="{name}"' in page


def test_what_nobody_changed_is_the_same_however_late_it_is(house, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    tracker.log_event(conn, "papers", "wake", by="ann")
    topics = [watch("overview"), watch("job", "papers"), watch("events"), watch("workers")]
    now = [render_topic(house, topic) for topic in topics]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=20)):
        assert [render_topic(house, topic) for topic in topics] == now


def test_twenty_who_see_the_same_have_it_rendered_once_and_those_who_may_more_by_themselves(
    live, conn, rendered
):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])

    async def listen():
        streams = [live.listen(watch("overview")) for _ in range(20)]
        streams.append(live.listen(watch("overview", role=Role.OPERATOR)))
        told = await asyncio.gather(*(next_parts(stream) for stream in streams))
        for stream in streams:
            await stream.aclose()
        return told

    *alike, other = asyncio.run(listen())
    assert alike == [alike[0]] * 20
    assert [topic.role for topic in rendered] == [Role.VIEWER, Role.OPERATOR]
    assert "Pause everything" in other["head"]
    assert "Pause everything" not in alike[0]["head"]


def test_who_comes_back_is_told_how_things_are_by_now(live, conn, rendered):
    async def listen():
        one = live.listen(watch("workers"))
        first = await next_parts(one)
        other = live.listen(watch("workers"))
        again = await next_parts(other)
        await one.aclose()
        await other.aclose()
        return first, again

    first, again = asyncio.run(listen())
    assert first == again
    assert len(rendered) == 1


def test_a_page_that_cannot_be_rendered_does_not_stop_the_numbers(settings, conn):
    def render(topic):
        raise ValueError(topic)

    live = Live(settings.db_path, render)

    async def listen():
        stream = live.listen(watch("overview"))
        await next_counts(stream)
        tracker.upsert_items(conn, "papers", [{"key": "a"}])
        then = await next_counts(stream)
        await stream.aclose()
        return then

    assert asyncio.run(listen())["papers.pending"] == 1


def test_rendering_takes_no_more_than_its_share_of_the_time():
    watched = _Watched()
    assert watched.is_due(1000.0)
    watched.note_rendered(1000.0, 1000.5)
    watched.is_stale = True
    assert not watched.is_due(1000.0 + 0.5 * RENDER_SHARE - 0.1)
    assert watched.is_due(1000.0 + 0.5 * RENDER_SHARE)
    watched.note_rendered(2000.0, 2000.01)
    watched.is_stale = True
    assert not watched.is_due(2000.9)
    assert watched.is_due(2001.0)
