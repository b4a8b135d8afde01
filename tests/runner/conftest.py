from __future__ import annotations

import importlib
import shutil
import sys

import pytest
from workshop import PLUGINS, ListPublisher, Workshop, job, step, write_jobs

from pipeline import catalog
from pipeline.settings import Settings
from runner.runtime import Runtime


@pytest.fixture
def settings(tmp_path):
    return Settings(jobs=tmp_path / "jobs.yaml", data=tmp_path, allow_hosts=("127.0.0.1",))


@pytest.fixture
def db_path(settings, migrated_file):
    shutil.copy(migrated_file, settings.db_path)
    return settings.db_path


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Write a user's plugins where jobs.yaml can name them, and forget them afterwards."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "workshop_plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(folder)
    catalog.load.cache_clear()
    yield importlib.import_module("workshop_plugins")
    del sys.modules["workshop_plugins"]
    catalog.load.cache_clear()


@pytest.fixture
def open_workshop(settings, db_path, plugins):
    """Open a workshop over some jobs; without any, over `papers` with the stages fetch, extract and store."""
    opened = []

    def make(run=None, stop_errors=(KeyboardInterrupt,), timeout_error=TimeoutError, **jobs):
        write_jobs(settings.jobs, **jobs or {"papers": job(step("fetch"), step("extract"), step("store"))})
        publisher = ListPublisher()
        runtime = Runtime(settings, publisher, run=run, stop_errors=stop_errors, timeout_error=timeout_error)
        opened.append(runtime)
        return Workshop(runtime, publisher, plugins)

    yield make
    for runtime in opened:
        runtime.close()


@pytest.fixture
def shop(open_workshop):
    """Open the workshop with three stages, each of which says what it saw."""
    return open_workshop()
