"""A real Chromium that looks at a real dashboard; skipped where there is no Chromium."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(
    str(Path(__file__).parents[1] / "dashboard")
)  # the texts of strangers, and a tracker with some of all

from house import Dashboard, fill_house
from person import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

# The first is the same engine without windows: it takes a quarter less of the processor.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

FLAGS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none; where there is, its first test waits for a house to be filled."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(600))
        if CHROMIUM is None and "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(
                pytest.mark.skip(reason=f"no chromium on this machine: apt-get install {NAMES[0]}")
            )


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a house, once for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "filled-house"
    with (shared / "filled-house.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = shared / "filled-house.making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            fill_house(making)
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def dashboard(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of this process's own copy of the house."""
    served = Dashboard(tmp_path_factory.mktemp("served") / "house", filled)
    try:
        served.wait()
        yield served
    finally:
        served.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser. It is of a module, for its event loop would be in the way of other tests of this process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def window(browser: Browser, dashboard: Dashboard) -> Iterator[Person]:
    """A person at one window, for the tests of a module."""
    with Person(browser, dashboard) as somebody:
        yield somebody


@pytest.fixture
def person(window: Person) -> Iterator[Person]:
    """A person at a window of 1280 by 900. In the end nothing may have gone wrong in it."""
    window.begin()
    yield window
    window.check()


@pytest.fixture
def fresh(dashboard: Dashboard) -> Iterator[Dashboard]:
    """The dashboard, for a test that changes something: in the end everything is as it was filled."""
    yield dashboard
    dashboard.restore()
