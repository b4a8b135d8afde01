from __future__ import annotations

import asyncio
import time

import pytest

from net.client import PoliteClient
from net.host_rates import HostRate
from net.manners import KnownRobots
from net.memory_manners import MemoryManners
from net.robots import GOOD_SECONDS, MAX_ROBOTS_BYTES, read_rules
from pipeline.errors import HostBusyError, SourceRejectedError, SourceUnavailableError


@pytest.fixture
def manners():
    return MemoryManners()


@pytest.fixture
def make_client(manners):
    """Make a client with manners that the test shares, and no limit but those of robots.txt."""

    def make(**more):
        usual = {"contact": None, "allow_hosts": ["127.0.0.1", "localhost"], "manners": manners}
        return PoliteClient(**usual | {"find_rate": lambda host: HostRate(host, 0.0)} | more)

    return make


@pytest.fixture
def get(make_client, httpserver):
    """Get a path of the server, heeding its robots.txt."""
    httpserver.expect_request("/page").respond_with_data("page")
    return lambda path="/page", **more: asyncio.run(
        make_client(**more).fetch(httpserver.url_for(path), robots=True)
    )


def serve(httpserver, text="", status=200, **headers):
    httpserver.expect_request("/robots.txt").respond_with_data(text, status, headers)


def paths(httpserver):
    return [request.path for request, _ in httpserver.log]


REFUSING = [
    "User-agent: *\nDisallow: /",
    "User-agent: celeriac\nDisallow: /page",
    "User-agent: other\nUser-agent: Celeriac/2.0\nDisallow: /p*e$",
    "\ufeffuser-agent: *\r\ndisallow: /page # all of it",
    "User-agent: *\nAllow: /\nUser-agent: Celeriac\nDisallow: /",
    "User-agent: *\nSitemap: https://example.org/s.xml\nDisallow: /page",
    "User-agent: Celeriac\nSitemap: https://example.org/s.xml\nUser-agent: other\nDisallow: /page",
    "User-agent: Celeriac\n# and so is\n\nUser-agent: other\nDisallow: /page",
]
LETTING = [
    "",
    "<html>not found</html>",
    "User-agent: *\nDisallow: /other",
    "User-agent: other\nDisallow: /",
    "User-agent: *\nDisallow: /\nUser-agent: Celeriac\nAllow: /",
    "User-agent: *\nDisallow: /\nAllow: /page",
    "Disallow: /",
]


@pytest.mark.parametrize("text", REFUSING)
def test_what_robots_txt_forbids_is_not_fetched(get, httpserver, text):
    serve(httpserver, text)
    with pytest.raises(SourceRejectedError, match=r"robots\.txt of .* does not let Celeriac .*robots: false"):
        get()
    assert paths(httpserver) == ["/robots.txt"]


@pytest.mark.parametrize("text", LETTING)
def test_what_robots_txt_does_not_forbid_is_fetched(get, httpserver, text):
    serve(httpserver, text)
    assert get().body == b"page"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_site_without_robots_txt_lets_everything_be_fetched(get, httpserver, status):
    serve(httpserver, status=status)
    assert get().body == b"page"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_while_robots_txt_cannot_be_had_nothing_is_fetched(get, httpserver, noon, status):
    serve(httpserver, status=status)
    for _ in range(2):
        with pytest.raises(SourceUnavailableError, match=r"/robots\.txt cannot be had") as caught:
            get()
        assert caught.value.retry_after_seconds == 600
    assert paths(httpserver) == ["/robots.txt"]


def test_who_asks_for_years_of_patience_is_asked_again_after_a_day(get, manners, httpserver):
    httpserver.expect_request("/robots.txt").respond_with_data("", 500, {"Retry-After": "99999999"})
    with pytest.raises(SourceUnavailableError):
        get()
    known = manners.recall_robots(httpserver.url_for("/")[:-1])
    assert 0 < known.good_until - time.time() <= GOOD_SECONDS


def test_a_site_without_robots_txt_is_asked_for_it_once_a_day(get, manners, httpserver):
    serve(httpserver, status=404)
    get()
    known = manners.recall_robots(httpserver.url_for("/")[:-1])
    assert known.good_until - time.time() > GOOD_SECONDS - 3600


def test_without_being_asked_to_nobody_looks_at_robots_txt(make_client, httpserver):
    httpserver.expect_request("/page").respond_with_data("page")
    make_client().fetch_now(httpserver.url_for("/page"))
    assert paths(httpserver) == ["/page"]


