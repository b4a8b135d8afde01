from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from handlers.contract import find_json_fault
from pipeline.errors import JobsFileError, PluginError, SourceUnavailableError


class Given(BaseDiscovery):
    """A strategy of a user's own, in the older way: no declared parameters, plain dicts."""

    async def fetch_items(self):
        return self.require_param("items")


def find(*items):
    strategy = Given({"items": list(items)})
    return asyncio.run(strategy.discover()), dict(strategy.refused)


def test_plain_dicts_and_found_items_are_both_let_in():
    found, refused = find(
        {"key": "a"}, FoundItem("b", {"n": 1}, 5), {"key": "c", "data": None, "priority": -1}
    )
    assert found == [FoundItem("a"), FoundItem("b", {"n": 1}, 5), FoundItem("c", {}, -1)]
    assert refused == {}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "no key"),
        ({"key": None}, "no key"),
        ({"key": " \n"}, "no key"),
        (FoundItem(""), "no key"),
        ({"key": 7}, "key is not text"),
        ({"key": b"a"}, "key is not text"),
        ({"key": "\udcff.txt"}, "key is not text"),
        ({"key": "é" * 513}, "key over 1,024 bytes"),
        ({"key": "first"}, "key repeated"),
        ({"key": "a", "data": [1]}, "data is not a JSON object"),
        ({"key": "a", "data": ""}, "data is not a JSON object"),
        ({"key": "a", "data": {"n": math.nan}}, "data is not a JSON object"),
        ({"key": "a", "data": {"n": {1, 2}}}, "data is not a JSON object"),
        ({"key": "a", "data": {"n": b"1"}}, "data is not a JSON object"),
        ({"key": "a", "data": {(1, 2): 1}}, "data is not a JSON object"),
        ({"key": "a", "data": {"n": "\udcff"}}, "data is not a JSON object"),
        ({"key": "a", "data": {"n": "x" * 1_048_576}}, "data over 1 MiB"),
        ({"key": "a", "priority": "high"}, "priority is not an integer of 32 bits"),
        ({"key": "a", "priority": True}, "priority is not an integer of 32 bits"),
        ({"key": "a", "priority": 2**31}, "priority is not an integer of 32 bits"),
        ("a", "neither a FoundItem nor a dict with a key"),
        (None, "neither a FoundItem nor a dict with a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_is_refused_and_counted_and_the_rest_go_on(item, reason):
    found, refused = find({"key": "first"}, item, item, {"key": "last"})
    assert [each.key for each in found] == ["first", "last"]
    assert refused == {reason: 2}


@pytest.mark.parametrize(
    "wrap", [lambda inner: {"n": inner}, lambda inner: [0, inner], lambda inner: (inner,)]
)
def test_data_that_a_result_could_not_hold_is_refused_as_nested_too_deep(wrap):
    deep = {"a": [{}] * 1000, "text": "[" * 1000}
    for _ in range(496):
        deep = wrap(deep)
    kept, refused = find({"key": "a", "data": {"deep": deep}}, {"key": "b", "data": {"deeper": [deep]}})
    assert [each.key for each in kept] == ["a"]
    assert find_json_fault(kept[0].data) is None
    assert refused == {"data nested deeper than 500, or within itself": 1}
    assert find_json_fault({"deeper": [deep]}) is not None


def test_data_that_refers_to_itself_or_is_too_deep_is_refused():
    circle, deep = {}, {}
    circle["self"] = circle
    for _ in range(100_000):
        deep = {"n": deep}
    assert find({"key": "a", "data": circle}, {"key": "b", "data": deep}) == (
        [],
        {"data nested deeper than 500, or within itself": 2},
    )
    while deep:  # taken apart by hand: letting go of it at once would go as deep
        deep = deep["n"]


def test_a_key_of_1024_bytes_and_data_of_1_mib_are_let_in():
    found, refused = find({"key": "é" * 512, "data": {"n": "x" * (1_048_576 - len('{"n": ""}'))}})
    assert (len(found), refused) == (1, {})


def test_of_a_repeated_key_the_first_stays():
    found, _ = find({"key": "a", "data": {"n": 1}}, {"key": "a", "data": {"n": 2}})
    assert found == [FoundItem("a", {"n": 1})]


def test_a_refused_item_does_not_use_up_its_key():
    found, _ = find({"key": "a", "data": {"n": math.inf}}, {"key": "a", "data": {"n": 2}})
    assert found == [FoundItem("a", {"n": 2})]


def test_data_comes_out_as_json_makes_it():
    found, _ = find({"key": "a", "data": {"pair": (1, 2), 3: "x"}})
    assert found[0].data == {"pair": [1, 2], "3": "x"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.fixed_dictionaries({"key": anything, "data": anything, "priority": anything}) | anything))
