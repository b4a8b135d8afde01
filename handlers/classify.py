"""The handler `classify`: which of the declared labels a text has, by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints

from handlers.base import Handler
from handlers.json_answers import Fit, Wanted
from handlers.model_endpoint import BELONGS_TO, FROM_ENVIRONMENT
from handlers.reading import ReadingParams, read_text

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

ONE = "Choose the one label that fits the text best, and answer in JSON. The labels:"
SEVERAL = "Choose every label that fits the text, none if none does, and answer in JSON. The labels:"


def _name_labels(value: Any) -> Any:
    if isinstance(value, list):
        if not all(isinstance(label, str) for label in value):
            raise ValueError("each label in a list is a text; what labels mean is written in a mapping")
        if len({*value}) < len(value):
            raise ValueError("a label stands there twice")
        return dict.fromkeys(value, "")
    return value


Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Classify(Handler):
    """
    Choose among declared labels for a text, with a model.

    An answer that is none of the labels is sent back once with what is wrong. A request that was answered before,
    for whatever item, costs nothing.

    Input: a needed result with `text`, such as that of `article`, else the item's data. Result:
    `{"label", "labels", "model"}`: the label (the first of several, None for none), all that were chosen, in
    the order in which they are declared, and the model's own name for itself.
    Endings: Skip without a text; GiveUp when a template names what is not there, the endpoint refuses the key,
    the model or the request, the model or a filter declines, the answer is cut, or it does not fit twice, with
    both answers; RetryLater when the endpoint is busy (429) or the account out of money. No connection, a
    time-out, 5xx or an answer that is none raise an error, for the stage's retries.
    Idempotent: the same request has the same answer, because the first is remembered.
    Example: {handler: classify, params: {model: gpt-5-mini, labels: {news: Tells what is new, advert: Sells}}}

    Source: platform.openai.com/docs/guides/structured-outputs.
    """

    from_environment: ClassVar = FROM_ENVIRONMENT
    belongs_to: ClassVar = BELONGS_TO

    class Params(ReadingParams):
        """The parameters of `classify`."""

        labels: Annotated[
            dict[Label, str],
            BeforeValidator(_name_labels, json_schema_input_type=dict[Label, str] | list[Label]),
        ] = Field(min_length=2, max_length=500, description="A list of labels, or each with what it means.")
        several: bool = Field(False, description="Any number of them may fit, or none.")

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Have the text read for its labels."""
        lines = [
            f"- {label}: {meaning}" if meaning else f"- {label}"
            for label, meaning in self.params.labels.items()
        ]
        system = "\n".join([SEVERAL if self.params.several else ONE, *lines, ""])
        fit = await read_text(context, self.params, system, self._want())
        if not isinstance(fit, Fit):
            return fit
        given = fit.value["labels"] if self.params.several else [fit.value["label"]]
        chosen = [label for label in self.params.labels if label in given]
        return {"label": chosen[0] if chosen else None, "labels": chosen, "model": fit.answer.model}

    def _want(self) -> Wanted:
        label = {"type": "string", "enum": list(self.params.labels)}
        name, value = (
            ("labels", {"type": "array", "items": label}) if self.params.several else ("label", label)
        )
        schema = {
            "type": "object",
            "properties": {name: value},
            "required": [name],
            "additionalProperties": False,
        }
        return Wanted(schema, name, strict=True)
