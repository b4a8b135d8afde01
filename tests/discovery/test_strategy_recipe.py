from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import discovery
from discovery.base import FoundItem
from pipeline.catalog import STRATEGY, load

RECIPE = Path(discovery.__file__).parent.parent / "docs" / "adding-a-strategy.md"
STORIES = [
    {"short_id": name, "url": f"https://example.org/{name}", "title": name, "comments_url": "", "tags": []}
    for name in ("abc", "def", "ghi")
]


def block(language):
    return re.search(rf"```{language}\n(.+?)```", RECIPE.read_text(), re.DOTALL)[1]


@pytest.fixture
def lobsters(tmp_path, monkeypatch):
    (tmp_path / "my_strategies.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    return load(STRATEGY, "my_strategies:Lobsters")


def test_the_strategy_of_the_recipe_finds_what_its_source_lists(lobsters, access, discover, httpserver):
    httpserver.expect_request("/newest.json").respond_with_json(STORIES)
    params = yaml.safe_load(block("yaml"))["lobsters"]["discovery"]
    assert params.pop("strategy") == "my_strategies:Lobsters"
    strategy = lobsters({**params, "limit": 2, "base_url": httpserver.url_for("/").rstrip("/")}, access)
    assert discover(strategy) == [
        FoundItem(name, {"url": f"https://example.org/{name}", "title": name, "comments_url": ""})
        for name in ("abc", "def")
    ]


def test_the_recipe_is_short():
    assert len(block("python").splitlines()) < 40
