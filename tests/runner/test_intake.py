"""What a job lets in: its own keys, its age limit, its caps, and nothing while too much waits."""

from __future__ import annotations

import pytest
import time_machine
from werkzeug import Response
from workshop import job, step

import tracker
from discovery.base import FoundItem
from runner import operate
from runner.discover import discover
from tracker.held import count_held
from tracker.runs import find_last_run, list_runs

NOON = "2026-03-01T12:00:00Z"

PAGED = '''
from discovery.base import BaseDiscovery, FoundItem

pages, asked = [], []

class Paged(BaseDiscovery):
    """Hands over page by page, each with the number of the next; a page may be an error to raise."""
    async def discover(self):
        async with self.looking():
            at = self.recall("pages").cursor or 0
            while at < len(pages):
                asked.append(at)
                page, at = pages[at], at + 1
                if isinstance(page, BaseException):
                    raise page
                await self.hand_over(
                    [FoundItem(key) for key in page], source="pages", cursor=at if at < len(pages) else None
                )
        return self.kept
'''


@pytest.fixture
def paged(tmp_path, plugins):
    """Write a strategy that pages, and give its module."""
    exec(compile(PAGED, "paged", "exec"), vars(plugins))  # noqa: S102 - our own text
    return plugins


def finding(shop, *items):
    shop.plugins.find = lambda: [FoundItem(each) if isinstance(each, str) else each for each in items]


def keys_of(shop):
    return [row[0] for row in shop.conn.execute("SELECT key FROM work_items ORDER BY item_id")]


def open_with(open_workshop, **terms):
    return open_workshop(papers=job(step("fetch"), **terms))


# -- keys -------------------------------------------------------------------------------------------------


def test_a_job_makes_keys_of_its_own_by_a_template(open_workshop):
    shop = open_with(open_workshop, key="{{ data.cik }}-{{ key | lower }}")
    finding(shop, FoundItem("A", {"cik": 7}), FoundItem("B", {"cik": 8}))
    discover(shop.runtime, "papers")
    assert keys_of(shop) == ["7-a", "8-b"]


def test_addresses_may_be_made_one_in_a_key(open_workshop):
    shop = open_with(open_workshop, key="{{ canonical_url(data.url) }}")
    finding(shop, *(FoundItem(n, {"url": url}) for n, url in enumerate_urls()))
    assert discover(shop.runtime, "papers").new == 1
    assert keys_of(shop) == ["https://example.org/a"]


def enumerate_urls():
    return [("1", "https://example.org/a#top"), ("2", "HTTPS://EXAMPLE.org:443/a?utm_source=x")]


def test_an_item_of_which_no_key_can_be_made_is_refused_and_told_once(open_workshop):
    shop = open_with(open_workshop, key="{{ data.cik }}")
    finding(shop, "a", "b", FoundItem("c", {"cik": " "}), FoundItem("d", {"cik": 1}))
    ended = discover(shop.runtime, "papers")
    assert (ended.new, ended.refused) == (1, 3)
    (event,) = shop.events("discover")
    assert event["detail"]["refused"] == {"the key template cannot be applied": 2, "no key": 1}
    assert event["detail"]["problems"] == [
        "the key template cannot be applied to 'a': UndefinedError: 'dict object' has no attribute 'cik'"
    ]


# -- age --------------------------------------------------------------------------------------------------


def test_what_is_older_than_since_is_left_out_and_what_has_no_date_stays(open_workshop):
    shop = open_with(open_workshop, since="30d")
    dates = {
        "new": "2026-02-27T00:00:00+00:00", "old": "2026-01-01T00:00:00+00:00", "edge": "2026-01-30T12:00:00",
        "odd": "soon", "none": None,
    }  # fmt: skip
    finding(shop, *(FoundItem(key, {"published_at": at}) for key, at in dates.items()), FoundItem("no date"))
    with time_machine.travel(NOON, tick=False):
        ended = discover(shop.runtime, "papers")
    assert keys_of(shop) == ["new", "edge", "odd", "none", "no date"]
    assert ended.refused == 1


def test_a_modified_time_counts_where_there_is_no_published_one(open_workshop):
    shop = open_with(open_workshop, since="2026-01-01")
    finding(
        shop,
        FoundItem("a", {"modified_at": "2025-12-31T23:59:59Z"}),
        FoundItem("b", {"modified_at": "2026-01-01"}),
    )
    discover(shop.runtime, "papers")
    assert keys_of(shop) == ["b"]


FEED = """<rss version="2.0"><channel><title>t</title>
<item><guid>urn:old</guid><link>https://example.org/old</link><pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate></item>
<item><guid>urn:new</guid><link>https://example.org/new</link><pubDate>Fri, 27 Feb 2026 00:00:00 GMT</pubDate></item>
</channel></rss>"""

