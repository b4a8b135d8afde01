from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from cli import exit_codes
from pipeline.catalog import HANDLER, HANDLERS, STRATEGIES, STRATEGY
from pipeline.jobs_file import load_jobs_file
from pipeline.plugin_docs import describe_plugin


def test_every_strategy_is_listed_with_what_it_does(call):
    ended = call("strategies")
    assert ended.code == exit_codes.OK
    rows = {row.split()[0]: row for row in ended.out.splitlines()[1:]}
    assert sorted(rows) == sorted(STRATEGIES)
    assert "Find the files below a folder." in rows["local_files"]


def test_every_handler_is_listed(call):
    assert [row.split()[0] for row in call("handlers").out.splitlines()[1:]] == sorted(HANDLERS)


def test_a_strategy_whose_variable_is_not_set_is_listed_with_the_word_for_it(call, monkeypatch):
    monkeypatch.delenv("SERPER_API_KEY", raising=False)
    lacks = {each["name"]: each["lacks"] for each in json.loads(call("strategies", "--json").out)}
    assert lacks["serper_news"] == "set SERPER_API_KEY"


def test_a_strategy_is_shown_with_its_parameters_and_what_it_finds(call):
    shown = call("strategies", "rss_feeds").out
    for part in ("list of text or {url, name}", "required", "{url, name}: A feed", "\nKey: ", "\nRequests: "):
        assert part in shown
    assert shown.index("feeds ") < shown.index("limit ")


def test_a_variable_that_a_strategy_reads_is_shown(call):
    assert "api_key is taken from SERPER_API_KEY" in call("strategies", "serper_search").out


@pytest.mark.parametrize(
    ("command", "kind", "name"), [("strategies", STRATEGY, "manual"), ("handlers", HANDLER, "fetch")]
)
def test_json_is_the_record(call, command, kind, name):
    told = json.loads(call(command, name, "--json").out)
    assert told == json.loads(json.dumps(asdict(describe_plugin(kind, name))))


def test_the_example_can_be_pasted_as_it_is_printed(call, folder):
    example = call("strategies", "local_files").out.partition("Example:\n")[2]
    (folder / "pasted.yaml").write_text(f"version: 1\njobs:\n{example}")
    assert load_jobs_file(folder / "pasted.yaml").jobs["local-files"].discovery.strategy == "local_files"


@pytest.mark.parametrize(
    ("command", "name", "meant"), [("strategies", "rss_feed", "rss_feeds"), ("handlers", "fech", "fetch")]
)
def test_an_unknown_name_is_answered_with_the_nearest(call, command, name, meant):
    ended = call(command, name)
    assert ended.code == exit_codes.INVALID
    assert f"did you mean {meant!r}?" in ended.err


def test_a_class_of_ones_own_is_shown_too(shell, folder):
    (folder / "my_own_strategies.py").write_text("from discovery.manual import Manual as Mine\n")
    ended = shell("strategies", "my_own_strategies:Mine", PYTHONSAFEPATH="1")
    assert (ended.code, "{key, data, priority}" in ended.out) == (exit_codes.OK, True)
