"""A trial shows what a strategy finds, and stores nothing."""

from __future__ import annotations

import hashlib
import sys
from contextlib import contextmanager

import pytest
from workshop import job, step

from discovery.base import FoundItem
from pipeline.catalog import load
from pipeline.errors import NotFoundError, SourceRejectedError, SourceUnavailableError
from runner import trial
from runner.context import RunContext
from runner.discover import discover
from runner.given_params import InvalidParamsError, LackingError
from runner.runtime import Runtime

TRIAL_PLUGINS = '''
from pydantic import Field, SecretStr
from discovery.base import BaseDiscovery, FoundItem, StrategyParams

pages, breaks_at = [], [99]

class Paged(BaseDiscovery):
    """Hands over two items a page, and remembers the page."""
    async def discover(self):
        async with self.looking():
            for page in range(self.recall("p").cursor or 0, 10):
                pages.append(page)
                if page == breaks_at[0]:
                    raise KeyError("short_id")
                items = [FoundItem(f"{page}-{n}", {"n": n}) for n in range(2)]
                await self.hand_over([*items, {"key": ""}], source="p", cursor=page + 1)
        return self.kept

class Keyed(BaseDiscovery):
    """Needs a key."""
    class Params(StrategyParams):
        limit: int = Field(5, le=10, description="How many.")
        api_key: SecretStr = Field(description="The key.")
    from_environment = {"api_key": "TRIAL_TEST_KEY"}
    async def fetch_items(self):
        key = self.params.api_key.get_secret_value()
        return [FoundItem(str(n), {"key_length": len(key)}) for n in range(self.params.limit)]

class Fetching(BaseDiscovery):
    """Asks its source once."""
    obeys_robots = False
    class Params(StrategyParams):
        url: str = Field(description="Where.")
    async def fetch_items(self):
        fetched = await self.fetch_if_changed(self.params.url)
        return [] if fetched is None else [FoundItem(each) for each in fetched.json()]
'''


@pytest.fixture
def strategies(plugins, tmp_path, monkeypatch):
    (tmp_path / "plugins" / "trial_plugins.py").write_text(TRIAL_PLUGINS)
    import trial_plugins

    yield trial_plugins
    del sys.modules["trial_plugins"]
    load.cache_clear()


@pytest.fixture
def paged(open_workshop, strategies):
    shop = open_workshop(papers={**job(step("fetch")), "discovery": {"strategy": "trial_plugins:Paged"}})
    shop.pages = strategies.pages
    return shop


@contextmanager
def dry(runtime):
    other = Runtime(runtime.settings, None, run=RunContext(mode="dry_run"))
    try:
        yield other
    finally:
        other.close()


def try_job(runtime, *asked):
    with dry(runtime) as other:
        return trial.try_job(other, *asked)


def try_strategy(runtime, *asked):
    with dry(runtime) as other:
        return trial.try_strategy(other, *asked)


def states(tried):
    return {item.key: item.state for item in tried.items}


def digest(shop):
    return hashlib.sha256(shop.runtime.settings.db_path.read_bytes()).hexdigest()


# -- of a strategy ----------------------------------------------------------------------------------------


def test_a_strategy_is_tried_without_a_job(shop):
    tried = try_strategy(
        shop.runtime, "manual", {"items": ["a", {"key": "b", "data": {"n": 1}, "priority": 3}]}, 20
    )
    assert [(item.key, item.data, item.priority, item.state) for item in tried.items] == [
        ("a", {}, None, None),
        ("b", {"n": 1}, 3, None),
    ]
    assert (tried.found, tried.stopped, tried.error) == (2, False, None)


def test_a_trial_ends_when_it_has_found_enough(paged):
    tried = try_strategy(paged.runtime, "trial_plugins:Paged", {}, 3)
    assert [item.key for item in tried.items] == ["0-0", "0-1", "1-0"]
    assert (tried.found, tried.stopped, paged.pages) == (4, True, [0, 1])
    assert {item.source for item in tried.items} == {"p"}


