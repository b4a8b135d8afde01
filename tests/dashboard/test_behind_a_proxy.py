"""The dashboard behind a reverse proxy, over real sockets: below a path, by another name, and told who asks."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil

import httpx2
import pytest
from filled import JOBS, PASSWORD
from house_process import serving
from reverse_proxy import Rules, proxying

import tracker
from pipeline.settings import Settings
from runner.access import add_account
from tests.waiting import PATIENCE_SECONDS
from tracker.event_pages import WantedEvents, list_events_before

PREFIX = "/tools/celeriac"
NAME = "celeriac.example.org"
PAGES = (
    "/",
    "/jobs/papers",
    "/jobs/papers/items",
    "/failures",
    "/costs",
    "/workers",
    "/events",
    "/actions",
    "/search?q=a",
)
LINKS = re.compile(r'(?:href|src|action|formaction|hx-get|data-prefix)="(/[^"]*|)"')


@pytest.fixture(scope="module")
def settings(tmp_path_factory, migrated_file):
    """One house for all of these tests: it has one item, and ada."""
    folder = tmp_path_factory.mktemp("house")
    made = Settings(jobs=folder / "jobs.yaml", data=folder)
    made.jobs.write_text(JOBS)
    shutil.copy(migrated_file, made.db_path)
    with tracker.open_db(made.db_path) as conn:
        add_account(conn, "ada", "operator", PASSWORD, "test")
        tracker.upsert_items(conn, "papers", [{"key": "a"}])
    return made


@pytest.fixture(scope="module")
def serve(settings):
    """Serve the dashboard in some way, once for all tests that want it so."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def begin(*options):
            told = ("--prefix", PREFIX, "--host-name", NAME, "--user-header", "X-Forwarded-User", *options)
            return stack.enter_context(serving(settings, *told))

        yield begin


@pytest.fixture
def behind(serve):
    """Stand a proxy before it, which names ada unless it is told not to; give a browser on the proxy."""
    with contextlib.ExitStack() as stack:

        def begin(*options, host=NAME, strips=True, user="ada", believed="127.0.0.1", keeps_host=True):
            served = serve("--proxy", believed, *options)
            before = stack.enter_context(proxying(Rules(served.port, PREFIX, strips, user, keeps_host)))
            browser = httpx2.Client(
                base_url=f"http://127.0.0.1:{before}",
                trust_env=False,
                timeout=PATIENCE_SECONDS,
                headers={"Host": host},
            )
            return stack.enter_context(browser)

        yield begin


@pytest.mark.parametrize("strips", [True, False])
def test_every_page_and_every_link_is_below_the_path(behind, strips):
    browser = behind(strips=strips)
    for page in PAGES:
        answer = browser.get(f"{PREFIX}{page}")
        assert answer.status_code == 200, page
        links = [link for link in LINKS.findall(answer.text) if link]
        assert links
        assert not [link for link in links if not f"{link}/".startswith(f"{PREFIX}/")], page
    for file in re.findall(r'(?:src|href)="([^"]+/static/[^"]+)"', browser.get(f"{PREFIX}/").text):
        assert browser.get(file).status_code == 200
    assert browser.get("/").status_code == 404  # what is not ours is not asked of us


@pytest.mark.parametrize("strips", [True, False])
def test_a_login_an_act_and_a_logout_stay_below_the_path(behind, conn, strips):
    browser = behind("--https", strips=strips, user=None)
    sent = browser.get(f"{PREFIX}/failures")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{PREFIX}/login?to=/failures")
    own = {"Origin": f"https://{NAME}"}  # as an older browser says from which page it comes
    said = {"name": "ada", "password": PASSWORD, "to": "/failures"}
    let_in = browser.post(f"{PREFIX}/login", data=said, headers=own)
    assert (let_in.status_code, let_in.headers["location"]) == (303, f"{PREFIX}/failures")
    cookie = let_in.headers["set-cookie"]
    assert f"Path={PREFIX}" in cookie
    assert "Secure" in cookie
    own["Cookie"] = cookie.partition(";")[0]
    did = browser.post(
        f"{PREFIX}/jobs/papers/items/priority",
        data={"which": "all", "filter": "key:a", "priority": "3"},
        headers=own,
    )
    assert did.headers["location"].startswith(f"{PREFIX}/jobs/papers/items?")
    assert browser.get(did.headers["location"], headers=own).status_code == 200
    assert conn.execute("SELECT priority FROM work_items").fetchone()[0] == 3
    out = browser.post(f"{PREFIX}/logout", headers=own)
    assert (out.headers["location"], f"Path={PREFIX}" in out.headers["set-cookie"]) == (
        f"{PREFIX}/login",
        True,
    )


def test_another_sites_page_may_not_act_through_the_proxy(behind):
    browser = behind()
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        assert browser.post(f"{PREFIX}/jobs/papers/wake", headers=foreign).status_code == 403


def test_a_proxy_that_names_another_host_serves_present_browsers(behind):
    browser = behind(keeps_host=False)
    woken = browser.post(f"{PREFIX}/jobs/papers/wake", headers={"Sec-Fetch-Site": "same-origin"})
    assert woken.status_code == 303


def test_a_name_that_was_not_told_is_not_answered(behind):
    browser = behind(host="rebound.example")
    assert browser.get(f"{PREFIX}/").status_code == 400


def test_numbers_move_through_the_proxy_as_they_do_without(behind):
    browser = behind()
    with browser.stream("GET", f"{PREFIX}/live") as stream:
        assert stream.headers["x-accel-buffering"] == "no"
        for line in stream.iter_lines():
            if line.startswith("data:"):
                assert json.loads(line.removeprefix("data:"))["papers.pending"] == 1
                break


# -- told who asks ----------------------------------------------------------------------------------------


def test_whom_the_proxy_names_is_let_in_with_the_role_of_their_account_and_is_on_record(behind, conn):
    browser = behind()
    assert "<span>ada, operator</span>" in browser.get(f"{PREFIX}/").text
    woken = browser.post(f"{PREFIX}/jobs/papers/wake", headers={"Sec-Fetch-Site": "same-origin"})
    assert woken.status_code == 303
    events = list_events_before(conn, WantedEvents("papers", None, None, acts=True)).events
    assert {event.by for event in events} == {"ada"}


def test_whoever_says_a_name_to_the_proxy_is_not_believed(behind):
    browser = behind(user=None)
    assert browser.get(f"{PREFIX}/", headers={"X-Forwarded-User": "ada"}).status_code == 303


def test_whom_the_proxy_names_and_nobody_knows_has_to_log_in(behind):
    assert behind(user="eve").get(f"{PREFIX}/").status_code == 303


def test_a_proxy_of_another_address_is_not_believed(behind):
    assert behind(believed="192.0.2.1").get(f"{PREFIX}/").status_code == 303
