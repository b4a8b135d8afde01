"""Requests wait for their turn at a host, and what hosts answer counts for all."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from werkzeug import Response

from net.client import PoliteClient
from net.host_rates import HostRate
from net.manners import Turn
from net.memory_manners import MemoryManners
from pipeline.errors import HostBusyError, SourceRejectedError, SourceUnavailableError
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
INTERVAL_SECONDS = 0.05


@pytest.fixture
def manners():
    return MemoryManners()


@pytest.fixture
def make_client(manners):
    """Make a client that asks every host 20 times a second, with manners that the test shares."""

    def make(**more):
        usual = {
            "contact": None,
            "allow_hosts": ["127.0.0.0/8", "localhost"],
            "manners": manners,
            "find_rate": lambda host: HostRate(host, INTERVAL_SECONDS),
        }
        return PoliteClient(**usual | more)

    return make


@pytest.fixture
def arrivals(httpserver):
    """Answer everything with "ok", and list when each request came."""
    came = []

    def answer(request):
        came.append(time.monotonic())
        return Response("ok")

    httpserver.expect_request("/").respond_with_handler(answer)
    return came


def test_one_hosts_requests_go_one_interval_apart(make_client, httpserver, arrivals):
    client = make_client()

    async def main():
        async with client.keep_connections():
            await asyncio.gather(*(client.fetch(httpserver.url_for("/")) for _ in range(8)))

    begun = time.monotonic()
    asyncio.run(main())
    assert len(arrivals) == 8
    assert all(came - begun >= turn * INTERVAL_SECONDS for turn, came in enumerate(arrivals))


FIRST_REQUEST = """
import sys
from net.client import PoliteClient
from net.memory_manners import MemoryManners

class Noting(MemoryManners):
    def take_turn(self, *asked):
        before.update(sys.modules)
        return super().take_turn(*asked)

