from __future__ import annotations

import asyncio

import pytest

from discovery.base import BaseDiscovery
from discovery.gather import gather_bounded, keep_answers
from pipeline.errors import SourceRejectedError, SourceUnavailableError


def test_no_more_are_asked_at_once_than_the_bound():
    running, most = set(), 0

    async def ask(source):
        nonlocal most
        running.add(source)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.discard(source)
        return source * 2

    assert asyncio.run(gather_bounded(ask, range(10), 3)) == [number * 2 for number in range(10)]
    assert most == 3


def test_an_unexpected_error_is_raised_under_its_own_name():
    async def ask(source):
        raise KeyError(source)

    with pytest.raises(KeyError, match="7"):
        asyncio.run(gather_bounded(ask, [7], 1))


def test_the_answers_that_came_are_kept_and_the_failures_told():
    strategy = BaseDiscovery()
    assert keep_answers([1, SourceRejectedError("gone"), 2], "feed", strategy) == [1, 2]
    assert strategy.refused == {"feed could not be had": 1}
    assert strategy.problems == ["gone"]


def test_nothing_asked_is_no_failure():
    assert keep_answers([], "feed", BaseDiscovery()) == []


def test_a_wait_of_no_time_is_still_a_wish():
    with pytest.raises(SourceUnavailableError) as caught:
        keep_answers([SourceUnavailableError("away", 0.0)], "feed", BaseDiscovery())
    assert caught.value.retry_after_seconds == 0