SITEMAP = """<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>https://example.org/old</loc><lastmod>2026-01-01</lastmod></url>
<url><loc>https://example.org/new</loc><lastmod>2026-02-27</lastmod></url>
</urlset>"""


@pytest.mark.parametrize(
    ("strategy", "body", "params"),
    [
        ("rss_feeds", FEED, lambda url: {"feeds": [url]}),
        ("sitemap", SITEMAP, lambda url: {"url": url}),
    ],
)
def test_an_earlier_since_finds_what_was_too_old_though_the_source_is_as_it_was(
    open_workshop, httpserver, strategy, body, params
):
    def answer(request):
        if request.headers.get("If-None-Match") == '"v1"':
            return Response(status=304)
        return Response(body, headers={"ETag": '"v1"'}, content_type="application/xml")

    httpserver.expect_request("/x").respond_with_handler(answer)
    look = {"strategy": strategy, **params(httpserver.url_for("/x"))}
    for since, statuses in [("2026-02-01", [200, 304]), ("100000h", [200, 304])]:
        shop = open_workshop(papers=job(step("fetch"), since=since) | {"discovery": look})
        httpserver.clear_log()
        for _ in range(len(statuses)):
            discover(shop.runtime, "papers")
        assert [reply.status_code for _, reply in httpserver.log] == statuses
    assert len(keys_of(shop)) == 2


# -- changes ----------------------------------------------------------------------------------------------


def test_where_a_source_says_nothing_of_changes_its_data_does(open_workshop):
    shop = open_with(open_workshop, on_change="reprocess")
    finding(shop, FoundItem("a", {"n": 1}))
    discover(shop.runtime, "papers")
    shop.work()
    assert discover(shop.runtime, "papers").changed == 0
    finding(shop, FoundItem("a", {"n": 2}))
    assert discover(shop.runtime, "papers").changed == 1
    shop.work()
    assert [key for _, key in shop.plugins.seen] == ["a", "a"]


def test_a_change_is_sent_ahead_of_what_waits(open_workshop):
    shop = open_with(open_workshop, on_change="reprocess")
    finding(shop, FoundItem("a", {}, version="1"))
    discover(shop.runtime, "papers")
    shop.work()
    shop.add("b")
    finding(shop, FoundItem("a", {}, version="2"))
    discover(shop.runtime, "papers")
    assert shop.sent[-2:] == [("a", "fetch"), ("b", "fetch")]


# -- caps -------------------------------------------------------------------------------------------------


def test_the_first_look_lets_in_two_hundred_and_holds_the_rest(shop):
    finding(shop, *(f"k{n}" for n in range(250)))
    ended = discover(shop.runtime, "papers")
    assert (ended.found, ended.new, ended.held) == (250, 200, 50)
    assert shop.events("discover")[0]["detail"]["held"] == 50


def test_later_looks_let_in_what_comes_up_to_max_items(open_workshop):
    shop = open_with(open_workshop, first_run_max=1, max_items=2)
    finding(shop, "a", "b")
    discover(shop.runtime, "papers")
    finding(shop, "a", "b", "c", "d", "e")
    ended = discover(shop.runtime, "papers")
    assert (keys_of(shop), ended.held) == (["a", "c", "d"], 1)


def test_a_look_that_failed_was_not_the_first(open_workshop):
    shop = open_with(open_workshop, first_run_max=1)
    shop.plugins.find = lambda: None
    assert discover(shop.runtime, "papers").error
    finding(shop, "a", "b")
    assert discover(shop.runtime, "papers").held == 1


def test_a_surge_is_held_to_ten_times_the_usual(open_workshop):
    shop = open_with(open_workshop, first_run_max=5)
    for look in range(6):
        finding(shop, *(f"{look}-{n}" for n in range(2)))
        assert discover(shop.runtime, "papers").held == 0
    finding(shop, *(f"wild-{n}" for n in range(50)))
    ended = discover(shop.runtime, "papers")
    assert (ended.new, ended.held) == (20, 30)


def test_without_a_first_run_max_nothing_is_held(open_workshop):
    shop = open_with(open_workshop, first_run_max=None)
    for look in range(6):
        finding(shop, f"{look}")
        discover(shop.runtime, "papers")
    finding(shop, *(f"wild-{n}" for n in range(500)))
    assert discover(shop.runtime, "papers").new == 500


