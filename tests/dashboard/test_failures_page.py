from __future__ import annotations

import pytest

import tracker
from runner.access import make_token
from tracker.failures import list_groups

STAGES = ["read", "note"]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def fail(conn):
    """Let items of the job fail at its first stage."""

    def make(keys, error="no answer in 30 s"):
        tracker.upsert_items(conn, "papers", [{"key": key} for key in keys])
        for key in keys:
            item_id = conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()[0]
            tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
            tracker.mark_stage_failed(conn, item_id, "read", STAGES, TimeoutError(error))

    return make


@pytest.fixture
def group(conn, fail):
    fail(["a", "b", "c"])
    (only,) = list_groups(conn).groups
    return only


def count_failed(conn):
    return conn.execute("SELECT count(*) FROM item_stages WHERE status = 'failed'").fetchone()[0]


def last_event(conn, kind):
    return conn.execute("SELECT * FROM events WHERE kind = ? ORDER BY event_id DESC", (kind,)).fetchone()


def test_what_failed_alike_is_one_entry_with_its_number_and_an_example(visit, group):
    page = visit().get("/failures").text
    assert page.count("TimeoutError: no answer in &lt;n&gt; s") == 1
    assert '<td class="number">3</td>' in page
    assert f'href="/failures/{group.id}"' in page
    assert "key=c" in page


def test_an_entry_has_a_chart_of_its_last_24_hours_that_says_it_in_words(visit, group):
    page = visit().get("/failures").text
    assert 'aria-label="Attempts that failed so within 24 hours: 3; most in the hour from' in page
    assert page.count("<rect") == 1


def test_a_group_shows_its_traceback_and_the_items_that_are_failed_with_it(visit, group):
    page = visit().get(f"/failures/{group.id}").text
    assert "TimeoutError: no answer in 30 s" in page
    assert all(f"key={key}" in page for key in "abc")


def test_the_beginning_of_an_id_is_enough(visit, group):
    assert visit().get(f"/failures/{group.id[:5]}").status_code == 200


def test_a_group_that_is_not_there_is_said(visit):
    answer = visit().get("/failures/0000")
    assert answer.status_code == 404
    assert "no group of failures" in answer.text


@pytest.mark.parametrize(
    ("act", "verb"), [("retry", "tried again"), ("skip", "skipped"), ("mute", "told of it")]
)
def test_what_is_asked_before_names_the_number(visit, group, act, verb):
    page = visit().get(f"/failures/{group.id}/{act}").text
    assert "<strong>3</strong>" in page
    assert verb in page


def test_asking_changes_nothing(visit, group, conn):
    before = conn.execute("SELECT max(event_id) FROM events").fetchone()[0]
    for act in ("retry", "skip", "mute", "unmute"):
        visit().get(f"/failures/{group.id}/{act}")
    assert conn.execute("SELECT max(event_id) FROM events").fetchone()[0] == before
    assert count_failed(conn) == 3


def test_a_group_is_tried_again_and_the_page_says_so(visit, group, conn):
    answer = visit().post(f"/failures/{group.id}/retry")
    assert answer.status_code == 303
    assert count_failed(conn) == 0
    assert last_event(conn, "retry_stages")["job_id"] == "papers"
    page = visit().get(answer.headers["location"]).text
    assert "retry of papers: 3 stages" in page


def test_only_the_group_is_touched(visit, group, fail, conn):
    fail(["d"], error="something else")
    visit().post(f"/failures/{group.id}/retry")
    assert count_failed(conn) == 1


def test_a_group_is_skipped_with_who_did_it(visit, group, conn):
    visit().post(f"/failures/{group.id}/skip")
    rows = conn.execute("SELECT reason FROM item_stages WHERE status = 'skipped'").fetchall()
    assert len(rows) == 3
    assert rows[0][0].startswith("skipped by ")


def test_a_muted_group_is_counted_below_the_list_and_shown_when_asked_for(visit, group):
    answer = visit().post(f"/failures/{group.id}/mute")
    assert "The group is muted" in visit().get(answer.headers["location"]).text
    page = visit().get("/failures").text
    assert group.id not in page
    assert "1 muted group is not shown" in page
    assert group.id in visit().get("/failures?all=true").text
    visit().post(f"/failures/{group.id}/unmute")
    assert group.id in visit().get("/failures").text


def test_a_viewer_is_offered_nothing_to_do(visit, group, log_in):
    page = log_in("viewer").get(f"/failures/{group.id}").text
    assert "/retry" not in page
    assert "Mute" not in page


def test_the_list_is_narrowed_by_a_filter_and_by_a_job(visit, group, fail):
    fail(["d"], error="something else")
    assert group.id not in visit().get("/failures?filter=error:TimeoutError+key:d").text
    assert group.id in visit().get("/failures?job=papers").text
    assert visit().get("/failures?job=nope").status_code == 404


def test_a_filter_that_cannot_be_read_is_explained_where_it_was_typed(visit, group):
    answer = visit().get("/failures", params={"filter": "stage:read eror:x"})
    assert answer.status_code == 400
    assert "did you mean" in answer.text
    assert 'value="stage:read eror:x"' in answer.text


def test_hostile_texts_are_texts(visit, fail, conn):
    fail([HOSTILE, "\u202e" * 50], error=HOSTILE + "x" * 1_000_000)
    (one,) = list_groups(conn).groups
    for url in ("/failures", f"/failures/{one.id}", f"/failures/{one.id}/retry"):
        page = visit().get(url).text
        assert HOSTILE not in page
        assert len(page) < 400_000


def test_a_token_for_retrying_cannot_mute(visit, group, conn):
    _, token = make_token(conn, "robot", "operator", "test", scopes={"retry"})
    robot = visit(client=("192.0.2.7", 1), authorization=f"Bearer {token}")
    assert robot.post(f"/failures/{group.id}/mute").status_code == 403
    assert robot.post(f"/failures/{group.id}/retry").status_code == 303