def test_one_fetches_robots_txt_for_all_and_for_a_day(get, make_client, manners, httpserver, noon):
    serve(httpserver, "User-agent: *\nDisallow: /other")
    get()
    get()
    assert paths(httpserver) == ["/robots.txt", "/page", "/page"]
    (origin,) = manners._robots
    assert manners.recall_robots(origin).good_until == time.time() + 86_400


def test_many_who_begin_at_once_fetch_robots_txt_once(make_client, httpserver):
    serve(httpserver)
    httpserver.expect_request("/page").respond_with_data("page")
    client = make_client()

    async def main():
        async with client.keep_connections():
            await asyncio.gather(*(client.fetch(httpserver.url_for("/page"), robots=True) for _ in range(5)))

    asyncio.run(main())
    assert paths(httpserver).count("/robots.txt") == 1


def test_a_robots_txt_that_is_no_longer_good_is_fetched_again(get, manners, httpserver):
    serve(httpserver, "User-agent: *\nDisallow: /")
    manners.keep_robots(httpserver.url_for("").rstrip("/"), KnownRobots(404, "", time.time() - 1))
    with pytest.raises(SourceRejectedError):
        get()


def test_while_its_origin_does_not_answer_the_last_one_holds(get, manners, httpserver):
    serve(httpserver, status=500)
    old = KnownRobots(200, "User-agent: *\nDisallow: /other", time.time() - 1)
    manners.keep_robots(httpserver.url_for("").rstrip("/"), old)
    assert get().body == b"page"
    with pytest.raises(SourceRejectedError):
        get("/other")


def test_robots_txt_is_fetched_where_it_redirects_to(get, httpserver):
    serve(httpserver, status=301, Location="/rules")
    httpserver.expect_request("/rules").respond_with_data("User-agent: *\nDisallow: /page")
    with pytest.raises(SourceRejectedError, match="Celeriac"):
        get()


def test_a_robots_txt_that_redirects_for_ever_is_none(get, httpserver):
    serve(httpserver, status=302, Location="/robots.txt")
    assert get().body == b"page"


def test_where_a_redirect_leads_is_for_robots_txt_to_say_too(get, httpserver):
    serve(httpserver, "User-agent: *\nDisallow: /secret")
    httpserver.expect_request("/open").respond_with_data("", 302, {"Location": "/secret"})
    with pytest.raises(SourceRejectedError, match=r"/secret: robots\.txt"):
        get("/open")


def test_of_a_robots_txt_without_end_its_beginning_counts(get, httpserver):
    filler = "# nothing\n" * (MAX_ROBOTS_BYTES // 10 + 1)
    serve(httpserver, f"User-agent: *\nDisallow: /page\n{filler}Allow: /page")
    with pytest.raises(SourceRejectedError, match="Celeriac"):
        get()


def test_a_robots_txt_of_30_000_robots_is_read_in_no_time(get, httpserver):
    names = "".join(f"User-agent: r{n}\n" for n in range(15_000))
    rules = "".join(f"Disallow: /{n}\n" for n in range(15_000))
    serve(httpserver, f"{names}User-agent: *\n{rules}")
    begun = time.process_time()
    assert get().body == b"page"
    assert time.process_time() - begun < 5


def test_a_site_may_ask_for_longer_between_two_requests(get, manners, httpserver, noon):
    serve(httpserver, "User-agent: *\nCrawl-delay: 20")
    get()
    assert manners.take_turn("localhost", 0, 100).wait_seconds == 20


def test_a_wish_for_a_year_between_two_requests_is_a_minute(get, manners, httpserver, noon):
    serve(httpserver, "User-agent: *\nCrawl-delay: 31536000")
    get()
    assert manners.take_turn("localhost", 0, 100).wait_seconds == 60


def test_who_has_no_turn_for_robots_txt_does_not_take_it_for_missing(get, manners, httpserver):
    serve(httpserver, "User-agent: *\nDisallow: /")
    manners.take_turn("localhost", 3600, 0)
    with pytest.raises(HostBusyError):
        get()
    assert manners._robots == {}


def test_wildcards_that_would_take_for_ever_do_not():
    text = "User-agent: *\nDisallow: /" + "*a" * 200 + "*b$"
    begun = time.process_time()
    assert read_rules(text).can_fetch("http://example.org/" + "a" * 2000, "Celeriac")
    assert time.process_time() - begun < 5
