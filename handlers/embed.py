"""The handler `embed`: the embedding of a text, of many texts in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from handlers.base import Handler
from handlers.embedding import EmbeddingParams, Text, embed_texts
from handlers.inputs import TEXT_FROM, Input, find_input
from handlers.model_endpoint import BELONGS_TO, FROM_ENVIRONMENT
from handlers.templates import Template, render
from pipeline.outcomes import Outcome, Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.base import HandlerContext


class Embed(Handler):
    """
    Embed a text, by the embeddings of any OpenAI-compatible endpoint.

    With `batch` on the stage one request embeds as many texts; a text that the endpoint refuses fails alone. A
    text that was embedded before, for whatever item, is not sent again and costs nothing.

    Input: the template `input`, else a needed result with `text`, else the item's data. Result:
    `{"embedding", "dimensions", "model"}`: a list of that many numbers, and the model's own name for itself.
    Endings: Skip without a text; GiveUp when `input` names what is not there, or the endpoint refuses the key, the
    model or the text (too long, for one); RetryLater when the endpoint is busy (429) or the account out of money.
    No connection, a time-out, 5xx or an answer that is none raise an error, for the stage's retries.
    Idempotent: the same text has the same embedding, because the first is remembered.
    Example: {handler: embed, params: {model: text-embedding-3-small, input: "{{ item.title }}"}, batch: 100}

    Source: platform.openai.com/docs/api-reference/embeddings.
    """

    from_environment: ClassVar = FROM_ENVIRONMENT
    belongs_to: ClassVar = BELONGS_TO

    class Params(EmbeddingParams):
        """The parameters of `embed`."""

        input: Template | None = Field(None, description="What is embedded, a template.")
        text_from: str | None = Field(None, description=TEXT_FROM)
        max_chars: int = Field(
            8_000, ge=1, le=10_000_000, description="Of a longer text only so much of the start is embedded."
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Embed one text."""
        (outcome,) = await self.run_batch([context])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def run_batch(self, contexts: Sequence[HandlerContext]) -> list[Outcome | Exception]:
        """Embed the texts of several items, in as few requests as the endpoint lets us."""
        outcomes: list[Outcome | Exception] = []
        texts: list[Text] = []
        for position, context in enumerate(contexts):
            found = self._find_text(context)
            outcomes.append(Skip("the text is empty") if isinstance(found, str) else found)
            if isinstance(found, str) and found.strip():
                texts.append(Text(position, found[: self.params.max_chars], context))
        for position, outcome in (await embed_texts(self.params, texts)).items():
            outcomes[position] = outcome
        return outcomes

    def _find_text(self, context: HandlerContext) -> str | Outcome:
        if self.params.input is not None:
            return render(self.params.input, context, self.params)
        found = find_input(context, self.params.text_from)
        return found.text if isinstance(found, Input) else found
