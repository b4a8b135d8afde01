"""The dashboard of `docker compose up`, as people on this machine meet it. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import re
import time

import httpx2
import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

PAGES = ("/", "/jobs/demo", "/jobs/demo/items", "/failures", "/costs", "/workers", "/events", "/search?q=def")


def test_nobody_gets_in_without_the_password(demo):
    with demo.browser() as browser:
        for path in PAGES:
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["location"][:7]) == (303, "/login?"), path
        assert browser.get("/api/jobs").status_code == 401
        wrong = browser.post("/login", data={"name": "celeriac", "password": "celeriac"})
        assert wrong.status_code == 403


def test_a_name_that_nobody_allowed_is_not_answered(demo):
    with demo.browser() as browser:
        assert browser.get("/login", headers={"Host": "rebound.example"}).status_code == 400


def test_whoever_reads_the_made_up_password_sees_every_page(demo):
    with demo.logged_in() as browser:
        for path in PAGES:
            answer = browser.get(path)
            assert answer.status_code == 200, path
            assert "<h1>" in answer.text
        assert "celeriac may" not in browser.get("/jobs/demo").text
        assert 'href="/jobs/demo"' in browser.get("/").text


def test_flower_is_one_click_away_and_asks_for_its_own_password(demo):
    with demo.logged_in() as browser:
        page = browser.get("/workers").text
    (link,) = set(re.findall(r'href="(http[^"]+)"[^>]*>Flower<', page))
    assert httpx2.get(link, timeout=30, trust_env=False).status_code == 401
    name, _, password = demo.secret("flower").partition(":")
    seen = httpx2.get(link, auth=(name, password), timeout=30, trust_env=False, follow_redirects=True)
    assert (seen.status_code, "Flower" in seen.text) == (200, True)


def test_what_is_asked_for_on_a_page_is_done_by_the_workers(demo):
    with demo.logged_in() as browser:
        asked = browser.post("/jobs/demo/items/reset", data={"which": "all", "stage": "outline"})
        assert asked.status_code == 303, asked.text
        done = browser.get(asked.headers["location"])
    assert "reset of demo" in done.text
    ((by,),) = demo.read("SELECT by FROM events WHERE kind = 'reset_stage' ORDER BY event_id DESC LIMIT 1")
    assert by == "celeriac"
    demo.wait_until_the_demo_is_done()


def test_handlers_are_tried_aside_although_the_container_cannot_be_written_to(demo):
    (dashboard,) = demo.ids("dashboard")
    shown = demo.inspect(dashboard, template="{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}")
    assert shown == ["true [ALL]"]
    with demo.logged_in() as browser:
        said = {"which": "all", "stage": "outline", "canary": "2"}
        began = browser.post("/jobs/demo/items/reprocess/canary", data=said)
        assert began.status_code == 303, began.text

        def shown_result():
            page = browser.get(began.headers["location"]).text
            return "the same result" in page and "All 2 tried" in page

        demo.wait_until(shown_result, 120)
        assert browser.get("/jobs/demo/export?format=csv").content.startswith(b"key,")


def test_a_login_outlasts_a_restart_and_a_stop_takes_no_longer_than_a_moment(demo):
    with demo.logged_in() as browser:
        before = time.monotonic()
        demo.compose("stop", "dashboard")
        assert time.monotonic() - before < 15
        (dashboard,) = demo.ids("dashboard")
        assert demo.inspect(dashboard, template="{{.State.ExitCode}}") == ["0"]
        demo.up()
        demo.wait_until(lambda: answers(browser), 60)
        assert browser.get("/").status_code == 200


def answers(browser):
    try:
        return browser.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False
