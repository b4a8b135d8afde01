"""`celeriac try`."""

from __future__ import annotations

import json

import pytest

from cli import exit_codes

KITCHEN = """
from pipeline.outcomes import GiveUp, RetryLater, Skip

def cook(context, *, how="done"):
    context.progress(1, 2, "cooking")
    context.cost(0.25, "gas", cubic_metres=2)
    context.cost(None, "salt")
    context.artifact("../soup.txt", b"soup")
    context.artifact("soup.txt", b"more soup")
    if how == "raise":
        raise KeyError("ladle")
    endings = {"skip": Skip("no guests"), "never": GiveUp("burnt"), "later": RetryLater(60, "simmering")}
    return endings.get(how) or {"key": context.key, "data": context.data, "results": context.results}
"""


@pytest.fixture
def cook(folder, shell):
    """Try the kitchen's function."""
    (folder / "kitchen.py").write_text(KITCHEN)

    def run(how="done", *options, given="{}"):
        params = ["function=kitchen:cook", f"arguments.how={how}"]
        return shell("try", "python", *params, *options, given=given)

    return run


def test_the_result_is_printed_and_what_it_spent_kept_and_told_beside_it(cook, folder):
    ended = cook(given='{"title": "Grüße"}')
    assert json.loads(ended.out) == {"key": "trial", "data": {"title": "Grüße"}, "results": {}}
    assert ended.code == exit_codes.OK
    for said in (
        "python (version ",
        "): done (",
        "cost: $0.250000, gas (2 cubic_metres)",
        "cost: unknown price, salt",
    ):
        assert said in ended.err
    assert "artifact: ../soup.txt, 4 bytes, sha256:" in ended.err
    assert "progress: 1 of 2 cooking" in ended.err
    assert not (folder / "data").exists()


def test_all_of_it_as_json(cook):
    told = json.loads(cook("later", "--json").out)
    ran = told["ran"]
    assert (told["handler"], ran["ending"], ran["reason"], ran["delay_seconds"]) == (
        "python",
        "retry_later",
        "simmering",
        60,
    )
    assert ran["costs"][0] | {"units": None} == {
        "usd": 0.25,
        "provider": "gas",
        "units": None,
        "model": None,
        "price": None,
    }
    assert ran["progress"] == {"done": 1, "total": 2, "note": "cooking"}
    assert [pointer["bytes"] for pointer in ran["artifacts"]] == [4, 9]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("skip", exit_codes.OK, "skipped: no guests"),
        ("never", exit_codes.FAILED, "gave up: burnt"),
        ("later", exit_codes.WAITING, "wants to be tried later in 1 m: simmering"),
    ],
)
def test_each_ending_has_its_exit_code_and_no_result(cook, how, code, said):
    ended = cook(how)
    assert (ended.code, ended.out, said in ended.err) == (code, "", True)


def test_a_handler_that_raises_shows_where(shell_each, folder):
    (folder / "kitchen.py").write_text(KITCHEN)
    (ended,) = shell_each(["try python function=kitchen:cook arguments.how=raise"])
    assert ended.code == exit_codes.FAILED
    assert 'raise KeyError("ladle")' in ended.err


def test_a_source_that_is_away_is_told_by_the_code(shell):
    allowed = {"CELERIAC_ALLOW_HOSTS": "127.0.0.1"}
    ended = shell("try", "http_call", "url=http://127.0.0.1:1/", **allowed)
    assert (ended.code, ended.out) == (exit_codes.SOURCE, "")
    assert "SourceUnavailableError: http://127.0.0.1/… did not answer" in ended.err


def test_what_it_kept_is_copied_where_one_says_and_nothing_is_written_over(cook, folder):
    (folder / "out").mkdir()
    (folder / "out" / "soup.txt").write_text("mine")
    ended = cook("done", "--keep", "out")
    found = {path.name: path.read_text() for path in (folder / "out").iterdir()}
    assert found == {"soup.txt": "mine", "soup-2.txt": "soup", "soup-3.txt": "more soup"}
    assert not (folder / "soup.txt").exists()
    assert "copied to out/soup-2.txt" in ended.err


def test_an_input_that_is_no_object_is_refused(shell):
    ended = shell("try", "summarise_text", given="[1]")
    assert (ended.code, "no JSON object, but list" in ended.err) == (exit_codes.INVALID, True)


def test_mistakes_are_shown_as_check_does(shell_each):
    unknown, wrong = shell_each(["try fetsh", "try summarise_text sentences=0 sentense=1"])
    assert {unknown.code, wrong.code} == {exit_codes.INVALID}
    assert "no handler named 'fetsh'; did you mean 'fetch'?" in unknown.err
    assert "unknown key 'sentense'; did you mean 'sentences'?" in wrong.err


def test_a_folder_that_cannot_be_kept_in_is_told_of_before_the_handler_runs(cook, folder):
    (folder / "file").write_text("a file, and no folder")
    ended = cook("raise", "--keep", "file/out")
    assert (ended.code, ended.out) == (exit_codes.UNUSABLE, "")
    assert ended.err == "celeriac: cannot write file/out: Not a directory\n"


def test_a_function_without_its_module_is_told_the_form_in_words(shell):
    ended = shell("try", "python", "function=kitchen")
    assert ended.code == exit_codes.INVALID
    assert "'kitchen' has the wrong form (allowed: package.module:function)" in ended.err
