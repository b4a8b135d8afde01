from __future__ import annotations

import shutil
from contextlib import ExitStack

import pytest
from filled import JOBS, PASSWORD
from starlette.testclient import TestClient

import tracker
from dashboard.app import make_app
from dashboard.house import House, Served
from dashboard.visitors import COOKIE, make_session
from pipeline.settings import Settings
from runner.access import hash_password
from runner.runtime import Runtime
from tracker.access import find_account, put_account

ROLES = ("viewer", "operator", "admin")


@pytest.fixture
def settings(tmp_path, migrated_file):
    made = Settings(jobs=tmp_path / "jobs.yaml", data=tmp_path)
    made.jobs.write_text(JOBS)
    shutil.copy(migrated_file, made.db_path)
    return made


@pytest.fixture
def conn(settings):
    with tracker.open_db(settings.db_path) as opened:
        yield opened


@pytest.fixture
def open_house(settings):
    """Open the dashboard of the tracker, served in some way."""

    def make(served=None):
        return make_app(House(settings, served or Served(), lambda: Runtime(settings, publisher=None)))

    return make


@pytest.fixture
def app(open_house):
    return open_house()


@pytest.fixture
def visit(app):
    """Visit from this machine, as a browser whose page is the dashboard's own."""
    with ExitStack() as stack:

        def make(of=app, client=("127.0.0.1", 50000), **headers):
            own_page = {"sec-fetch-site": "same-origin"} | headers
            browser = TestClient(
                of, "http://localhost", client=client, headers=own_page, follow_redirects=False
            )
            return stack.enter_context(browser)  # or each request would have a thread and a loop of its own

        yield make


@pytest.fixture(scope="session")
def hashed():
    """Hash the password once: it takes long on purpose."""
    return hash_password(PASSWORD)


@pytest.fixture
def accounts(conn, hashed):
    """Give each role somebody with a password."""
    for role in ROLES:
        put_account(conn, f"the {role}", role, hashed, "test")


@pytest.fixture
def log_in(app, visit, conn, accounts):
    """Be logged in as whoever has a role."""

    def make(role):
        browser = visit()
        session = make_session(app.state.house, find_account(conn, f"the {role}"))
        browser.cookies.set(COOKIE, session, domain="localhost.local", path="/")
        return browser

    return make
