from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from filled import fill

import dashboard
import tracker
from cli.main import main
from tracker.event_pages import LOOK_AT
from tracker.failures import list_groups


@pytest.fixture
def filled(conn):
    fill(conn)


@pytest.fixture
def read(visit):
    """Read one of the API's answers."""

    def get(path, **params):
        answer = visit().get(f"/api{path}", params=params or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture
def call(settings, monkeypatch, capsys):
    """Call a command, and read the JSON that it prints."""
    monkeypatch.setenv("CELERIAC_JOBS", str(settings.jobs))
    monkeypatch.setenv("CELERIAC_DATA", str(settings.data))
    monkeypatch.setenv("CELERIAC_DB", str(settings.db_path))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    return run


PAIRS = {
    "/jobs": ("status",),
    "/jobs/papers": ("status", "papers"),
    "/jobs/papers/items?filter=status:failed": ("items", "papers", "--filter", "status:failed"),
    "/jobs/papers/items?filter=stage:read&limit=2": (
        "items",
        "papers",
        "--filter",
        "stage:read",
        "--limit",
        "2",
    ),
    "/items?job=papers&key=a": ("show", "papers", "a"),
    "/failures": ("failures",),
    "/failures?job=papers&filter=stage:read": ("failures", "papers", "--filter", "stage:read"),
    "/costs": ("costs",),
    "/costs?job=papers&by=model&since=7d": ("costs", "papers", "--by", "model", "--since", "7d"),
    "/workers": ("workers",),
    "/explain?job=papers": ("explain", "papers"),
    "/explain?job=papers&key=c": ("explain", "papers", "c"),
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("path", PAIRS)
def test_the_api_gives_what_the_command_prints(read, call, path):
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=5), tick=False):
        assert read(path) == call(*PAIRS[path])


@pytest.mark.usefixtures("filled")
def test_the_records_in_a_page_are_those_that_the_command_prints(read, call, conn):
    assert read("/jobs/papers/results")["results"] == call("results", "papers")
    assert read("/jobs/papers/results", stage="note")["results"] == call("results", "papers", "note")
    assert read("/events", limit=1000)["events"] == call("events", "--limit", "1000")
    assert read("/events", job="papers", limit=3)["events"] == call("events", "papers", "--limit", "3")
    assert read("/jobs/papers/stages") == call("status", "papers")["stages"]
    (group,) = list_groups(conn).groups
    assert read(f"/failures/{group.id}") == call("failures", "show", group.id)


@pytest.mark.usefixtures("filled")
def test_items_are_read_page_by_page_to_the_end(read):
    keys, after = [], ""
    while after is not None:
        page = read("/jobs/papers/items", limit=2, after=after)
        keys += [one["key"] for one in page["items"]]
        after = page["next_after"]
    assert keys == list("abcde")


@pytest.mark.usefixtures("filled")
def test_results_are_read_page_by_page_to_the_end(read):
    found, after = [], ""
    while after is not None:
        page = read("/jobs/papers/results", limit=1, after=after)
        found += [(one["key"], one["stage"]) for one in page["results"]]
        after = page["next_after"]
    assert found == [("a", "read"), ("a", "note"), ("b", "read")]


@pytest.mark.usefixtures("filled")
def test_events_are_followed_without_missing_one(read, conn):
    followed, after = [], 0
    while True:
        page = read("/events", after=after, limit=3)
        followed += [one["event_id"] for one in page["events"]]
        after = page["next_after"]
        if page["is_last"]:
            break
    assert followed == [row[0] for row in conn.execute("SELECT event_id FROM events ORDER BY event_id")]
    tracker.log_event(conn, "papers", "wake", by="ann")
    (new,) = read("/events", after=after)["events"]
    assert (new["kind"], new["by"]) == ("wake", "ann")
    assert read("/events", by="ann")["events"] == [new]
    assert read("/events", acts=True, kind="wake")["events"] == [new]


def test_a_rare_event_is_found_by_going_on_though_a_page_looks_at_so_many(read, conn):
    rows = [(1, "papers", 7, "claim")] * (LOOK_AT + 10)
    conn.execute("BEGIN")
    conn.executemany("INSERT INTO events (at, job_id, item_id, kind) VALUES (?, ?, ?, ?)", rows)
    conn.execute("COMMIT")
    tracker.log_event(conn, "papers", "poisoned", item_id=7)
    first = read("/events", after=0, kind="poisoned")
    assert (first["events"], first["is_last"]) == ([], False)
    assert [one["kind"] for one in read("/events", after=first["next_after"], kind="poisoned")["events"]] == [
        "poisoned"
    ]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/jobs/paper", 404, "did you mean 'papers'"),
        ("/jobs/papers/results?stage=rea", 404, "did you mean 'read'"),
        ("/jobs/papers/items?filter=eror:x", 400, "did you mean"),
        ("/jobs/papers/items?after=x", 400, "next_after"),
        ("/jobs/papers/items?after=papers:99999999999999999999999:", 400, "next_after"),
        ("/jobs/papers/results?after=1:2:3", 400, "next_after"),
        ("/jobs/papers/items?limit=0", 422, "limit"),
        ("/events?after=-1", 422, "after"),
        ("/events?after=99999999999999999999999", 422, "after"),
        ("/items?job=papers", 422, "key"),
        ("/items?job=papers&key=nope", 404, "no item"),
        ("/costs?since=gestern", 400, "since"),
        ("/costs?since=0001-01-01T00:00%2B14:00", 400, "since"),
        ("/costs?by=luck", 422, "by"),
        ("/failures/zz", 404, "no group"),
        ("/actions/99", 404, "no action"),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_every_error_is_json_that_says_what_is_wrong(visit, path, status, words):
    answer = visit().get(f"/api{path}")
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]


def test_who_is_not_known_is_told_so_as_json(visit, accounts):
    answer = visit().get("/api/jobs")
    assert (answer.status_code, answer.json()) == (401, {"error": "log in, or send a token"})
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_page_of_another_site_is_told_so_as_json(visit):
    answer = visit(**{"sec-fetch-site": "cross-site"}).post("/api/jobs/papers/wake")
    assert (answer.status_code, list(answer.json())) == (403, ["error"])


def test_half_a_surrogate_pair_is_told_by_its_number(read, conn):
    tracker.log_event(conn, "papers", "discover", detail={"file": "\udcff"})
    assert read("/events")["events"][-1]["detail"] == {"file": "\udcff"}


def test_the_document_describes_every_answer_of_the_api(visit):
    document = visit().get("/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            content = described["responses"]["200"]["content"]
            is_file = list(content) == ["application/octet-stream"]
            assert is_file or content["application/json"]["schema"], (method, path)
            if path.startswith("/api/"):
                assert described["responses"]["422"]["content"]["application/json"]["schema"][
                    "$ref"
                ].endswith("/Problem")
    assert "/login" not in document["paths"]


def test_every_route_of_the_api_is_in_its_documentation_and_no_other(app):
    text = (Path(dashboard.__file__).parent.parent / "docs" / "api.md").read_text()
    documented = set(re.findall(r"`((?:GET|POST|PUT) /(?:api/)?[^?`]+)[^`]*`", text))
    there = set()
    for path, methods in app.openapi()["paths"].items():
        named = path.replace("{group}", "ID").replace("{action}", "ID")
        named = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), named)
        there |= {f"{method.upper()} {named}" for method in methods}
    assert documented - {"GET /metrics"} == there
