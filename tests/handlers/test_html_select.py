"""The handler `html_select`, on pages good and bad."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from handlers.html_select import HtmlSelect
from handlers.running import run_handler
from pipeline.outcomes import GiveUp, Skip

PAGE = """<!doctype html><html><head><base href="/shop/"></head><body>
<h1>All
  roots</h1>
<ul>
  <li class="root" data-id="7"><a href="celeriac">Celeriac <b>fresh</b></a> <span class="price">2.50</span></li>
  <li class="root" data-id="8"><a href="https://other.example/c">Carrot</a></li>
</ul>
<img src="i.png"><input disabled><a class="mail" href="mailto:me@garden.example">Write</a>
</body></html>"""


@pytest.fixture
def select(make_context):
    """Select from a page as the result of a stage `fetch`."""

    def run(fields: dict, page: str = PAGE, **params):
        results = {"fetch": {"url": "https://garden.example/a/b", "text": page}}
        return run_handler(HtmlSelect({"fields": fields, **params}), make_context(results=results))

    return run


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("h1", "All roots"),
        (".root", "Celeriac fresh 2.50"),
        (".root@data-id", "7"),
        ({"select": ".root@data-id", "all": True}, ["7", "8"]),
        ("img@src", "https://garden.example/shop/i.png"),
        (
            {"select": ".root a@href", "all": True},
            ["https://garden.example/shop/celeriac", "https://other.example/c"],
        ),
        (".mail@href", "mailto:me@garden.example"),
        ("input@disabled", ""),
        ({"select": "b", "html": True}, "<b>fresh</b>"),
    ],
)
def test_a_field_is_a_text_an_attribute_some_html_or_a_list(select, wanted, found):
    assert select({"title": "h1", "field": wanted})["field"] == found


def test_an_object_has_its_fields_looked_up_within_it(select):
    within = {"id": "@data-id", "name": "a", "price": ".price"}
    assert select({"roots": {"select": ".root", "all": True, "fields": within}}) == {
        "roots": [
            {"id": "7", "name": "Celeriac fresh", "price": "2.50"},
            {"id": "8", "name": "Carrot", "price": None},
        ]
    }


def test_what_is_not_found_is_none_or_an_empty_list(select):
    assert select({"title": "h1", "one": "h6", "all": {"select": "h6", "all": True}}) == {
        "title": "All roots",
        "one": None,
        "all": [],
    }


def test_a_page_with_nothing_that_is_looked_for_is_skipped(select):
    assert select({"one": "h6", "all": {"select": "h6", "all": True}}) == Skip(
        "none of the selectors found anything"
    )
    assert isinstance(select({"title": "h1"}, ""), Skip)


def test_a_required_field_that_is_empty_is_named(select):
    within = {"price": {"select": ".price", "required": True}}
    fields = {
        "title": {"select": "h6", "required": True},
        "roots": {"select": ".root", "all": True, "fields": within},
    }
    assert select(fields) == GiveUp("required, but not found: title, roots.price")


def test_a_long_text_is_cut(select):
    assert select({"title": "h1"}, max_chars=5) == {"title": "All r"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"a": "p["},
        {"a": "p::nope("},
        {"a": {"select": "p["}},
        {"a": {"select": "p", "fields": {"b": "p["}}},
        {"a": {"select": "p@id", "html": True}},
        {"a": {"select": "p@id", "fields": {"b": "p"}}},
        {"a": {"select": "p", "every": True}},
    ],
)
def test_a_mistake_in_the_fields_is_told_before_it_runs(fields):
    with pytest.raises(ValidationError):
        HtmlSelect({"fields": fields})


@pytest.mark.parametrize("tag", ["div", "ul><li", "table><tr><td", "span", "b", "svg", "q"])
def test_html_nested_a_hundred_thousand_deep_ends_soon_and_clearly(select, tag):
    outcome = select({"p": "div p"}, f"<html><body>{f'<{tag}>' * 100_000}<p>deep")
    assert isinstance(outcome, dict | Skip | GiveUp)


def test_a_selector_that_takes_for_ever_on_a_page_made_for_it_is_given_up_in_time(select):
    outcome = select({"p": ".a div div div p"}, f"<body>{'<div>' * 4_000}<p>deep", max_seconds=1)
    assert isinstance(outcome, GiveUp)
    assert "longer than max_seconds (1)" in outcome.reason


def test_a_page_of_hundreds_of_megabytes_is_given_up_without_being_taken_into_memory(make_context):
    piece = b"<p>roots</p>" * 100_000
    kept = make_context().artifact("page.html", (piece for _ in range(420)), "text/html")
    assert kept["bytes"] > 500_000_000
    outcome = run_handler(HtmlSelect({"fields": {"p": "p"}}), make_context(results={"fetch": {"body": kept}}))
    assert isinstance(outcome, GiveUp)
    assert "page.html is a text of 504,000,000 bytes; at most 20,971,520 are read" in outcome.reason


def test_a_text_that_was_kept_as_an_artifact_is_read_from_there(make_context):
    kept = make_context().artifact("page.html", "<h1>Grüße</h1>".encode(), "text/html")
    context = make_context(results={"fetch": {"body": kept, "url": "https://garden.example/"}})
    assert run_handler(HtmlSelect({"fields": {"title": "h1"}}), context) == {"title": "Grüße"}
