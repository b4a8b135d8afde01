from __future__ import annotations

import sys
import textwrap
import types

import pytest
import yaml
from pydantic import BaseModel, Field, SecretStr

from pipeline import catalog
from pipeline.catalog import EXTRAS, HANDLER, HANDLERS, STRATEGIES, STRATEGY, load
from pipeline.errors import UnknownNameError
from pipeline.plugin_docs import describe_plugin, list_plugins, show_default
from pipeline.shorthand import name_stage
from pipeline.variables import VARIABLE
from pipeline.yaml_document import parse_yaml

EVERY_STRATEGY = pytest.mark.parametrize("name", sorted(STRATEGIES))
EVERY_HANDLER = pytest.mark.parametrize("name", sorted(HANDLERS))


class Page(BaseModel):
    """A page, and how deep to go."""

    url: str = Field(description="Where it is.")
    below: list[Page] = Field([], description="Those below.")


class Pages:
    """
    Find pages.

    Key: the address. Data: `{"url": str}`. One request.
    Example: {strategy: "sample_pages:Pages", pages: [a]}
    """

    class Params(BaseModel):
        limit: int = Field(5, description="How many.")
        pages: list[str | Page] = Field(description="Which.")
        api_key: SecretStr = Field(description="The key.")
        token: SecretStr | None = Field(None, description="The token.")

    from_environment = {"api_key": "SAMPLE_KEY", "token": "SAMPLE_TOKEN:-"}  # noqa: RUF012

    async def discover(self):
        return []


@pytest.fixture
def pages(monkeypatch):
    module = types.ModuleType("sample_pages")
    module.Pages = Pages
    monkeypatch.setitem(sys.modules, "sample_pages", module)
    yield describe_plugin(STRATEGY, "sample_pages:Pages")
    load.cache_clear()


def count_words(context, *, least=1):
    return {"words": least}


@pytest.fixture
def kitchen(monkeypatch):
    """Let the function be there that the example of `python` names."""
    module = types.ModuleType("kitchen")
    module.count_words = count_words
    monkeypatch.setitem(sys.modules, "kitchen", module)


class Plain:
    """Do what needs no example."""

    class Params(BaseModel):
        pass

    def run(self, _):
        return {}


class Shown(Plain):
    """
    Do as the example says.

    Example: {handler: "sample_stages:Shown", params: {}}
    """


def test_the_example_of_a_handler_of_ones_own_is_a_stage_with_a_name(monkeypatch):
    module = types.ModuleType("sample_stages")
    module.Plain, module.Shown = Plain, Shown
    monkeypatch.setitem(sys.modules, "sample_stages", module)
    for name, kind in (("plain", "Plain"), ("shown", "Shown")):
        (stage,) = parse_yaml(describe_plugin(HANDLER, f"sample_stages:{kind}").example.encode()).data
        assert (stage["name"], stage["handler"]) == (name, f"sample_stages:{kind}")
    load.cache_clear()


def test_required_parameters_come_first(pages):
    assert [each.name for each in pages.parameters] == ["pages", "limit", "api_key", "token"]
    assert [each.required for each in pages.parameters] == [True, False, False, False]


def test_a_parameter_from_the_environment_is_shown_as_its_variable(pages):
    assert [show_default(each) for each in pages.parameters[2:]] == ["${SAMPLE_KEY}", "${SAMPLE_TOKEN:-}"]
    assert [(each.variable, each.required) for each in pages.environment] == [
        ("SAMPLE_KEY", True),
        ("SAMPLE_TOKEN", False),
    ]


def test_a_model_inside_of_a_parameter_is_described_once_even_if_it_holds_itself(pages):
    assert [(form.form, form.about) for form in pages.forms] == [
        ("{url, below}", "A page, and how deep to go.")
    ]
    assert [each.type for each in pages.forms[0].parameters] == ["text", "list of {url, below}"]


def test_the_example_is_a_job_for_below_the_key_jobs(pages):
    assert pages.example == textwrap.indent(
        "pages:\n  discovery:\n    strategy: sample_pages:Pages\n    pages: [a]\n"
        "  schedule: '@hourly'\n  stages: [fetch]\n",
        "  ",
    )


@EVERY_STRATEGY
def test_the_example_of_every_strategy_is_a_job_that_checks(name, load_jobs):
    doc = describe_plugin(STRATEGY, name)
    named = {each.variable for each in doc.environment}
    named |= {found["name"] for found in VARIABLE.finditer(doc.example) if found["name"]}
    environment = dict.fromkeys(named, "set") | {"CELERIAC_CONTACT": "me@example.org"}
    jobs = load_jobs(f"version: 1\njobs:\n{doc.example}", environment)
    assert [job.discovery.strategy for job in jobs.jobs.values()] == [name]
    assert jobs.unavailable == {}


@EVERY_HANDLER
def test_the_example_of_every_handler_is_a_stage_that_checks(name, load_jobs, kitchen):
    stages = parse_yaml(describe_plugin(HANDLER, name).example.encode()).data
    before = [each for each in ("read_file", "article", "summarise_text") if each != name]
    stage = {"needs": before, **name_stage(stages[0])}
    job = {"discovery": {"strategy": "manual", "items": ["x"]}, "stages": [*before, stage]}
    text = yaml.safe_dump({"version": 1, "jobs": {"sample": job}}, width=10_000)
    named = {found["name"] for found in VARIABLE.finditer(text) if found["name"]}
    loaded = load_jobs(
        text, dict.fromkeys(named, "https://set.example.org") | {"CELERIAC_CONTACT": "me@example.org"}
    )
    assert loaded.jobs["sample"].stages[-1].handler == name
    assert loaded.unavailable == {}


@EVERY_STRATEGY
def test_every_strategy_says_what_a_page_needs(name):
    doc = describe_plugin(STRATEGY, name)
    assert doc.summary.endswith(".")
    assert {"Key", "Order", "Data", "Source"} <= set(doc.entries)
    assert doc.extra == EXTRAS.get(name)
    assert all(each.description.endswith(".") for form in doc.forms for each in form.parameters)


@EVERY_STRATEGY
def test_no_type_of_a_parameter_is_left_in_python(name):
    doc = describe_plugin(STRATEGY, name)
    said = [each.type for holder in (doc, *doc.forms) for each in holder.parameters]
    assert [each for each in said if "[" in each or "|" in each or "<" in each] == []


def test_a_list_has_all_of_the_catalogue():
    assert [each.name for each in list_plugins(STRATEGY, {})] == sorted(STRATEGIES)
    assert [each.name for each in list_plugins(HANDLER, {})] == sorted(HANDLERS)


def test_what_lacks_its_extra_is_listed_with_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "needy_strategy.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.STRATEGIES, "needy", "needy_strategy:Needy")
    monkeypatch.setitem(catalog.EXTRAS, "needy", "needy")
    lacks = {each.name: each.lacks for each in list_plugins(STRATEGY, {})}
    assert lacks["needy"] == "pip install 'celeriac[needy]'"
    assert lacks["manual"] is None


def test_what_lacks_its_variable_is_listed_with_which(monkeypatch, pages):
    monkeypatch.setitem(catalog.STRATEGIES, "pages", "sample_pages:Pages")
    for environment, lacks in (({}, "set SAMPLE_KEY"), ({"SAMPLE_KEY": "x"}, None)):
        listed = {each.name: each for each in list_plugins(STRATEGY, environment)}
        assert listed["pages"].lacks == lacks
        assert listed["pages"].summary == "Find pages."


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'rss_feeds'"):
        describe_plugin(STRATEGY, "rss_feed")