def test_a_trial_shows_what_was_refused_and_why(paged):
    assert try_strategy(paged.runtime, "trial_plugins:Paged", {}, 3).refused == {"no key": 2}


def test_a_trial_needs_neither_a_tracker_nor_a_jobs_file(shop):
    shop.runtime.close()
    shop.runtime.settings.db_path.unlink()
    shop.runtime.settings.jobs.unlink()
    assert try_strategy(shop.runtime, "manual", {"items": ["a"]}, 20).found == 1
    assert not shop.runtime.settings.db_path.exists()


def test_every_mistake_in_the_parameters_is_named_at_once(shop):
    with pytest.raises(InvalidParamsError) as caught:
        try_strategy(shop.runtime, "hacker_news", {"list": "bset", "limt": 3}, 20)
    message = str(caught.value)
    assert "list: 'bset' is not allowed (allowed: 'top', 'new'" in message
    assert "unknown key 'limt'; did you mean 'limit'?" in message


def test_an_unknown_strategy_is_answered_with_the_nearest(shop):
    with pytest.raises(InvalidParamsError, match=r"^no strategy named 'rss_feed'; did you mean 'rss_feeds'"):
        try_strategy(shop.runtime, "rss_feed", {}, 20)


def test_a_variable_that_is_not_set_is_what_this_machine_lacks(shop, strategies):
    with pytest.raises(LackingError, match="'TRIAL_TEST_KEY' is not set"):
        try_strategy(shop.runtime, "trial_plugins:Keyed", {}, 20)


def test_a_parameter_may_come_from_the_environment(shop, strategies, monkeypatch):
    monkeypatch.setenv("TRIAL_TEST_KEY", "secret")
    monkeypatch.setenv("TRIAL_TEST_LIMIT", "2")
    tried = try_strategy(shop.runtime, "trial_plugins:Keyed", {"limit": "${TRIAL_TEST_LIMIT}"}, 20)
    assert [item.data for item in tried.items] == [{"key_length": 6}] * 2


def test_each_field_tells_its_types_how_often_it_is_filled_and_an_example(shop):
    data = [
        {"title": "", "n": 0},
        {"title": "One", "n": 1.5, "tags": ["x"]},
        {"title": None, "is": True, "at": {}},
    ]
    items = [{"key": str(number), "data": each} for number, each in enumerate(data)]
    fields = try_strategy(shop.runtime, "manual", {"items": items}, 20).fields
    assert [(one.name, one.types, one.filled, one.example) for one in fields] == [
        ("title", ("text", "null"), 1, "One"),
        ("n", ("whole number", "number"), 2, 0),
        ("tags", ("list",), 1, ["x"]),
        ("is", ("true or false",), 1, True),
        ("at", ("mapping",), 0, None),
    ]


# -- what goes wrong --------------------------------------------------------------------------------------


def raising(error):
    def find():
        raise error

    return find


def test_a_source_that_is_away_is_told_with_the_wait_it_asks_for(shop):
    shop.plugins.find = raising(SourceUnavailableError("busy", 30.0))
    tried = try_job(shop.runtime, "papers", 20)
    assert (tried.error, tried.unavailable, tried.retry_after_seconds) == ("busy", True, 30.0)


def test_a_source_that_refuses_is_not_away(shop):
    shop.plugins.find = raising(SourceRejectedError("gone"))
    tried = try_job(shop.runtime, "papers", 20)
    assert (tried.error, tried.unavailable, tried.trace) == ("gone", False, None)


def test_a_strategy_that_breaks_shows_where_and_what_it_had_found(paged, strategies, monkeypatch):
    monkeypatch.setattr(strategies, "breaks_at", [1])
    tried = try_strategy(paged.runtime, "trial_plugins:Paged", {}, 20)
    assert tried.error == "KeyError: 'short_id'"
    assert "trial_plugins.py" in tried.trace
    assert [item.key for item in tried.items] == ["0-0", "0-1"]


def test_a_strategy_that_returns_no_list_is_told_so(shop):
    shop.plugins.find = lambda: 7
    assert "return a list of items" in try_job(shop.runtime, "papers", 20).error


