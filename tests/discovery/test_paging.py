from __future__ import annotations

import pytest

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.paging import MAX_FAILURES, Page, collect_pages, hand_over_pages
from pipeline.errors import HostBusyError, SourceRejectedError, SourceUnavailableError

ERRORS = {"later": SourceUnavailableError, "busy": HostBusyError, "never": SourceRejectedError}


class Numbers(BaseDiscovery):
    """Pages of one number each, from a script: what each position gives."""

    class Params(StrategyParams):
        script: dict
        max_pages: int = 100
        goes_on: bool = False
        keeps_place: bool = False
        counts_on: bool = False

    async def read_page(self, at):
        self.asked = [*getattr(self, "asked", []), at]
        given = self.params.script[str(at)]
        if isinstance(given, str):
            raise ERRORS[given](f"{at}: {given}")
        keys, after = given
        return Page([FoundItem(key) for key in keys], after)

    async def discover(self):
        bounds = self.params.model_dump(exclude={"script", "counts_on"})
        if self.params.counts_on:
            bounds["find_after"] = {None: 1, 1: 2, 2: None}.get
        async with self.looking():
            await hand_over_pages(self, "numbers", self.read_page, **bounds)
        return self.kept


class Few(Numbers):
    """The same, collected."""

    discover = BaseDiscovery.discover

    async def fetch_items(self):
        return await collect_pages(self, "numbers", self.read_page, max_pages=self.params.max_pages)


THREE = {"None": (["a"], 1), "1": (["b"], 2), "2": (["c"], None)}


@pytest.fixture
def read(memory):
    return lambda script=THREE, **params: memory.discover(Numbers, {"script": script, **params})


def test_every_page_is_handed_over_with_the_position_of_the_next(read, memory):
    read()
    assert [(batch.items[0].key, batch.cursor) for batch in memory.batches] == [
        ("a", {"at": 1, "failures": 0}),
        ("b", {"at": 2, "failures": 0}),
        ("c", None),
    ]


def test_a_discovery_that_was_killed_goes_on_at_the_page_that_it_had_come_to(read, memory):
    with memory.killed_after(2):
        read()
    assert read().asked == [2]
    assert [*memory.items] == ["a", "b", "c"]
    assert read().asked == [None, 1, 2]


def test_a_page_that_cannot_be_had_now_is_asked_for_again(read, memory):
    with pytest.raises(SourceUnavailableError):
        read(THREE | {"1": "later"})
    assert [*memory.items] == ["a"]
    assert read().asked == [1, 2]


def test_a_page_that_fails_again_and_again_is_gone_around_from_the_start(read):
    for _ in range(MAX_FAILURES):
        with pytest.raises(SourceUnavailableError):
            read(THREE | {"1": "later"})
    assert read().asked == [None, 1, 2]


@pytest.mark.parametrize(("page", "others"), [("None", ["b", "c"]), ("1", ["a", "c"]), ("2", ["a", "b"])])
def test_a_page_that_fails_again_and_again_is_left_out_where_it_is_known_what_follows(
    read, memory, page, others
):
    script = THREE | {page: "later"}
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(SourceUnavailableError):
            read(script, counts_on=True)
    strategy = read(script, counts_on=True)
    assert [*memory.items] == others
    assert strategy.problems == [f"{page}: later, {MAX_FAILURES} times in a row; left out"]
    assert memory.cursors == {"numbers": None}


def test_a_page_after_one_that_was_left_out_may_fail_by_itself(read, memory):
    script = THREE | {"1": "later", "2": "later"}
    for _ in range(MAX_FAILURES):
        with pytest.raises(SourceUnavailableError):
            read(script, counts_on=True)
    assert memory.cursors == {"numbers": {"at": 2, "failures": 1}}


def test_a_host_that_is_not_asked_has_not_failed(read, memory):
    for _ in range(MAX_FAILURES):
        with pytest.raises(HostBusyError):
            read(THREE | {"1": "busy"}, counts_on=True)
    assert memory.cursors == {"numbers": {"at": 1, "failures": 0}}


def test_a_page_that_will_never_come_ends_it_with_what_was_there(read, memory):
    strategy = read(THREE | {"1": "never"})
    assert [*memory.items] == ["a"]
    assert strategy.problems == ["1: never; what comes after it is missing"]
    assert memory.cursors == {"numbers": None}


def test_a_position_that_went_stale_is_begun_again_at_the_start(read, memory):
    memory.cursors["numbers"] = {"at": 7, "failures": 0}
    strategy = read(THREE | {"7": "never"})
    assert strategy.asked == [7, None, 1, 2]
    assert "begun again" in strategy.problems[0]


@pytest.mark.parametrize("cursor", ["x", 7, [], {"at": 1}, {"at": 1, "failures": "x"}])
def test_a_cursor_of_another_make_means_the_start(read, memory, cursor):
    memory.cursors["numbers"] = cursor
    assert read().asked == [None, 1, 2]


def test_a_first_page_that_is_rejected_is_an_error(read):
    with pytest.raises(SourceRejectedError):
        read({"None": "never"})


def test_a_page_that_comes_for_ever_ends_it(read, memory):
    strategy = read({str(at): (["a"], (at or 0) + 1) for at in [None, *range(1, 50)]})
    assert len(strategy.asked) == 2
    assert strategy.problems == ["numbers gives the same page again and again; stopped there"]
    assert [*memory.items] == ["a"]
    assert memory.cursors == {"numbers": None}


def test_a_position_that_goes_back_ends_it_with_what_was_there(read, memory):
    strategy = read(THREE | {"2": (["c"], 1)})
    assert strategy.problems == ["numbers leads back to a page that was there before; stopped there"]
    assert [*memory.items] == ["a", "b", "c"]


def test_a_page_without_items_is_not_the_end(read, memory):
    read({"None": ([], 1), "1": ([], 2), "2": (["c"], None)})
    assert [*memory.items] == ["c"]


@pytest.mark.parametrize(("goes_on", "then"), [(False, [None, 1]), (True, [2])])
def test_after_its_bound_it_begins_again_or_goes_on(read, goes_on, then):
    assert read(max_pages=2, goes_on=goes_on).asked == [None, 1]
    assert read(max_pages=2, goes_on=goes_on).asked == then


def test_a_bound_that_nobody_chose_is_told(read, monkeypatch):
    monkeypatch.setitem(Numbers.Params.model_fields, "max_pages", Numbers.Params.model_fields["max_pages"])
    endless = {str(at): ([str(at)], (at or 0) + 1) for at in [None, *range(1, 200)]}
    assert read(endless).problems == ["numbers has more than 100 pages; raise max_pages to see the rest"]
    assert read(endless, max_pages=3).problems == []


def test_the_place_is_kept_when_that_is_wanted(read):
    read(keeps_place=True)
    assert read(THREE | {"2": (["d"], None)}, keeps_place=True).asked == [2]


def test_a_few_pages_are_collected_as_far_as_they_can_be_had(access, discover):
    strategy = Few({"script": THREE | {"2": "later"}}, access)
    assert [item.key for item in discover(strategy)] == ["a", "b"]
    assert strategy.problems == ["2: later; what comes after it is missing"]
