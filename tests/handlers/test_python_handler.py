"""The handler `python`, on functions of a user's own."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from handlers.python import Python
from handlers.running import run_handler
from pipeline.errors import HandlerContractError
from pipeline.outcomes import Skip

SOURCE = """
from pipeline.outcomes import Skip

NUMBER = 7

def count(context, *, letter="a", times=1):
    return {"count": context.data["word"].count(letter) * times}

async def count_async(context):
    return {"key": context.key}

def skip(context):
    return Skip("not today")

def nothing(context):
    pass

class Shop:
    @staticmethod
    def sell(context):
        return {"sold": context.key}
"""


@pytest.fixture
def call(user_module, make_context):
    """Call a function of the user's module."""
    module = user_module(SOURCE)

    def run(function: str, arguments: dict | None = None):
        handler = Python({"function": f"{module}:{function}", "arguments": arguments or {}})
        return run_handler(handler, make_context(data={"word": "banana"}))

    return run


def test_a_function_is_called_with_the_context(call):
    assert call("count") == {"count": 3}


def test_arguments_follow_the_context(call):
    assert call("count", {"letter": "n", "times": 10}) == {"count": 20}


def test_an_async_function_is_awaited(call):
    assert call("count_async") == {"key": "k1"}


def test_a_function_inside_a_class_can_be_named(call):
    assert call("Shop.sell") == {"sold": "k1"}


def test_its_endings_are_those_of_the_function(call):
    assert call("skip") == Skip("not today")


def test_a_function_that_returns_nothing_is_named(call):
    with pytest.raises(HandlerContractError, match=r"Python\(users_own_module:nothing\) returned None"):
        call("nothing")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("missing", "cannot import users_own_module:missing: users_own_module has no 'missing'"),
        ("NUMBER", "cannot import users_own_module:NUMBER: it is int, not a function"),
        ("Shop.buy", "users_own_module has no 'Shop.buy'"),
    ],
)
def test_a_function_that_is_not_there_is_refused_in_jobs_yaml(call, function, reason):
    with pytest.raises(ValidationError, match=reason):
        call(function)


def test_arguments_that_the_function_does_not_take_are_refused_in_jobs_yaml(call):
    with pytest.raises(
        ValidationError, match="cannot be called as it is here: got an unexpected keyword argument"
    ):
        call("count", {"colour": "red"})


@pytest.mark.parametrize("function", ["no_colon", "a:b:c", ":f", "m:", "rm -rf:x"])
def test_a_path_of_another_shape_is_refused_in_jobs_yaml(function):
    with pytest.raises(ValidationError, match="should match pattern"):
        Python({"function": function})


def test_a_module_that_is_not_there_is_refused_in_jobs_yaml():
    with pytest.raises(ValidationError, match=r"cannot import 'no_such_module'.*No module named"):
        Python({"function": "no_such_module:f"})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("def broken(:", r"SyntaxError: .*\(users_bad_module.py, line 1\)"),
    ],
)
def test_a_module_that_fails_at_its_import_is_refused_in_jobs_yaml(user_module, line, why):
    module = user_module(f"{line}\n", "users_bad_module")
    with pytest.raises(ValidationError, match=f"cannot import 'users_bad_module': {why}"):
        Python({"function": f"{module}:f"})
