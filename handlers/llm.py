"""The handler `llm`: a model's answer to a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from handlers.base import Handler
from handlers.chat import Answer, ask, begin
from handlers.json_answers import Fit, JsonParams, Wanted, ask_for_json, check_schema
from handlers.model_endpoint import BELONGS_TO, FROM_ENVIRONMENT
from handlers.templates import Template, render
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Llm(Handler):
    """
    Ask a model, by the chat completions of any OpenAI-compatible endpoint.

    With `json_schema` the answer is JSON that fits it; one that does not is sent back once with what is wrong.
    A request that was answered before, for whatever item, is not made again and costs nothing.

    Input: what the template `prompt` takes from `item` and `results`. Result: `{"text", "json", "model"}`:
    the answer, what it is as JSON (None without `json_schema`), and the model's own name for itself.
    Endings: GiveUp when the prompt names what is not there, the endpoint refuses the key, the model or the
    request (too long, for one), the model or a filter declines, the answer is cut, or it does not fit twice, with
    both answers; RetryLater when the endpoint is busy (429) or the account out of money. No connection, a
    time-out, 5xx or an answer that is none raise an error, for the stage's retries.
    Idempotent: the same request has the same answer, because the first is remembered.
    Example: {handler: llm, params: {model: gpt-5-mini, prompt: "Sum up in one sentence: {{ results.article.text }}"}}

    Source: platform.openai.com/docs/api-reference/chat.
    """

    from_environment: ClassVar = FROM_ENVIRONMENT
    belongs_to: ClassVar = BELONGS_TO

    class Params(JsonParams):
        """The parameters of `llm`."""

        prompt: Template = Field(min_length=1, description="What to ask, a template.")
        json_schema: Annotated[dict[str, Any], AfterValidator(check_schema)] | None = Field(
            None,
            description="The JSON Schema of the answer, which stands alone; without it the answer is text.",
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Ask, and give what was said."""
        prompt = render(self.params.prompt, context, self.params)
        if isinstance(prompt, GiveUp):
            return prompt
        messages = begin(context, self.params, prompt)
        if isinstance(messages, GiveUp):
            return messages
        if self.params.json_schema is None:
            answer = await ask(context, self.params, messages)
            return _tell(answer, None) if isinstance(answer, Answer) else answer
        wanted = Wanted(self.params.json_schema, "answer", strict=False)
        fit = await ask_for_json(context, self.params, messages, wanted)
        return _tell(fit.answer, fit.value) if isinstance(fit, Fit) else fit


def _tell(answer: Answer, value: Any) -> dict[str, object]:
    return {"text": answer.text, "json": value, "model": answer.model}
