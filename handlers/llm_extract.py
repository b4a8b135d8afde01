"""The handler `llm_extract`: declared fields, read from a text by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from handlers.base import Handler
from handlers.declared_fields import Declared, FieldName, make_schema
from handlers.json_answers import Fit, Wanted
from handlers.model_endpoint import BELONGS_TO, FROM_ENVIRONMENT
from handlers.reading import ReadingParams, read_text

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

SYSTEM = (
    "Extract the fields that are asked for from the text, as JSON. Take only what the text says; null where it "
    "says nothing."
)


class LlmExtract(Handler):
    """
    Extract fields from a text with a model; the fields are declared in jobs.yaml.

    A field that the text does not tell is null, unless it is `required`. An answer that does not fit is sent back
    once with what is wrong. A request that was answered before, for whatever item, costs nothing.

    Input: a needed result with `text`, such as that of `article`, else the item's data. Result:
    `{"fields", "model"}`: the fields by name, and the model's own name for itself.
    Endings: Skip without a text; GiveUp when a template names what is not there, the endpoint refuses the key,
    the model or the request, the model or a filter declines, the answer is cut, or it does not fit twice, with
    both answers; RetryLater when the endpoint is busy (429) or the account out of money. No connection, a
    time-out, 5xx or an answer that is none raise an error, for the stage's retries.
    Idempotent: the same request has the same answer, because the first is remembered.
    Example: {handler: llm_extract, params: {model: gpt-5-mini, fields: {firm: Who pays, amount: {type: number}}}}

    Source: platform.openai.com/docs/guides/structured-outputs.
    """

    from_environment: ClassVar = FROM_ENVIRONMENT
    belongs_to: ClassVar = BELONGS_TO

    class Params(ReadingParams):
        """The parameters of `llm_extract`."""

        fields: dict[FieldName, Declared] = Field(
            min_length=1, description="The fields by name: what each means, or its type and more."
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Have the text read for the fields."""
        wanted = Wanted(make_schema(self.params.fields), "fields", strict=True)
        fit = await read_text(context, self.params, SYSTEM, wanted)
        return {"fields": fit.value, "model": fit.answer.model} if isinstance(fit, Fit) else fit
