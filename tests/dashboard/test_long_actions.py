"""What people ask of very many items: it does not hold up the page, outlives its tab, and survives the dashboard."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from urllib.parse import urlencode

import httpx2
import pytest
from house_process import serving

import tracker
from runner import working_off
from runner.runtime import Runtime
from tests.waiting import wait_until
from tracker.actions import begin, list_actions

ITEMS = 20_000
ALL = {"which": "all", "filter": "status:pending", "stage": "read"}
SKIPPED = "SELECT count(*) FROM item_stages WHERE stage = 'read' AND status = 'skipped'"


@pytest.fixture
def many(conn):
    for start in range(0, ITEMS, 5000):
        tracker.upsert_items(conn, "papers", [{"key": f"k{n}"} for n in range(start, start + 5000)])


@pytest.fixture
def wait_for():
    """Wait until the one action that there is is somehow."""

    def wait(conn, is_so):
        (action,) = wait_until(lambda: [one for one in list_actions(conn) if is_so(one)])
        return action

    return wait


@contextmanager
def asking(served):
    """Ask for every item to be skipped, in a tab that is closed when the block ends, without having had an answer."""
    body = urlencode(ALL)
    head = f"POST /jobs/papers/items/skip HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nSec-Fetch-Site: same-origin\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as tab:
        tab.sendall((head + body).encode())
        yield


@pytest.mark.usefixtures("many")
def test_one_that_is_killed_says_how_far_it_came_and_is_gone_on_with(settings, conn, wait_for):
    with serving(settings) as served:
        with asking(served):
            wait_for(conn, lambda action: action.done)
        served.process.kill()
        served.process.wait()
    (left,) = list_actions(conn)
    assert 0 < left.done < left.total == ITEMS
    assert conn.execute(SKIPPED).fetchone()[0] == left.done
    conn.execute("UPDATE actions SET worked_at = worked_at - 60000")
    with serving(settings) as served:
        shown = httpx2.get(f"{served.url}/actions/{left.action_id}", trust_env=False).text
        assert f"skip of papers: {left.done:,} of 20,000 stages; nobody works on it now" in shown
        assert f"{left.done:,} of 20,000" in httpx2.get(f"{served.url}/", trust_env=False).text
    runtime = Runtime(settings, publisher=None)
    while list_actions(conn)[0].finished_at is None:
        conn.execute("UPDATE actions SET worked_at = worked_at - 60000")
        assert working_off.resume(runtime)  # as each sweep does
    runtime.close()
    (done,) = list_actions(conn)
    assert (done.done, done.finished_at is not None) == (ITEMS, True)
    assert conn.execute(SKIPPED).fetchone()[0] == ITEMS


@pytest.mark.usefixtures("many")
def test_it_goes_on_when_its_tab_is_closed(settings, conn, wait_for):
    with serving(settings) as served:
        with asking(served):
            begun = wait_for(conn, lambda action: action.done)
        assert begun.finished_at is None
        done = wait_for(conn, lambda action: action.finished_at is not None)
    assert done.done == conn.execute(SKIPPED).fetchone()[0] == ITEMS


def test_what_goes_on_is_seen_on_the_overview_and_among_the_actions(visit, conn):
    begin(conn, "retry", "papers", None, {"by": "failed"}, by="ann <b>", total=2000)
    for path in ("/", "/actions"):
        page = visit().get(path).text
        assert "retry of papers: 0 of 2,000 stages" in page
        assert '<progress value="0" max="2000"' in page
        assert "ann &lt;b&gt;" in page


def test_when_nothing_goes_on_nothing_is_said_of_it(visit):
    assert "Going on" not in visit().get("/").text
    assert "There was none yet." in visit().get("/actions").text


def test_actions_that_are_through_can_be_undone_from_their_list(visit, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    visit().post("/jobs/papers/items/priority", data={"which": "all", "filter": "key:a", "priority": "5"})
    (action,) = list_actions(conn)
    assert f'href="/undo?action={action.action_id}"' in visit().get("/actions").text
    visit().post("/undo", data={"action": action.action_id})
    page = visit().get("/actions").text
    assert f'href="/undo?action={action.action_id}"' not in page
    assert "undone by" in page
    assert "which put back" not in page


def test_an_undo_that_put_back_nothing_is_not_told_as_if_it_had(visit, conn):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    visit().post("/jobs/papers/items/priority", data={"which": "all", "filter": "key:a", "priority": "5"})
    (action,) = list_actions(conn)
    conn.execute("UPDATE work_items SET priority = 7")
    visit().post("/undo", data={"action": action.action_id})
    for page in ("/actions", f"/actions/{action.action_id}"):
        assert "</a>, which put back none" in visit().get(page).text
