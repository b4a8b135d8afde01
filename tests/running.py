"""A plugin of pytest: how the tests are run."""

from __future__ import annotations

import gc

import pytest

gc.disable()  # collecting the tests makes nothing but what stays: to look for garbage in it takes half of its time


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that may take longest, or else all the others would wait for the last of them."""
    items.sort(key=find_limit_seconds, reverse=True)


def find_limit_seconds(item: pytest.Item) -> float:
    """Find how long a test may take, if it says so itself; else 0."""
    limit = item.get_closest_marker("timeout")
    return limit.args[0] if limit else 0


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but not among what is there already."""
    gc.freeze()
    gc.enable()
