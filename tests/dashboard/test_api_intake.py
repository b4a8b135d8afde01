from __future__ import annotations

import json

import pytest

from dashboard.bounds import MOST_BYTES
from runner.access import make_token

URL = "/api/jobs/papers/items"


@pytest.fixture
def send(visit):
    """Send something to the intake."""

    def post(body, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return visit().post(URL, content=content, headers={"content-type": "application/json", **headers})

    return post


def list_keys(conn):
    return [row[0] for row in conn.execute("SELECT key FROM work_items ORDER BY item_id")]


def counts_of(answer):
    assert answer.status_code == 200, answer.text
    taken = answer.json()
    return taken["received"], taken["new"], taken["known"]


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"key": "a", "data": {"url": "https://x.example"}, "priority": 3}, (1, 1, 0)),
        ([{"key": "a"}, {"key": "b"}], (2, 2, 0)),
        ([{"key": "a"}, {"key": "a"}], (2, 1, 1)),
        ([], (0, 0, 0)),
        (b"", (0, 0, 0)),
        (b'{"key": "a"}\n\n{"key": "b"}\r\n', (2, 2, 0)),
        ('[{"key": "ä"}]'.encode("utf-16"), (1, 1, 0)),
    ],
)
def test_one_item_a_list_or_a_line_each_is_taken_in(send, body, counts):
    assert counts_of(send(body)) == counts


def test_what_is_sent_again_is_known_and_left_as_it_is(send, conn):
    send([{"key": "a", "data": {"n": 1}}])
    assert counts_of(send([{"key": "a", "data": {"n": 2}}, {"key": "b"}])) == (2, 1, 1)
    assert json.loads(conn.execute("SELECT data FROM work_items WHERE key = 'a'").fetchone()[0]) == {"n": 1}


def test_each_sending_is_on_record_with_who_sent_it(visit, conn):
    _, token = make_token(conn, "feeder", "operator", "test", scopes={"enqueue"})
    feeder = visit(
        client=("192.0.2.7", 1), authorization=f"Bearer {token}", **{"sec-fetch-site": "cross-site"}
    )
    assert counts_of(feeder.post(URL, json={"key": "a"})) == (1, 1, 0)
    event = conn.execute("SELECT by, detail FROM events WHERE kind = 'enqueue'").fetchone()
    assert (event["by"], json.loads(event["detail"])) == ("token feeder", {"items": 1, "new": 1})
    assert feeder.get("/api/jobs").status_code == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"nonsense", "line 1 is not JSON"),
        (b'{"key": "a"}\nnonsense', "line 2 is not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "nested"),
        ([{"key": "a"}, {"key": ""}], "item 2: no key"),
        ([{"key": "a"}, {"key": "k" * 1025}], "item 2: key over 1,024 bytes"),
        ([{"key": "a"}, {"data": {}}], "item 2: no key"),
        ([{"key": "a"}, "b"], "item 2: an item is a JSON object"),
        ([{"key": "a"}, {"key": "b", "date": {}}], "unknown field 'date'"),
        ([{"key": "a"}, {"key": "b", "data": [1]}], "data is not a JSON object"),
        ([{"key": "a"}, {"key": "b", "priority": 2**40}], "priority"),
        ([{"key": "a"}, {"key": "\udcff"}], "key is not text"),
        ([{"key": "a"}, {"key": "b", "data": {"n": "\udcff"}}], "item 2: data is not a JSON object"),
        (b'{"key": "a", "data": {"n": NaN}}', "data is not a JSON object"),
        (b'{"key": "a", "data": {"n": ' + b"9" * 5000 + b"}}", "not JSON"),
        (b"17", "an item is a JSON object"),
        (b"null", "an item is a JSON object"),
    ],
)
def test_a_batch_with_one_that_is_no_item_is_refused_whole(send, conn, body, words):
    answer = send(body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert words in answer.json()["error"]
    assert list_keys(conn) == []


def test_more_than_ten_thousand_items_are_refused(send, conn):
    assert send([{"key": str(n)} for n in range(10_001)]).status_code == 413
    assert send(b"\n".join(b'{"key": "%d"}' % n for n in range(10_001))).status_code == 413
    assert list_keys(conn) == []


def test_ten_thousand_are_taken_in(send):
    assert counts_of(send([{"key": str(n)} for n in range(10_000)])) == (10_000, 10_000, 0)


def test_too_many_bytes_are_refused_as_json(send, conn):
    answer = send(b" " * (MOST_BYTES + 1))
    assert (answer.status_code, list(answer.json())) == (413, ["error"])
    assert list_keys(conn) == []


def test_too_many_bytes_are_refused_although_nobody_said_how_many_come(visit):
    def chunks():
        for _ in range(MOST_BYTES // 65536 + 1):
            yield b" " * 65536

    assert visit().post(URL, content=chunks()).status_code == 413


def test_another_job_is_not_there(visit):
    answer = visit().post("/api/jobs/paper/items", json={"key": "a"})
    assert (answer.status_code, answer.json()) == (404, {"error": "no job 'paper'; did you mean 'papers'?"})


def test_who_may_only_look_is_refused_before_a_byte_is_read(log_in):
    assert log_in("viewer").post(URL, content=b"nonsense").status_code == 403
