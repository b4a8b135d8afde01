"""The handler `transform`: a new object, made of the item and the results before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from handlers.base import Handler, HandlerParams
from handlers.expressions import Expression, evaluate
from handlers.templates import Template, describe, render
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Transform(Handler):
    """
    Make a new object, field by field: by JMESPath, or as text by a template.

    Expressions and templates see `item` (its data and `key`), `results` by stage, and `job`.

    Input: the item's data and the results of all needed stages. Result: the fields named in `fields` and
    `templates`; an expression that finds nothing gives None. Endings: GiveUp when a template names what is not there,
    an expression cannot be applied, or a field of `required` is None or empty.
    Idempotent: it only computes; the same input gives the same result.
    Example: {handler: transform, params: {fields: {words: "length(item.tags)"}, templates: {text: "{{ item.title }}"}}}

    Source: the JMESPath specification, jmespath.org; Jinja's documentation, jinja.palletsprojects.com.
    """

    class Params(HandlerParams):
        """The parameters of `transform`."""

        fields: dict[str, Expression] = Field(
            default_factory=dict, description="By the name of each field, a JMESPath that finds its value."
        )
        templates: dict[str, Template] = Field(
            default_factory=dict, description="By the name of each field, a template that makes its text."
        )
        required: list[str] = Field([], description="The fields that must be neither null nor empty.")

        @model_validator(mode="after")
        def _must_make_each_field_once(self) -> Self:
            if not (self.fields or self.templates):
                raise ValueError("nothing to make: name at least one field, in `fields` or in `templates`")
            if twice := sorted(self.fields.keys() & self.templates.keys()):
                raise ValueError(f"both in `fields` and in `templates`: {', '.join(twice)}")
            if unknown := sorted({*self.required} - {*self.fields, *self.templates}):
                raise ValueError(f"required, but made nowhere: {', '.join(unknown)}")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Make each field."""
        view = describe(context)
        made: dict[str, Any] = {name: evaluate(path, view) for name, path in self.params.fields.items()}
        made |= {name: render(text, context, self.params) for name, text in self.params.templates.items()}
        for name, value in made.items():
            if isinstance(value, GiveUp):
                return GiveUp(f"{name}: {value.reason}")
        lacking = [name for name in self.params.required if made[name] in (None, "", [], {})]
        return GiveUp(f"required, but empty: {', '.join(lacking)}") if lacking else made
