"""
Templates in parameters: Jinja in a sandbox, over the item and the results of the stages before.

What a template names and what is not there is never an empty text: the name is told, at `check` where it can
be, else when it is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, BaseModel

from handlers.places import BadPlaceError, read_place
from net.request import is_web_address
from pipeline.catalog import find_nearest
from pipeline.outcomes import GiveUp
from pipeline.stage_names import NamesStages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Template as Compiled
    from jinja2 import Undefined

    from handlers.base import HandlerContext

NAMES = ("item", "results", "params", "job")
"""What a template may use: the item's data with its `key`, results by stage, the stage's parameters, the job's name."""

MAX_CHARS = 10_000_000
"""A longer text is given up; nobody meant to make it."""

_FAULTS = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the expressions of a template raise. Not every Exception: a worker's time limit is one too."""

_SHOWN_NAMES = 12
"""So many of the names that there are stand in a message."""


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which `item.items` is the field of that name before it is a method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._find(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._find(obj, argument) if isinstance(obj, Mapping) else super().getitem(obj, argument)

    def _find(self, held: Mapping[str, Any], name: Any) -> Any:
        if isinstance(name, str) and name in held:
            return held[name]
        found = super().getattr(held, name) if isinstance(name, str) else self.undefined()
        return found if not isinstance(found, StrictUndefined) else self._miss(held, name)

    def _miss(self, held: Mapping[str, Any], name: Any) -> Undefined:
        known = sorted(map(str, held))
        nearest = find_nearest(str(name), known)
        shown = ", ".join(known[:_SHOWN_NAMES]) + (", …" if len(known) > _SHOWN_NAMES else "")
        hint = f"did you mean {nearest!r}?" if nearest else f"there is: {shown or 'nothing'}"
        return self.undefined(f"{name!r} is not there; {hint}"[:500], obj=held, name=name)


_ENVIRONMENT = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def check_template(text: str, extra: Iterable[str] = ()) -> str:
    """
    Give a template back, or raise ValueError for bad syntax or a name that is none of `NAMES` and `extra`.

    >>> check_template("{{ titel }}")
    Traceback (most recent call last):
    ValueError: a template knows no 'titel'; it may use item, results, params, job
    """
    known = (*NAMES, *extra)
    try:
        parsed = _ENVIRONMENT.parse(text)
        unknown = meta.find_undeclared_variables(parsed) - set(known)
        _compile(text)
    except TemplateError as error:
        raise ValueError(f"not a template: {error.message or error}") from None
    except SyntaxError as error:  # what Jinja makes of it is no Python
        raise ValueError(f"not a template: {error.msg}") from None
    except RecursionError:
        raise ValueError("not a template: nested too deep") from None
    if any(True for _ in meta.find_referenced_templates(parsed)):
        raise ValueError("a template stands alone: it can include, import or extend no other")
    if unknown:
        named = ", ".join(repr(name) for name in sorted(unknown))
        raise ValueError(f"a template knows no {named}; it may use {', '.join(known)}")
    return text


def is_constant(template: str) -> bool:
    """
    Tell whether a template makes the same text for every item: itself.

    >>> is_constant("2026-01-31"), is_constant("{{ item.published_at }}")
    (True, False)
    """
    return not any(mark in template for mark in ("{{", "{%", "{#"))


def _check_place(template: str) -> str:
    if is_constant(template):
        try:
            read_place(template.strip())
        except BadPlaceError as error:
            raise ValueError(str(error)) from None
    return template


def check_address(template: str) -> str:
    """Give a template back, or raise ValueError for one that always makes what is no web address."""
    if is_constant(template) and not is_web_address(template.strip()):
        raise ValueError("not an http or https address, such as https://example.org/feed")
    return template


def list_stages(template: str) -> set[str]:
    """
    List the stages whose results a template names.

    >>> sorted(list_stages("{{ results.fetch.text }} {{ results['llm'] }} {{ results.keys() }}"))
    ['fetch', 'llm']
    """
    parsed = _ENVIRONMENT.parse(template)
    named = {step.attr for step in parsed.find_all(nodes.Getattr) if _is_results(step.node)}
    for step in parsed.find_all(nodes.Getitem):
        if _is_results(step.node) and isinstance(step.arg, nodes.Const):
            named.add(str(step.arg.value))
    return {name for name in named if not hasattr(Mapping, name)}


def _is_results(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "results"


IS_TEMPLATE = NamesStages(list_stages)
"""Marks the type of a parameter that is a template, so that the stages that it names are checked."""

Template = Annotated[str, AfterValidator(check_template), IS_TEMPLATE]
"""The type of a parameter that is a template: `celeriac check` refuses one that `check_template` does."""

PlaceTemplate = Annotated[Template, AfterValidator(_check_place)]
"""The type of a parameter that is a template for a path below the folder `files`."""

AddressTemplate = Annotated[Template, AfterValidator(check_address)]
"""The type of a parameter that is a template for a web address."""


def render(
    template: str, context: HandlerContext, params: BaseModel | None = None, **extra: Any
) -> str | GiveUp:
    """
    Render a template over an attempt: the text, or GiveUp naming what the template wants and is not there.

    `item` holds the fields of the item's data, and `key`; `results` those of the stages that this one needs, by
    stage; `job` is the job's name; `params` and `extra` are what the handler gives.
    """
    names = {**extra, **describe(context), "params": params.model_dump() if params is not None else {}}
    pieces, size = [], 0
    try:
        for piece in _compile(template).generate(names):
            size += len(piece)
            if size > MAX_CHARS:
                return GiveUp(f"a template makes over {MAX_CHARS:,} characters")
            pieces.append(piece)
    except _FAULTS as error:
        # Without the template's text: by now its variables are resolved, and one may be a secret.
        return GiveUp(f"a template cannot be rendered: {str(error) or type(error).__name__}")
    return "".join(pieces)


def describe(context: HandlerContext) -> dict[str, Any]:
    """
    Describe an attempt as templates and JMESPaths see it.

    `{"item": the item's data and its key, "results": by stage, "job": its name}`; a skipped stage is absent.
    """
    return {
        "item": {**context.data, "key": context.key},
        "results": dict(context.results),
        "job": context.job,
    }


@lru_cache(256)
def _compile(template: str) -> Compiled:
    return _ENVIRONMENT.from_string(template)
