"""A canary from a page: the quote, some items tried aside, old and new side by side, and going on with that."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time

import pytest
from filled import jobs_reading
from hostile import SCRIPT, read_page
from starlette.testclient import TestClient

import tracker
from dashboard.app import make_app
from dashboard.house import House, Served
from pipeline.settings import Settings
from runner import kept_canaries
from runner.runtime import Runtime
from tests.waiting import wait_until
from tracker.actions import list_actions
from tracker.items import get_item

STAGES = ["read", "note"]
REPROCESS = "/jobs/papers/items/reprocess"
SAID = {"which": "all", "stage": "read"}
TEXTS = {"first": "hello", "second": SCRIPT, "third": None}
OLD = dict.fromkeys(TEXTS, "old")


def store(conn, folder):
    """Let three items have results that an older version made, of files, one of which is gone."""
    for key, text in TEXTS.items():
        path = folder / f"{key}.txt"
        if text is not None:
            path.write_text(text)
        tracker.upsert_items(conn, "papers", [{"key": key, "data": {"path": str(path)}}])
        item_id = get_item(conn, "papers", key)["item_id"]
        tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
        tracker.mark_stage_done(conn, item_id, "read", STAGES, {"text": "old"}, handler_version="0")


def begin(browser, number, **said):
    """Begin a canary, and give the address of its page."""
    answer = browser.post(f"{REPROCESS}/canary", data=SAID | {"canary": number} | said)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def wait_for_the_end(browser, url):
    wait_until(lambda: "hx-trigger" not in browser.get(url).text)


@pytest.fixture(scope="module")
def tried(tmp_path_factory, migrated_file):
    """Run some canaries in one house, of which every test gets a copy: its folder, and their pages."""
    folder = tmp_path_factory.mktemp("tried")
    settings = Settings(jobs=folder / "jobs.yaml", data=folder)
    papers = folder / "papers"
    papers.mkdir()
    settings.jobs.write_text(jobs_reading(papers))
    shutil.copy(migrated_file, settings.db_path)
    with tracker.open_db(settings.db_path) as conn:
        store(conn, papers)
    runtime = Runtime(settings, publisher=None)
    app = make_app(House(settings, Served(), lambda: runtime))
    browser = TestClient(
        app, "http://localhost", client=("127.0.0.1", 1), headers={"sec-fetch-site": "same-origin"},
        follow_redirects=False,
    )  # fmt: skip
    pages = {}
    for name, said in {"two": {}, "three": {}, "first": {"filter": "key:first"}}.items():
        pages[name] = begin(browser, "3" if name == "three" else "2", **said)
        wait_for_the_end(browser, pages[name])
    runtime.close()

    def is_closed():  # by the threads of the pages, too
        with tracker.open_db(settings.db_path):
            pass  # the last to close folds the log into the file, if it may write
        return not [*folder.glob("tracker.db-*")]

    wait_until(is_closed)
    return folder, pages


@pytest.fixture
def settings(tried, tmp_path):
    shutil.copytree(tried[0], tmp_path, dirs_exist_ok=True)
    return Settings(jobs=tmp_path / "jobs.yaml", data=tmp_path)


@pytest.fixture
def pages(tried):
    return tried[1]


@pytest.fixture
def file_of(settings, pages):
    """Find the file in which a canary is kept."""
    return lambda name: settings.data / kept_canaries.FOLDER / f"{pages[name].rpartition('/')[2]}.jsonl"


def results(conn):
    rows = conn.execute(
        "SELECT key, result FROM results JOIN work_items USING (item_id) WHERE stage = 'read'"
    )
    return {key: json.loads(result)["text"] for key, result in rows}


def test_it_shows_old_and_new_and_lets_nothing_count_yet(visit, pages, conn):
    text, _ = read_page(visit().get(pages["two"]))
    assert "All 2 tried" in text
    assert "another result" in text
    assert "hello" in text
    assert results(conn) == OLD


def test_what_strangers_wrote_is_shown_as_text(visit, pages):
    text, _ = read_page(visit().get(pages["two"]))
    assert "alert(1)" in text


def test_to_go_on_lets_its_results_count_and_has_the_others_made_again(visit, pages, conn):
    answer = visit().post(f"{pages['two']}/go-on")
    assert answer.status_code == 303
    assert results(conn) == {"first": "hello", "second": SCRIPT, "third": "old"}
    (action,) = list_actions(conn)
    assert (action.act, action.done, action.detail["canary"]) == ("reprocess", 1, 2)
    page = visit().get(answer.headers["location"]).text
    assert "reprocess of papers: 1 stages; of the canary, 2 items count" in page


def test_the_stages_that_it_ran_are_not_run_again(visit, pages, conn):
    visit().post(f"{pages['two']}/go-on")
    rows = conn.execute("SELECT status FROM item_stages WHERE stage = 'read' ORDER BY item_id")
    assert [row[0] for row in rows] == ["done", "done", "pending"]


def test_when_it_was_all_there_is_that_is_said(visit, pages, conn):
    answer = visit().post(f"{pages['first']}/go-on")
    assert "The results of the canary count now" in visit().get(answer.headers["location"]).text
    assert results(conn) == OLD | {"first": "hello"}
    assert list_actions(conn) == []


def test_nobody_goes_on_twice(visit, pages, conn):
    url = pages["two"]
    assert [visit().post(f"{url}/go-on").status_code for _ in range(2)] == [303, 404]
    assert visit().get(url).status_code == 404
    assert len(list_actions(conn)) == 1


def test_what_fails_is_told_and_left_to_workers(visit, pages, conn):
    page = visit().get(pages["three"]).text
    assert "It failed for 1 of them" in page
    visit().post(f"{pages['three']}/go-on")
    assert results(conn)["third"] == "old"


def test_the_quote_after_it_is_of_the_same_wish(visit, pages):
    page = visit().get(pages["two"]).text
    assert "3 items; at most $0.00" in page
    assert '<input type="hidden" name="stage" value="read">' in page


def test_only_its_owner_reads_the_file_in_which_it_is_kept(tried, pages):
    for path in (tried[0] / kept_canaries.FOLDER).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tried[0] / kept_canaries.FOLDER).stat().st_mode) == 0o700


def test_one_that_was_cut_off_says_how_far_it_came_and_can_be_gone_on_with(visit, pages, conn, file_of):
    path = file_of("two")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]) + '{"item_id": 7, "ke')
    page = visit().get(pages["two"]).text
    assert "1 of at most 2 tried" in page
    assert "the dashboard was stopped meanwhile" in page
    visit().post(f"{pages['two']}/go-on")
    assert results(conn) == OLD | {"first": "hello"}


def test_one_that_runs_is_followed_and_cannot_be_gone_on_with(visit, pages, conn, file_of):
    path = file_of("two")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with path.open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # as whoever runs it has it
        page = visit().get(pages["two"]).text
        assert "1 of at most 2 tried" in page
        assert f'hx-get="{pages["two"]}" hx-trigger="every 1s"' in page
        assert "Make them again" not in page
        assert visit().post(f"{pages['two']}/go-on").status_code == 503
    assert results(conn) == OLD


def test_one_of_an_older_version_is_refused_in_words(visit, pages, conn, file_of):
    path = file_of("two")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for said in lines:
        said.pop("basis", None)
    path.write_text("".join(json.dumps(said) + "\n" for said in lines))
    for answer in (visit().get(pages["two"]), visit().post(f"{pages['two']}/go-on")):
        assert answer.status_code == 503
        assert "run by an older version of Celeriac" in answer.text
    assert results(conn) == OLD


def test_old_ones_are_forgotten_when_another_begins(visit, pages, file_of):
    os.utime(file_of("two"), (time.time() - 90_000,) * 2)
    url = begin(visit(), "1")
    assert visit().get(pages["two"]).status_code == 404
    wait_for_the_end(visit(), url)


@pytest.mark.parametrize("name", ["1", "../../etc/passwd", "a" * 16, "..%2F..%2Fx", "x" * 5000])
def test_one_that_is_not_there_is_told(visit, name):
    assert visit().get(f"/jobs/papers/canaries/{name}").status_code == 404


def test_it_is_of_its_own_job_alone(visit, pages):
    assert visit().get(pages["two"].replace("papers", "other")).status_code == 404


@pytest.mark.parametrize("number", ["0", "101", "x", "", "9" * 5000, "000000001" + "9" * 20])
def test_it_is_on_a_few_items(visit, number):
    assert visit().post(f"{REPROCESS}/canary", data=SAID | {"canary": number}).status_code == 400


def test_who_only_looks_may_not(log_in, pages):
    assert log_in("viewer").post(f"{REPROCESS}/canary", data=SAID | {"canary": "1"}).status_code == 403
    assert log_in("viewer").get(pages["two"]).status_code == 403