def test_approved_items_are_let_in_and_sent(open_workshop):
    shop = open_with(open_workshop, first_run_max=1)
    finding(shop, "a", "b", "c")
    discover(shop.runtime, "papers")
    assert operate.approve(shop.runtime, "papers", "me", limit=1).items == 1
    assert shop.sent[-1] == ("b", "fetch")
    assert operate.approve(shop.runtime, "papers", "me").items == 1
    assert count_held(shop.conn, "papers") == 0


def test_dismissed_items_are_known_and_not_sent(open_workshop):
    shop = open_with(open_workshop, first_run_max=1)
    finding(shop, "a", "b", "c")
    discover(shop.runtime, "papers")
    assert operate.dismiss(shop.runtime, "papers", "me").items == 2
    assert discover(shop.runtime, "papers").new == 0
    assert shop.sent == [("a", "fetch")]


# -- backpressure -----------------------------------------------------------------------------------------


def test_while_too_much_waits_looking_is_left_out_with_the_reason(open_workshop):
    shop = open_with(open_workshop, max_waiting=2)
    shop.add("a", "b", "c")
    finding(shop, "d")
    ended = discover(shop.runtime, "papers")
    assert ended.skipped == "3 items wait, over max_waiting 2"
    report = find_last_run(shop.conn, "papers")
    assert (report.outcome, report.error) == ("skipped", ended.skipped)
    assert shop.events("discover_skipped")[0]["detail"] == {"reason": ended.skipped}


def test_a_job_looks_again_when_enough_is_done(open_workshop):
    shop = open_with(open_workshop, max_waiting=2)
    shop.run("a", "b", "c")
    finding(shop, "d")
    assert discover(shop.runtime, "papers").new == 1


def test_a_slot_that_was_left_out_is_not_looked_at_twice(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), schedule="@daily", max_waiting=1))
    shop.add("a", "b")
    with time_machine.travel(NOON, tick=False):
        assert discover(shop.runtime, "papers", scheduled=True).skipped
        assert discover(shop.runtime, "papers", scheduled=True) is None


# -- page by page -----------------------------------------------------------------------------------------


def test_a_crash_in_the_middle_resumes_at_the_cursor(open_workshop, paged):
    shop = open_workshop(papers=job(step("fetch"), strategy="Paged"))
    paged.pages[:] = [["a"], ["b"], KeyboardInterrupt(), ["d"]]
    with time_machine.travel(NOON, tick=False) as clock:
        with pytest.raises(KeyboardInterrupt):
            discover(shop.runtime, "papers")
        assert keys_of(shop) == ["a", "b"]
        paged.pages[2] = ["c"]
        clock.shift(61)
        run = find_last_run(shop.conn, "papers")
        ended = discover(shop.runtime, "papers", run_id=run.run_id)
    assert keys_of(shop) == ["a", "b", "c", "d"]
    assert paged.asked == [0, 1, 2, 2, 3]
    assert (ended.found, ended.new) == (4, 4)
    paged.asked.clear()
    discover(shop.runtime, "papers")
    assert paged.asked == [0, 1, 2, 3]


def test_the_cap_of_a_first_look_holds_over_its_attempts(open_workshop, paged):
    shop = open_workshop(papers=job(step("fetch"), strategy="Paged", first_run_max=2))
    paged.pages[:] = [["a"], KeyboardInterrupt(), ["c"], ["d"]]
    with time_machine.travel(NOON, tick=False) as clock:
        with pytest.raises(KeyboardInterrupt):
            discover(shop.runtime, "papers")
        paged.pages[1] = ["b"]
        clock.shift(61)
        ended = discover(shop.runtime, "papers", run_id=find_last_run(shop.conn, "papers").run_id)
    assert (keys_of(shop), ended.new, ended.held) == (["a", "b"], 2, 2)


def test_what_was_handed_over_before_an_error_stays(open_workshop, paged):
    shop = open_workshop(papers=job(step("fetch"), strategy="Paged"))
    paged.pages[:] = [["a"], ValueError("odd")]
    ended = discover(shop.runtime, "papers")
    assert (ended.new, ended.error) == (1, "ValueError: odd")
    assert list_runs(shop.conn, "papers")[0].new == 1
    assert tracker.get_pending_count(shop.conn, "papers") == 1


def test_a_run_that_another_process_took_up_goes_no_further(open_workshop, paged):
    shop = open_workshop(papers=job(step("fetch"), strategy="Paged"))

    class Overtaking(list):
        def __iter__(self):
            shop.conn.execute("UPDATE discovery_runs SET attempt = attempt + 1")
            return super().__iter__()

    paged.pages[:] = [["a"], Overtaking(["b"]), ["c"]]
    assert discover(shop.runtime, "papers") is None
    assert keys_of(shop) == ["a"]
    assert find_last_run(shop.conn, "papers").outcome is None
