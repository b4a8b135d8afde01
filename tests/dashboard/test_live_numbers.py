from __future__ import annotations

import asyncio
import json

import pytest

import tracker
from dashboard.live import Live
from tracker.live import read_counts
from tracker.plan import make_plan, remember_plan

LIMIT_SECONDS = 10


@pytest.fixture
def live(settings):
    return Live(settings.db_path)


async def next_counts(stream):
    while True:
        message = await asyncio.wait_for(anext(stream), LIMIT_SECONDS)
        if message.startswith("event: counts"):
            return json.loads(message.split("data: ", 1)[1])


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
        listeners = live.listeners
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
