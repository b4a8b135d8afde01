from __future__ import annotations

import json

import pytest
from filled import STAGES, fill, find_item_id

import tracker
from dashboard import deeds


@pytest.fixture
def act(visit, conn):
    """Ask the API for an act on the job."""
    fill(conn)

    def post(name, job="papers", **body):
        headers = {"content-type": "application/json"}
        return visit().post(f"/api/jobs/{job}/{name}", content=json.dumps(body), headers=headers)

    return post


def status_of(conn, key, stage="read"):
    return tracker.get_stage_status(conn, find_item_id(conn, key), stage)


def event_of(conn, kind):
    row = conn.execute("SELECT * FROM events WHERE kind = ? ORDER BY event_id DESC", (kind,)).fetchone()
    return row["by"], json.loads(row["detail"])


def test_a_job_is_paused_with_who_and_why_and_let_go_on(act, conn):
    paused = act("pause", reason=" site is down ").json()
    assert (paused["act"], paused["pause"]["reason"]) == ("pause", "site is down")
    assert tracker.is_job_paused(conn, "papers")
    assert act("unpause").json()["before"]["reason"] == "site is down"
    assert not tracker.is_job_paused(conn, "papers")


def test_a_stage_is_paused_until_an_instant(act):
    paused = act("pause", reason="model is wrong", stage="note", until="2099-01-01T00:00:00Z").json()
    assert (paused["scope"], paused["stage"], paused["pause"]["until_at"]) == ("stage", "note", 4070908800000)


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("pause", {}, 422, "reason: is missing"),
        ("pause", {"reason": " "}, 422, "reason"),
        ("pause", {"reason": "x", "until": "2001-01-01T00:00:00Z"}, 400, "not in the future"),
        ("pause", {"reason": "x", "until": "9999-12-31T23:59:59-12:00"}, 400, "too far away"),
        ("pause", {"reason": "x", "until": "2099-01-01T00:00:00"}, 422, "timezone"),
        ("pause", {"reason": "x", "till": "2h"}, 422, "till: is not known here"),
        ("pause", {"reason": "x", "stage": "reed"}, 404, "did you mean 'read'"),
        ("retry", {}, 422, "the body: say which"),
        ("retry", {"all": True, "keys": ["c"]}, 422, "one of them"),
        ("retry", {"keys": ["zz"]}, 404, "no item"),
        ("retry", {"filter": "eror:x"}, 400, "did you mean"),
        ("retry", {"filter": " "}, 400, "empty"),
        ("retry", {"filter": "status:failed", "stage": "reed"}, 404, "did you mean 'read'"),
        ("reset", {"all": True}, 422, "stage"),
        ("cancel", {"all": True}, 400, "keys or a filter"),
        ("priority", {"filter": "status:failed", "priority": 2**31}, 422, "priority"),
        ("retry", {"keys": ["\udcff"]}, 400, "a value that cannot be"),
    ],
)
def test_what_cannot_be_done_is_said_as_json(act, name, body, status, words):
    answer = act(name, **body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]


def test_an_unknown_job_is_not_there(act):
    answer = act("wake", job="paper")
    assert (answer.status_code, "did you mean 'papers'" in answer.text) == (404, True)


def test_what_failed_is_tried_again_once_counted(act, conn):
    assert act("retry", all=True, count=True).json() == {
        "act": "retry", "job": "papers", "total": 1, "counts": "stages"
    }  # fmt: skip
    assert status_of(conn, "c") == "failed"
    done = act("retry", all=True)
    assert (done.status_code, done.json()["items"], done.json()["total"]) == (200, 1, 1)
    assert status_of(conn, "c") == "pending"
    by, detail = event_of(conn, "retry_stages")
    assert by
    assert detail["action"] == done.json()["action"]


@pytest.mark.parametrize(
    ("name", "body", "key", "stage", "status"),
    [
        ("retry", {"keys": ["c"]}, "c", "read", "pending"),
        ("retry", {"filter": "error:TimeoutError"}, "c", "read", "pending"),
        ("skip", {"all": True, "reason": "not worth it"}, "c", "read", "skipped"),
        ("skip", {"keys": ["e"], "stage": "read"}, "e", "read", "skipped"),
        ("skip", {"filter": "key:e", "stage": "read"}, "e", "read", "skipped"),
        ("reset", {"keys": ["a"], "stage": "read"}, "a", "note", "pending"),
        ("reopen", {"filter": "key:a"}, "a", "read", "pending"),
        ("cancel", {"keys": ["e"]}, "e", "note", "skipped"),
    ],
)
def test_items_are_acted_on_by_keys_or_by_a_filter(act, conn, name, body, key, stage, status):
    answer = act(name, **body)
    assert (answer.status_code, answer.json()["act"]) == (200, name), answer.text
    assert status_of(conn, key, stage) == status


def test_items_get_a_priority(act, conn):
    act("priority", filter="key:e", priority=7)
    assert conn.execute("SELECT priority FROM work_items WHERE key = 'e'").fetchone()[0] == 7


def test_nothing_to_do_is_no_error(act):
    answer = act("retry", filter="key:a")
    assert (answer.status_code, answer.json()["items"], answer.json()["action"]) == (200, 0, None)


def test_what_takes_long_goes_on_and_is_watched(act, visit, conn, monkeypatch):
    monkeypatch.setattr(deeds, "PATIENCE_SECONDS", 0.0)
    keys = [f"item {n}" for n in range(3000)]
    tracker.upsert_items(conn, "papers", [{"key": key} for key in keys])
    answer = act("cancel", filter="key:item*")
    assert answer.status_code in (200, 202)
    action = answer.json()["action"]
    for _ in range(1000):
        report = visit().get(f"/api/actions/{action}").json()
        if report["finished_at"]:
            break
    assert (report["done"], report["total"], report["counts"]) == (6000, 6000, "stages")


def test_a_role_that_may_only_look_may_not_act(log_in):
    viewer = log_in("viewer")
    for name in (
        "pause",
        "unpause",
        "wake",
        "retry",
        "skip",
        "reset",
        "reopen",
        "cancel",
        "priority",
        "items",
    ):
        assert viewer.post(f"/api/jobs/papers/{name}", json={}).status_code == 403


def test_the_stages_of_the_helper_are_those_of_the_job(open_house):
    jobs, _ = open_house().state.house.read_jobs()
    assert list(jobs.jobs["papers"].stage_names) == STAGES
