from __future__ import annotations

import pickle
import sysconfig

import pytest

from pipeline.variables import (
    BUILT_IN,
    UnsetVariableError,
    current_environment,
    hide_variables,
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
