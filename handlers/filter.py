"""The handler `filter`: lets an item pass if a condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.expressions import Expression, holds
from handlers.inputs import HANDED_ON, pass_on
from handlers.templates import describe
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Filter(Handler):
    """
    Let an item pass if a condition holds, else skip the stages that follow.

    The condition is a JMESPath over `item` (its data and `key`), `results` by stage, and `job`. False, null, `""`,
    `[]` and `{}` do not hold; 0 does. What is not there is null, which is neither more nor less than anything.

    Input: the item's data and the results of all needed stages. Result: that of the nearest needed stage, passed on,
    and `"passed"`: true. Endings: Skip when the condition does not hold, with all that needs this stage unless
    `rest` is off; GiveUp when it cannot be applied: the length of a number, a text that is to be more than a number.
    Idempotent: it only computes; the same input gives the same result.
    Example: {handler: filter, params: {where: "results.read_file.lines > `10` && contains(item.path, 'news')"}}

    Source: the JMESPath specification, jmespath.org.
    """

    class Params(HandlerParams):
        """The parameters of `filter`."""

        where: Expression = Field(description="A JMESPath that must hold, such as item.points > `100`.")
        rest: bool = Field(
            True, description="Skip the stages that need this one too; off: they go on without its result."
        )
        pass_on: bool = Field(True, description=HANDED_ON)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Look whether the condition holds."""
        passed = holds(self.params.where, describe(context))
        if isinstance(passed, GiveUp):
            return passed
        if not passed:
            return Skip("the condition does not hold", rest=self.params.rest)
        return pass_on(context, {"passed": True}, self.params.pass_on)
