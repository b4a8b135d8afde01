"""The handler `dedupe`: skips an item whose text is nearly that of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.inputs import HANDED_ON, TEXT_FROM, Input, find_input, pass_on
from handlers.simhash import BITS, list_words, make_fingerprint
from pipeline.outcomes import Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Dedupe(Handler):
    """
    Skip an item whose text is nearly that of an earlier item of the same job.

    Texts are compared by SimHash, fingerprints of 64 bits over runs of words, in any language. Of two texts of a few
    hundred words in which one word of a hundred differs, nearly all are found; with five of a hundred, few.

    Input: a needed result with `text`, else the item's data. Result: that of the nearest needed stage, passed on, and
    `"fingerprint"`: 16 hexadecimal digits, None for a text of fewer words than `min_words`, which is like no other.
    Endings: Skip for a near-duplicate, naming the key of its twin, with all that needs this stage unless `rest` is off;
    Skip without any input; GiveUp when the needed results have no text.
    Idempotent: the fingerprint of an item is noted once, and compared with those noted before it.
    Example: {handler: dedupe, params: {distance: 3}}
    """

    class Params(HandlerParams):
        """The parameters of `dedupe`."""

        text_from: str | None = Field(None, description=TEXT_FROM)
        distance: int = Field(
            6,
            ge=0,
            le=7,
            description="By how many of their 64 bits the fingerprints of twins differ at most.",
        )
        shingle: int = Field(2, ge=1, le=10, description="The length of the runs, in words.")
        min_words: int = Field(20, ge=1, le=10_000, description="A text of fewer words is let through.")
        rest: bool = Field(
            True, description="Skip the stages that need this one too; off: they go on without its result."
        )
        pass_on: bool = Field(True, description=HANDED_ON)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Make the text's fingerprint, and look for an earlier one near it."""
        found = find_input(context, self.params.text_from)
        if not isinstance(found, Input):
            return found
        words = list_words(found.text)
        if len(words) < self.params.min_words:
            return pass_on(context, {"fingerprint": None}, self.params.pass_on)
        fingerprint = make_fingerprint(words, self.params.shingle)
        twin = context.find_twin(fingerprint, self.params.distance)
        if twin is not None:
            return Skip(f"nearly the same text as {twin!r}", rest=self.params.rest)
        return pass_on(context, {"fingerprint": f"{fingerprint:0{BITS // 4}x}"}, self.params.pass_on)
