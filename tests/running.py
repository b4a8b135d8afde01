"""A plugin of pytest: how the tests are run, and the file that most of them begin with."""

from __future__ import annotations

import gc
import os
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

gc.disable()  # collecting the tests makes nothing but what stays: to look for garbage in it takes half of its time


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Let every worker of xdist begin with its share of what may take long, or else all would wait for the last of it.

    Each worker is first given as many tests as every other, in this order. Modules stay together.
    """
    long: dict[object, list[pytest.Item]] = {}
    for item in items:
        if find_limit_seconds(item):
            long.setdefault(item.path, []).append(item)
    modules = sorted(long.values(), key=lambda module: max(map(find_limit_seconds, module)), reverse=True)
    others = iter([item for item in items if not find_limit_seconds(item)])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    dealt: list[pytest.Item] = []
    for number in range(workers):
        first = [item for module in modules[number::workers] for item in module]
        share = (len(items) - len(dealt)) // (workers - number)
        dealt += [*first, *islice(others, max(0, share - len(first)))]
    items[:] = [*dealt, *others]


def find_limit_seconds(item: pytest.Item) -> float:
    """Find how long a test may take, if it says so itself; else 0."""
    limit = item.get_closest_marker("timeout")
    return limit.args[0] if limit else 0


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but not among what is there already."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tracker's file that every test gets its own copy of."""
    import tracker

    path = tmp_path_factory.mktemp("template") / "tracker.db"
    with tracker.open_db(path):
        pass  # the last to close folds the log into the file
    return path
