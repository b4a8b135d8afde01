from __future__ import annotations

import pytest

from pipeline import catalog
from pipeline.catalog import HANDLER, STRATEGY, find_nearest, load
from pipeline.errors import MissingExtraError, PluginImportError, UnknownNameError


@pytest.mark.parametrize("kind", [STRATEGY, HANDLER], ids=lambda kind: kind.word)
def test_the_table_is_sorted_and_each_name_leads_to_a_class_of_a_module(kind):
    assert list(kind.table) == sorted(kind.table)
    assert all(path.count(":") == 1 for path in kind.table.values())


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in (STRATEGY, HANDLER) for name in kind.table]
)
def test_everything_in_the_catalogue_loads_or_says_which_extra_it_needs(kind, name):
    try:
        assert isinstance(load(kind, name), type)
    except MissingExtraError as error:
        assert "pip install" in str(error)  # noqa: PT017 - either ending is right


def test_a_typo_gets_the_nearest_name():
    with pytest.raises(
        UnknownNameError, match=r"no handler named 'fetchh'; did you mean 'fetch'\?"
    ) as caught:
        load(HANDLER, "fetchh")
    assert caught.value.known == sorted(catalog.HANDLERS)


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("A.txt", ["c.txt", "b.txt", "a.txt"], "a.txt"),
        ("READ_FILE", ["write_file", "read_file"], "read_file"),
        ("reed", ["READ", "read", "Read"], "read"),
        ("straße", ["strand", "STRASSE"], "STRASSE"),
        ("A.txt", ["something else"], None),
        ("A.txt", [], None),
    ],
)
def test_another_case_is_the_least_of_differences(name, known, nearest):
    assert find_nearest(name, known) == nearest


def test_a_name_unlike_any_other_gets_the_list():
    first, second = sorted(catalog.STRATEGIES)[:2]
    with pytest.raises(UnknownNameError, match=f"known: {first}, {second}"):
        load(STRATEGY, "zzz")


def test_a_users_own_class_is_loaded_by_its_dotted_path():
    assert load(HANDLER, "sample_plugins:Step").__name__ == "Step"


def test_a_missing_extra_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "step_with_an_extra.py").write_text("import a_package_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.HANDLERS, "with_an_extra", "step_with_an_extra:Step")
    monkeypatch.setitem(catalog.EXTRAS, "with_an_extra", "pdf")
    with pytest.raises(MissingExtraError, match=r"needs: pip install 'celeriac\[pdf\]'"):
        load(HANDLER, "with_an_extra")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module:Step", "No module named"),
        ("sample_plugins:Stepp", "has no 'Stepp'"),
        ("says_much_at_import:Step", r"raised ImportError: it is a project of its own\. Install it\.$"),
        ("raises_at_import:Step", "raised ZeroDivisionError: division by zero"),
        ("exits_at_import:Step", "raised SystemExit: 3"),
        ("is_no_python:Step", r"raised SyntaxError: .*\(is_no_python.py, line 1\)"),
    ],
)
def test_a_path_that_leads_nowhere_says_why(monkeypatch, tmp_path, path, reason):
    (tmp_path / "says_much_at_import.py").write_text(
        "raise ImportError('it is a project of its own.\\nInstall it.')\n"
    )
    (tmp_path / "raises_at_import.py").write_text("1 / 0\n")
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "is_no_python.py").write_text("def step(\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginImportError, match=reason):
        load(HANDLER, path)
