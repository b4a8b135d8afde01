"""docs/adding-a-strategy.md does what it says."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import discovery
from discovery.base import FoundItem, Recalled
from discovery.memory import EnoughError
from pipeline.catalog import STRATEGY, load
from pipeline.plugin_docs import describe_plugin

RECIPE = Path(discovery.__file__).parent.parent / "docs" / "adding-a-strategy.md"
STORIES = [
    {
        "short_id": name,
        "url": f"https://example.org/{name}",
        "title": name.title(),
        "created_at": "2026-11-25T04:30:00.000-06:00",
        "tags": [],
    }
    for name in ("abc", "def", "ghi")
]


def blocks(language):
    return re.findall(rf"```{language}\n(.+?)```", RECIPE.read_text(), re.DOTALL)


@pytest.fixture
def written(tmp_path, monkeypatch):
    (tmp_path / "my_strategies.py").write_text("\n\n".join(blocks("python")))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_strategies", None)
    load.cache_clear()


@pytest.fixture
def lobsters(written, access, httpserver):
    params = yaml.safe_load(blocks("yaml")[0])["lobsters"]["discovery"]
    assert params.pop("strategy") == "my_strategies:Lobsters"
    make = load(STRATEGY, "my_strategies:Lobsters")
    return lambda **more: make(
        {**params, "limit": 2, "base_url": httpserver.url_for("").rstrip("/")}, replace(access, **more)
    )


@pytest.fixture
def archive(written, access, httpserver):
    """Serve three pages to who has the key; make the strategy that reads them."""
    for page in (1, 2, 3):
        records = [{"id": f"{page}-{n}", "title": "T"} for n in range(2)]
        request = {"query_string": f"page={page}", "headers": {"X-Api-Key": "k"}}
        httpserver.expect_request("/records", **request).respond_with_json(
            {"records": records, "more": page < 3}
        )
    params = {"base_url": httpserver.url_for("").rstrip("/"), "api_key": "k"}
    make = load(STRATEGY, "my_strategies:Archive")
    return lambda **more: make(params, replace(access, **more))


def test_the_strategy_of_the_recipe_finds_what_its_source_lists(lobsters, discover, httpserver):
    httpserver.expect_request("/newest.json").respond_with_json(STORIES)
    assert discover(lobsters()) == [
        FoundItem(
            name,
            {
                "url": f"https://example.org/{name}",
                "title": name.title(),
                "published_at": "2026-11-25T10:30:00+00:00",
            },
            version=name.title(),
        )
        for name in ("abc", "def")
    ]


def test_it_finds_nothing_where_nothing_has_changed(lobsters, discover, httpserver):
    httpserver.expect_request("/newest.json", headers={"If-None-Match": '"1"'}).respond_with_data(status=304)
    assert discover(lobsters(recall=lambda _: Recalled(etag='"1"'))) == []


def test_the_recipe_is_short():
    assert len(blocks("python")[0].splitlines()) < 40


def test_the_paging_strategy_goes_through_all_pages_and_then_begins_anew(archive, discover):
    batches = []
    discover(archive(receive=batches.append))
    assert [(batch.source, len(batch.items), batch.cursor) for batch in batches] == [
        ("records", 2, 2),
        ("records", 2, 3),
        ("records", 2, None),
    ]


def test_the_paging_strategy_goes_on_where_it_was(archive, discover):
    found = discover(archive(recall=lambda _: Recalled(cursor=3)))
    assert [item.key for item in found] == ["3-0", "3-1"]


def test_the_paging_strategy_stops_when_it_is_enough(archive, discover, httpserver):
    def receive(batch):
        raise EnoughError

    discover(archive(receive=receive))
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("name", ["Lobsters", "Archive"])
def test_the_strategies_of_the_recipe_document_themselves(written, name):
    doc = describe_plugin(STRATEGY, f"my_strategies:{name}")
    assert {"Key", "Order", "Data", "Requests", "Source"} == set(doc.entries)
    assert all(each.description for each in doc.parameters)


def test_the_recipe_names_all_the_recordings():
    named = set(re.findall(r"`(\w+)\.http`", RECIPE.read_text()))
    assert named == {"good", "empty", "throttled", "broken"}
