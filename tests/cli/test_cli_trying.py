from __future__ import annotations

import hashlib
import json

import click
import pytest

from cli import exit_codes
from cli.trying import read_params

THROTTLED = {"status": 429, "headers": {"Retry-After": "30"}}


# -- parameters -------------------------------------------------------------------------------------------


def test_values_are_yaml_as_in_jobs_yaml():
    given = [
        "n=5",
        "on=no",
        "flag=true",
        "day=2026-01-31",
        "text=a=b",
        "list=[a, {b: 1}]",
        "empty=",
        'q="a: b"',
    ]
    assert read_params(given) == {
        "n": 5,
        "on": "no",
        "flag": True,
        "day": "2026-01-31",
        "text": "a=b",
        "list": ["a", {"b": 1}],
        "empty": None,
        "q": "a: b",
    }


def test_dots_in_a_key_lead_into_mappings():
    assert read_params(["headers.Accept=text/html", "headers.X=1", "limit=2"]) == {
        "headers": {"Accept": "text/html", "X": 1},
        "limit": 2,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["limit"], "is no parameter; write KEY=VALUE"),
        (["=5"], "is no parameter; write KEY=VALUE"),
        (["root=a: b: c"], r"root is not YAML: .*; quote a text"),
        (["include=*.pdf"], r"include is not YAML: .*include='\"…\"'"),
        (["limit=1", "limit=2"], "limit is given twice"),
        (["limit=1", "limit.of=2"], "limit has a value already"),
        (["a.b=1", "a=2"], "a is given twice"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(given, message):
    with pytest.raises(click.UsageError, match=message):
        read_params(given)


# -- a strategy without a job -----------------------------------------------------------------------------


def test_a_strategy_is_tried_out_and_its_items_and_fields_are_shown(shell, folder):
    ended = shell("sources", "test", "local_files", "root=files")
    assert ended.code == exit_codes.OK
    lines = ended.out.splitlines()
    assert lines[0].split() == ["key", "data"]
    assert [line.split()[0] for line in lines[1:3]] == ["a.txt", "b.txt"]
    assert ["size", "whole", "number", "2", "of", "2", "16"] in [line.split() for line in lines]
    assert "local_files: 2 found, 2 shown; 0 requests, " in ended.err
    assert not (folder / "data").exists()


def test_a_trial_stops_at_its_limit(shell):
    ended = shell("sources", "test", "manual", "items=[a, b, c]", "--limit", "2", "--json")
    told = json.loads(ended.out)
    assert ([item["key"] for item in told["items"]], told["found"], told["stopped"]) == (["a", "b"], 3, True)


def test_what_is_refused_is_shown_with_its_reason(shell):
    ended = shell("sources", "test", "manual", "items=[a, a, '']")
    assert "refused: key repeated: 1\n" in ended.err
    assert "refused: no key: 1\n" in ended.err


def test_mistakes_are_shown_as_check_does(shell_each):
    ended, unknown, unreadable = shell_each(
        [
            "sources test hacker_news list=bset limt=3",
            "sources test rss_feed",
            "sources test local_files root",
        ]
    )
    assert {ended.code, unknown.code, unreadable.code} == {exit_codes.INVALID}
    assert "list: 'bset' is not allowed (allowed: 'top'" in ended.err
    assert "unknown key 'limt'; did you mean 'limit'? (allowed: base_url, limit, list)" in ended.err
    assert "no strategy named 'rss_feed'; did you mean 'rss_feeds'?" in unknown.err
    assert "Usage: celeriac sources test" in unreadable.err


def test_what_this_machine_lacks_is_said(shell, monkeypatch):
    monkeypatch.delenv("SERPER_API_KEY", raising=False)
    ended = shell("sources", "test", "serper_search", "queries=[x]", CELERIAC_CONTACT="me@example.org")
    assert (ended.code, "'SERPER_API_KEY' is not set" in ended.err) == (exit_codes.FAILED, True)


def test_a_source_that_is_away_or_answers_wrongly_is_told_by_the_code(shell, httpserver):
    httpserver.expect_request("/busy/topstories.json").respond_with_data("", **THROTTLED)
    httpserver.expect_request("/odd/topstories.json").respond_with_json({"no": "list"})
    codes = {}
    for path in ("busy", "odd"):
        base = httpserver.url_for(f"/{path}")
        ended = shell(
            "sources", "test", "hacker_news", f"base_url={base}", CELERIAC_ALLOW_HOSTS="localhost,127.0.0.1"
        )
        codes[path] = ended.code
        assert ended.out == ""
    assert codes == {"busy": exit_codes.SOURCE, "odd": exit_codes.FAILED}


def test_a_strategy_that_breaks_shows_its_traceback(shell_each, folder):
    (folder / "broken_strategies.py").write_text(
        "from discovery.base import BaseDiscovery\n"
        "class Broken(BaseDiscovery):\n"
        "    async def fetch_items(self):\n"
        "        raise KeyError('short_id')\n"
    )
    (ended,) = shell_each(["sources test broken_strategies:Broken"])
    assert ended.code == exit_codes.FAILED
    assert "raise KeyError('short_id')" in ended.err


# -- a job ------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_what_is_new_and_changes_nothing(shell_each, conn, folder):
    database = folder / "data" / "tracker.db"
    (before,) = shell_each(["discover notes --json"])
    assert json.loads(before.out)["new"] == 2
    (folder / "files" / "c.txt").write_text("Seven.")
    conn.close()
    digest = hashlib.sha256(database.read_bytes()).hexdigest()
    dry, told = shell_each(["discover notes --dry-run", "discover notes --dry-run --limit 1 --json"])
    assert (dry.code, told.code) == (exit_codes.OK, exit_codes.OK)
    rows = {line.split()[0]: line.split()[1] for line in dry.out.splitlines()[:4]}
    assert rows == {"key": "state", "a.txt": "known", "b.txt": "known", "c.txt": "new"}
    assert "3 shown (2 known, 1 new)" in dry.err
    assert [item["key"] for item in json.loads(told.out)["items"]] == ["a.txt"]
    assert hashlib.sha256(database.read_bytes()).hexdigest() == digest


def test_a_dry_run_makes_no_tracker(shell, folder):
    assert "(2 new)" in shell("discover", "notes", "--dry-run").err
    assert not (folder / "data").exists()


def test_a_dry_run_of_an_unknown_job_names_the_nearest(shell):
    ended = shell("discover", "nots", "--dry-run")
    assert (ended.code, "did you mean 'notes'?" in ended.err) == (exit_codes.NOT_FOUND, True)


def test_a_limit_is_for_a_dry_run(call):
    ended = call("discover", "notes", "--limit", "3")
    assert (ended.code, "max_items" in ended.err) == (exit_codes.INVALID, True)
