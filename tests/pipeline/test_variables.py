from __future__ import annotations

import pickle
import sysconfig

import pytest

from pipeline import variables
from pipeline.redaction import Redactor
from pipeline.variables import (
    BUILT_IN,
    UnsetVariableError,
    current_environment,
    hide_variables,
    resolve_params,
    resolve_variables,
)


def test_a_variable_is_replaced_wherever_a_text_is_and_nowhere_else():
    given = {"${KEY}": ["a ${KEY} b", {"deep": "${KEY}${KEY}"}, 3, None, True]}
    assert resolve_variables(given, {"KEY": "x"}) == {"${KEY}": ["a x b", {"deep": "xx"}, 3, None, True]}


def test_what_was_given_is_left_as_it_is():
    given = {"token": "${KEY}"}
    resolve_variables(given, {"KEY": "x"})
    assert given == {"token": "${KEY}"}


@pytest.mark.parametrize("environment", [{}, {"KEY": ""}])
def test_a_default_stands_in_for_what_is_unset_or_empty(environment):
    assert resolve_variables("${KEY:-a:b}", environment) == "a:b"
    assert resolve_variables("${KEY:-}", environment) == ""


def test_a_set_variable_goes_before_its_default():
    assert resolve_variables("${KEY:-default}", {"KEY": "x"}) == "x"


def test_a_variable_may_stand_in_the_env_file_beside_the_settings_and_the_environment_goes_before_it(
    monkeypatch, tmp_path
):
    (tmp_path / ".env").write_text(
        "CELERIAC_CONTACT=me@example.org\nMY_KEY=from-file\nOTHER=from-file\nBARE\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTHER", "environment")
    assert resolve_params({"api_key": "${MY_KEY} ${OTHER} ${BARE:-none}"}) == {
        "api_key": "from-file environment none"
    }


def test_a_value_that_looks_like_a_variable_is_not_resolved_again():
    assert resolve_variables("${A}", {"A": "${B}", "B": "x"}) == "${B}"


@pytest.mark.parametrize("text", ["$KEY", "${}", "${1}", "${KEY", "$${KEY}"])
def test_what_is_no_variable_stays(text):
    assert resolve_variables(text, {"KEY": "x"}) == text.replace("$$", "$")


def test_an_unset_variable_is_named_with_its_nearest():
    with pytest.raises(UnsetVariableError, match=r"'API_KEYY' is not set; did you mean 'API_KEY'\?"):
        resolve_variables(["${API_KEYY}"], {"API_KEY": "x"})


def test_an_unset_variable_without_a_near_one_says_what_to_do():
    error = UnsetVariableError("API_KEY")
    assert "set it, or write ${API_KEY:-default}" in str(error)
    assert pickle.loads(pickle.dumps(error)).name == "API_KEY"  # noqa: S301 - our own bytes


def test_a_secret_is_written_back_as_its_variable():
    hidden = hide_variables("'s3cret/x' is bad", {"url": ["${TOKEN}/x", "${NONE:-d}"]}, {"TOKEN": "s3cret"})
    assert hidden == "'${TOKEN}/x' is bad"


def test_the_built_in_variables_are_there(monkeypatch):
    monkeypatch.setenv("CELERIAC_DATA", "/srv/celeriac")
    environment = current_environment()
    assert set(BUILT_IN) <= set(environment)
    assert environment["PYTHON_STDLIB"] == sysconfig.get_path("stdlib")
    assert environment["CELERIAC_DATA"] == "/srv/celeriac"


def test_a_file_stands_in_for_a_variable_that_is_unset_or_empty(tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    named = {"TOKEN_FILE": str(tmp_path / "token")}
    assert resolve_variables("${TOKEN}", named) == "s3cret"
    assert resolve_variables("${TOKEN:-none}", named | {"TOKEN": ""}) == "s3cret"
    assert resolve_variables("${TOKEN}", named | {"TOKEN": "mine"}) == "mine"
    assert hide_variables("is s3cret", "${TOKEN}", named) == "is ${TOKEN}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * 100_001, "more than 100,000 characters"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_by_its_variable_and_not_shown(tmp_path, content, why):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(
        UnsetVariableError, match=rf"'TOKEN' cannot be had: TOKEN_FILE names a file that .*{why}"
    ) as found:
        resolve_variables("${TOKEN}", {"TOKEN_FILE": str(tmp_path / "token")})
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)  # noqa: S301 - our own bytes
    assert hide_variables("as it is", "${TOKEN}", {"TOKEN_FILE": str(tmp_path / "token")}) == "as it is"


def test_parameters_that_are_resolved_to_run_are_hidden_from_then_on(monkeypatch, tmp_path):
    monkeypatch.setattr(variables, "KNOWN", known := Redactor())
    (tmp_path / "file").write_text("from a file")
    monkeypatch.setenv("PLACE_FILE", str(tmp_path / "file"))
    monkeypatch.setenv("SITE", "https://example.org")
    monkeypatch.setenv("OPENAI_KEY", "sk-123456")
    monkeypatch.setenv("VALUE", "by its place")
    params = {
        "a": "${PLACE}",
        "b": ["${SITE}", "${CELERIAC_DATA}"],
        "c": "x${OPENAI_KEY}",
        "password": "${VALUE}",
    }
    resolved = resolve_params(params)
    assert resolved["a"] == "from a file"
    shown = [*resolved["b"], resolved["c"], resolved["a"], resolved["password"]]
    data = resolved["b"][1]
    assert [known.hide(text) for text in shown] == ["${SITE}", data, "x${OPENAI_KEY}", "${PLACE}", "${VALUE}"]
    assert known.hide_in(shown) == ["https://example.org", data, "x${OPENAI_KEY}", "${PLACE}", "${VALUE}"]
