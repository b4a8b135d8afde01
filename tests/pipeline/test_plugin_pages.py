from __future__ import annotations

import dataclasses
import re

import pytest

from pipeline import plugin_pages
from pipeline.plugin_pages import PAGES, main, render_page

EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file_name)


@EVERY_PAGE
def test_the_committed_page_is_up_to_date(page):
    assert page.path.read_text(encoding="utf-8") == render_page(page), "run python -m pipeline.plugin_pages"


@EVERY_PAGE
def test_every_name_of_the_catalogue_has_its_section_and_its_line_in_the_contents(page):
    text = render_page(page)
    assert sorted(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == sorted(page.kind.table)
    assert sorted(re.findall(r"\]\(#(\w+)\)", text)) == sorted(page.kind.table)


@EVERY_PAGE
def test_every_name_of_the_catalogue_is_in_one_family(page):
    placed = [name for names in page.families.values() for name in names]
    assert sorted(placed) == sorted(page.kind.table)


@EVERY_PAGE
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page):
    for table in re.findall(r"(?:^\|.*\n)+", render_page(page), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@EVERY_PAGE
def test_every_link_of_a_page_leads_to_a_page_that_is_there(page):
    links = re.findall(r"\]\(([\w-]+\.md)", render_page(page))
    assert links
    assert all((plugin_pages.FOLDER / link).is_file() for link in links)


@pytest.mark.parametrize(("text", "status"), [("old", 1), (None, 0)])
def test_check_says_whether_the_pages_are_up_to_date(monkeypatch, tmp_path, capsys, text, status):
    monkeypatch.setattr(plugin_pages, "FOLDER", tmp_path)
    assert main(["--check"]) == 1
    assert "strategies.md" in capsys.readouterr().err
    assert main([]) == 0
    if text:
        (tmp_path / "handlers.md").write_text(text)
    assert main(["--check"]) == status


def test_a_name_without_a_family_is_not_left_out():
    homeless = dataclasses.replace(PAGES[1], families={})
    assert "### fetch" in render_page(homeless).partition("## Others")[2]