def test_whatever_a_strategy_returns_every_item_is_let_in_or_counted(items):
    found, refused = find(*items)
    assert len(found) + sum(refused.values()) == len(items)
    assert len({item.key for item in found}) == len(found)


def test_counts_and_problems_are_of_the_last_discovery_only():
    strategy = Given({"items": [{}]})
    strategy.problems.append("old")
    for _ in range(2):
        asyncio.run(strategy.discover())
    assert (dict(strategy.refused), strategy.problems) == ({"no key": 1}, [])


@pytest.mark.parametrize("returned", [None, 7, "text", {"key": "a"}])
def test_a_strategy_that_returns_no_list_is_told_so(returned):
    with pytest.raises(PluginError, match=r"Given\.fetch_items returned"):
        asyncio.run(Given({"items": returned}).discover())


def test_fetch_items_may_be_a_plain_function():
    class Plain(Given):
        def fetch_items(self):
            return self.params.items

    assert asyncio.run(Plain({"items": [{"key": "a"}]}).discover()) == [FoundItem("a")]


def test_what_a_strategy_raises_is_raised():
    class Down(BaseDiscovery):
        async def fetch_items(self):
            raise SourceUnavailableError("away", 5)

    with pytest.raises(SourceUnavailableError, match="away"):
        asyncio.run(Down().discover())


def test_a_strategy_may_override_discover_whole():
    class Paged(BaseDiscovery):
        async def discover(self):
            return [FoundItem("a")]

    assert asyncio.run(Paged().discover()) == [FoundItem("a")]


def test_a_strategy_that_overrides_nothing_says_so():
    with pytest.raises(NotImplementedError, match="BaseDiscovery overrides neither"):
        asyncio.run(BaseDiscovery().discover())


def test_declared_parameters_are_validated_and_typed():
    class Typed(BaseDiscovery):
        class Params(StrategyParams):
            limit: int = Field(ge=1)

    assert Typed({"limit": "3"}).params == Typed.Params(limit=3)
    assert Typed(Typed.Params(limit=3)).params.limit == 3
    with pytest.raises(ValidationError, match="limit"):
        Typed({"limit": 0})


def test_a_parameter_is_required_by_name_or_has_a_default():
    strategy = Given({"items": []})
    assert strategy.require_param("items") == []
    assert strategy.require_param("absent", None) is None
    with pytest.raises(JobsFileError, match="Given needs the parameter 'absent'"):
        strategy.require_param("absent")


def test_a_strategy_made_without_access_says_so_when_it_reaches_out():
    with pytest.raises(PluginError, match=r"access=Access"):
        _ = Given({"items": []}).access


class Twice(BaseDiscovery):
    async def fetch_items(self):
        answers = [await self.access.http.fetch(self.require_param("url")) for _ in range(2)]
        return [FoundItem(f"{number}: {answer.text}") for number, answer in enumerate(answers)]


def test_the_requests_of_one_discovery_share_their_connection(access):
    connections = []

    async def answer(reader, writer):
        connections.append(asyncio.current_task())
        while (await reader.read(65_536)).endswith(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            return await Twice({"url": url}, access).discover()
        finally:
            server.close()
            await asyncio.gather(*connections)

    assert [item.key for item in asyncio.run(main())] == ["0: ok", "1: ok"]
    assert len(connections) == 1