before = set()
client = PoliteClient(contact="ops@example.org", allow_hosts=["127.0.0.1", "localhost"], manners=Noting())
print(client.fetch_now(sys.argv[1]).status)
print([name for name in sys.modules.keys() - before if name.partition(".")[0] not in sys.stdlib_module_names])
"""


def test_a_processs_first_request_follows_its_turn_at_once(httpserver):
    httpserver.expect_request("/").respond_with_data("ok")
    command = [sys.executable, "-c", FIRST_REQUEST, httpserver.url_for("/")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["200", "[]"]  # no library is loaded in between


def test_without_manners_nobody_waits(make_client, httpserver, arrivals):
    client = make_client(manners=None, find_rate=lambda host: HostRate(host, 1000.0))

    async def main():
        await asyncio.gather(*(client.fetch(httpserver.url_for("/")) for _ in range(8)))

    asyncio.run(main())
    assert len(arrivals) == 8


def test_every_hop_of_a_redirect_takes_a_turn_at_its_host(make_client, httpserver):
    class Noting(MemoryManners):
        def take_turn(self, host, *asked):
            turns.append((host, *asked))
            return super().take_turn(host, *asked)

    turns = []
    elsewhere = f"http://127.0.0.1:{httpserver.port}/there"
    for path, target in {"/": elsewhere, "/there": "/end"}.items():
        httpserver.expect_request(path).respond_with_data("", 302, {"Location": target})
    httpserver.expect_request("/end").respond_with_data("")
    client = make_client(manners=Noting(), patience_seconds=9)
    client.fetch_now(f"http://localhost:{httpserver.port}/")
    assert turns == [(host, INTERVAL_SECONDS, 9) for host in ("localhost", "127.0.0.1", "127.0.0.1")]


def test_waiting_for_a_turn_takes_none_of_the_time_for_the_answer(make_client, manners, httpserver, arrivals):
    manners.take_turn("localhost", 3.1, 0)
    make_client(total_seconds=3.0).fetch_now(httpserver.url_for("/"))
    assert len(arrivals) == 1


def test_the_time_for_the_answer_is_counted_over_all_hops(make_client, httpserver):
    begun = []

    def answer(request):
        begun.append(request)
        time.sleep(0.1)
        return Response("", 302, {"Location": f"/{len(begun)}"})

    httpserver.expect_request(re.compile("/.*")).respond_with_handler(answer)
    with pytest.raises(SourceUnavailableError, match=r"took over 0\.4 seconds"):
        make_client(total_seconds=0.4, max_redirects=9).fetch_now(httpserver.url_for("/"))
    wait_until(lambda: len(httpserver.log) == len(begun))  # the server is still at it


def test_a_turn_beyond_the_patience_is_not_waited_for(make_client, manners, httpserver, arrivals, noon):
    manners.take_turn("localhost", 3600, 0)
    with pytest.raises(
        HostBusyError, match=r"localhost is asked again in 1 h: others are before us"
    ) as caught:
        make_client(patience_seconds=5).fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds == 3600
    assert arrivals == []


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "120"}, 120),
        (503, {"Retry-After": "120"}, 120),
        (429, {}, 60),
        (503, {"Retry-After": "soon"}, 60),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "90"}, 90),
        (403, {"Retry-After": "30"}, 30),
    ],
)
def test_a_host_that_asks_to_slow_down_is_left_alone_by_all(
    make_client, httpserver, noon, status, headers, wait
):
    httpserver.expect_request("/").respond_with_data("", status, headers)
    with pytest.raises(SourceUnavailableError, match=str(status)) as caught:
        make_client().fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds == wait
    with pytest.raises(HostBusyError, match="it asked to slow down") as caught:
        make_client().fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds == wait
    assert len(httpserver.log) == 1


def test_an_instant_to_come_back_at_is_read_as_a_wait(make_client, httpserver, noon):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 90)}
    httpserver.expect_request("/").respond_with_data("", 429, headers)
    with pytest.raises(SourceUnavailableError) as caught:
        make_client().fetch_now(httpserver.url_for("/"))
    assert caught.value.retry_after_seconds == 90


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_host_that_fails_otherwise_is_not_slowed(make_client, manners, httpserver, status):
    httpserver.expect_request("/").respond_with_data("", status)
    with pytest.raises(SourceUnavailableError):
        make_client().fetch_now(httpserver.url_for("/"))
    assert not manners.is_slowed("localhost")


def test_a_plain_403_is_a_refusal_and_slows_nobody(make_client, manners, httpserver):
    httpserver.expect_request("/").respond_with_data("", 403, {"X-RateLimit-Remaining": "7"})
    with pytest.raises(SourceRejectedError):
        make_client().fetch_now(httpserver.url_for("/"))
    assert not manners.is_slowed("localhost")


def test_a_good_answer_ends_the_row_of_bad_ones(make_client, manners, httpserver, arrivals):
    manners.slow_host("localhost", 1, "429", 0)
    client = make_client(patience_seconds=5)
    client.fetch_now(httpserver.url_for("/"))
    assert manners.take_turn("localhost", 0, 10).throttles == 0


def test_an_answer_that_is_no_good_one_does_not_end_the_row_of_bad_ones(make_client, httpserver):
    clock = [0.0]
    manners = MemoryManners(lambda: clock[0])
    manners.slow_host("localhost", None, "429", 0)
    clock[0] = 1e6
    httpserver.expect_request("/").respond_with_data("", 404)
    with pytest.raises(SourceRejectedError):
        make_client(manners=manners).fetch_now(httpserver.url_for("/"))
    assert manners.take_turn("localhost", 0, 10).throttles == 1


class SlowedMeanwhile(MemoryManners):
    """Each time that somebody has waited for a turn at a host, it has asked to slow down."""

    def __init__(self):
        super().__init__()
        self.patience = []

    def take_turn(self, host, interval_seconds, patience_seconds):  # noqa: ARG002 - the manners' contract
        self.patience.append(patience_seconds)
        assert len(self.patience) < 50
        return Turn(0.01, granted=patience_seconds >= 0.01)

    def is_slowed(self, host):  # noqa: ARG002 - as above
        return True


def test_who_has_waited_in_vain_has_less_patience_left(make_client, httpserver, arrivals):
    manners = SlowedMeanwhile()
    with pytest.raises(HostBusyError):
        make_client(manners=manners, patience_seconds=0.045).fetch_now(httpserver.url_for("/"))
    assert manners.patience == pytest.approx([0.045, 0.035, 0.025, 0.015, 0.005])
    assert arrivals == []


def test_who_waits_for_a_turn_while_the_host_asks_to_slow_down_does_not_ask_it(
    make_client, manners, httpserver
):
    httpserver.expect_request("/").respond_with_data("", 429, {"Retry-After": "60"})
    client = make_client(find_rate=lambda host: HostRate(host, 0.3))

    async def main():
        asked = [client.fetch(httpserver.url_for("/")) for _ in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    kinds = [type(answer) for answer in asyncio.run(main())]
    assert kinds == [SourceUnavailableError] + [HostBusyError] * 4
    assert len(httpserver.log) == 1