def test_whoever_is_stopped_stops(shop):
    shop.plugins.find = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        try_job(shop.runtime, "papers", 20)


# -- of a job ---------------------------------------------------------------------------------------------


def test_a_job_is_shown_what_is_new_known_changed_and_held(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), first_run_max=3))
    shop.plugins.find = lambda: [FoundItem(key, {}, version="1") for key in "abcd"]
    assert discover(shop.runtime, "papers").held == 1
    shop.plugins.find = lambda: [
        FoundItem("a", {}, version="1"),
        FoundItem("b", {}, version="2"),
        FoundItem("c", {}),
        FoundItem("d", {}, version="1"),
        FoundItem("e", {}, version="1"),
    ]
    tried = try_job(shop.runtime, "papers", 20)
    assert states(tried) == {"a": "known", "b": "changed", "c": "known", "d": "held", "e": "new"}


def test_a_trial_leaves_the_tracker_as_it_is(paged):
    discover(paged.runtime, "papers")
    paged.runtime.close()
    before = digest(paged)
    assert try_job(paged.runtime, "papers", 2).error is None
    paged.runtime.close()
    assert digest(paged) == before


def test_a_trial_that_goes_over_the_network_leaves_the_tracker_as_it_is(
    open_workshop, strategies, httpserver
):
    httpserver.expect_request("/list").respond_with_json(["a", "b"], headers={"ETag": '"1"'})
    found_by = {"strategy": "trial_plugins:Fetching", "url": httpserver.url_for("/list")}
    shop = open_workshop(papers={**job(step("fetch")), "discovery": found_by})
    discover(shop.runtime, "papers")
    shop.runtime.close()
    before = digest(shop)
    tried = try_job(shop.runtime, "papers", 20)
    shop.runtime.close()
    assert (states(tried), tried.requests) == ({"a": "known", "b": "known"}, 1)
    assert digest(shop) == before


def test_without_a_tracker_all_is_new_and_none_is_made(paged):
    paged.runtime.close()
    paged.runtime.settings.db_path.unlink()
    assert states(try_job(paged.runtime, "papers", 2)) == {"0-0": "new", "0-1": "new"}
    assert list(paged.runtime.settings.data.glob("tracker.db*")) == []


def test_a_trial_goes_on_where_the_last_discovery_ended(paged, strategies, monkeypatch):
    monkeypatch.setattr(strategies, "breaks_at", [3])
    discover(paged.runtime, "papers")
    monkeypatch.setattr(strategies, "breaks_at", [99])
    assert states(try_job(paged.runtime, "papers", 2)) == {"3-0": "new", "3-1": "new"}


def test_a_trial_asks_also_what_has_not_changed(open_workshop, strategies, httpserver):
    httpserver.expect_request("/list", headers={"If-None-Match": '"1"'}).respond_with_data(status=304)
    httpserver.expect_request("/list").respond_with_json(["a"], headers={"ETag": '"1"'})
    found_by = {"strategy": "trial_plugins:Fetching", "url": httpserver.url_for("/list")}
    shop = open_workshop(papers={**job(step("fetch")), "discovery": found_by})
    assert discover(shop.runtime, "papers").found == 1
    assert discover(shop.runtime, "papers").found == 0
    assert states(try_job(shop.runtime, "papers", 20)) == {"a": "known"}


def test_a_trial_takes_the_terms_of_the_job(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), since="2026-01-01", key="{{ data.n }}"))
    shop.plugins.find = lambda: [
        {"key": "old", "data": {"n": 1, "published_at": "2025-06-01T00:00:00+00:00"}},
        {"key": "young", "data": {"n": 2, "published_at": "2026-06-01T00:00:00+00:00"}},
    ]
    tried = try_job(shop.runtime, "papers", 20)
    assert states(tried) == {"2": "new"}
    assert tried.refused == {"older than since": 1}


def test_a_job_that_does_not_exist_is_named(shop):
    with pytest.raises(NotFoundError, match="did you mean 'papers'"):
        try_job(shop.runtime, "paperz", 20)
