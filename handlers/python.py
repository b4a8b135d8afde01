"""The handler `python`: a function of the user's own."""

from __future__ import annotations

import inspect
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from handlers.base import Handler, HandlerParams
from pipeline.sources import remember_sources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Python(Handler):
    """
    Call a function by its dotted path, as `function(context, **arguments)`; it may be async.

    Input: whatever the function takes from the context (see `HandlerContext`). Result: what the function
    returns, a dict that JSON can hold. Endings: those of the function, which may return Skip, RetryLater and
    GiveUp too; what it raises is retried by the stage's policy. Idempotent only if the function is: it may be
    called twice for the same item. The source of the function's module counts in the version of its results.
    Example: {name: count, handler: python, params: {function: "kitchen:count_words", arguments: {least: 3}}}
    """

    class Params(HandlerParams):
        """The parameters of `python`."""

        function: str = Field(
            pattern=r"^[\w.]+:[\w.]+$", description="The function, as package.module:function."
        )
        arguments: dict[str, Any] = Field(
            default_factory=dict, description="Keyword arguments that follow the context."
        )

        @model_validator(mode="after")
        def _must_be_callable_so(self) -> Self:
            try:
                inspect.signature(import_function(self.function)).bind(None, **self.arguments)
            except TypeError as error:
                raise ValueError(f"{self.function} cannot be called as it is here: {error}") from None
            return self

    params: Params

    def __init__(self, params: Mapping[str, Any] | HandlerParams) -> None:
        super().__init__(params)
        self.function = import_function(self.params.function)

    def __str__(self) -> str:
        return f"Python({self.params.function})"

    def run(self, context: HandlerContext) -> Outcome | Awaitable[Outcome]:
        """Call the function."""
        outcome: Outcome | Awaitable[Outcome] = self.function(context, **self.params.arguments)
        return outcome

    @classmethod
    def list_source_modules(cls, params: Mapping[str, Any]) -> list[ModuleType]:
        """List this module and the function's, so that an edited function makes its results stale."""
        modules = super().list_source_modules(params)
        with suppress(ValueError):
            # It says `${VAR}`, or does not import: then the path, which is among the parameters, must do.
            modules.append(_import_module(str(params.get("function", "")).partition(":")[0]))
        return modules


def import_function(path: str) -> Callable[..., Any]:
    """Import the function at `package.module:function`. Raises ValueError saying why it cannot be had."""
    module_name, _, attribute = path.partition(":")
    found: Any = _import_module(module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ValueError(f"cannot import {path}: {module_name} has no {attribute!r}")
        found = getattr(found, name)
    if not callable(found):
        # A ValueError, for pydantic to report with the others.
        raise ValueError(f"cannot import {path}: it is {type(found).__name__}, not a function")  # noqa: TRY004
    return found  # type: ignore[no-any-return]


def _import_module(name: str) -> ModuleType:
    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:
        # Importing a user's module runs it, so anything may come out, `sys.exit` included.
        raise ValueError(f"cannot import {name!r}: {type(error).__name__}: {error}") from error
    remember_sources([module])
    return module
