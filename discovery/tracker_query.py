"""Items of another job, picked by what became of them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from pipeline.jmespaths import check_names, parse_jmespath
from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from discovery.base import ItemPage

PAGE = 1000
INAPPLICABLE = "where does not apply"
NAMES = ("key", "data", "results")


def _check_where(expression: str) -> str:
    check_names(parse_jmespath(expression), NAMES)
    return expression


class TrackerQuery(BaseDiscovery):
    """
    Find the items of another job, for stages of this one.

    The first discovery looks at all of them, later ones at those that are new or that something happened to
    since. An item whose stage was done again is found again, with another version. An item to which `where`
    cannot be applied, such as the length of a list that is missing, is refused.

    Key: the other item's key. Order: oldest first, then as things happened.
    Data: `{"from_job": str, "data": dict, "results": {stage: dict}}`: the other item's data and results. No
    request.
    Example: {strategy: tracker_query, job: papers, stage: score, where: "results.score.relevance > `0.8`"}

    Source: the tracker; for `where`, the JMESPath specification, jmespath.org.
    """

    class Params(StrategyParams):
        """Which job, and which of its items."""

        job: str = Field(min_length=1, description="The name of the other job.")
        stage: str | None = Field(
            None,
            description="Look at the status of this stage, not of the whole item, and give its result alone.",
        )
        status: Status | None = Field(Status.DONE, description="Only items in this status; null for any.")
        where: Annotated[str, AfterValidator(_check_where)] | None = Field(
            None, description="A JMESPath over {key, data, results}; only items for which it gives something."
        )
        limit: int | None = Field(
            None,
            ge=1,
            description="How many items to look at each time, before `where`; the rest the next time.",
        )

    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read on in the other job's items."""
        async with self.looking():
            source = self._name_source()
            began = after = self.recall(source).cursor
            left, is_last = self.params.limit, False
            while not is_last and left != 0:
                page = self._read_page(after, left)
                after, is_last = page.position, page.is_last
                left = left if left is None else max(0, left - len(page.items))
                await self.hand_over(self._pick(page), source=source, cursor=after)
            if began is not None:
                self.note_if_nothing_came(source)
        return self.kept

    def _read_page(self, after: Any, left: int | None) -> ItemPage:
        asked = self.params
        return self.access.read_items(
            asked.job, stage=asked.stage, status=asked.status, after=after, limit=min(PAGE, left or PAGE)
        )

    def _pick(self, page: ItemPage) -> Iterator[FoundItem]:
        for item in page.items:
            if self._is_wanted(item):
                data = {"from_job": self.params.job, "data": item["data"], "results": item["results"]}
                yield FoundItem(item["key"], data, version=item["version"])

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        if self.params.where is None:
            return True
        view = {name: item[name] for name in NAMES}
        try:
            return _is_true(jmespath.search(self.params.where, view))
        except JMESPathError as error:
            self.refused[INAPPLICABLE] += 1
            if self.refused[INAPPLICABLE] == 1:  # one example is enough
                self.problems.append(f"where cannot be applied to {item['key']!r}: {error}")
            return False

    def _name_source(self) -> str:
        # Another condition is another source: what the former left out may be wanted now.
        asked = json.dumps([self.params.stage, self.params.status, self.params.where])
        return f"job {self.params.job} #{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def _is_true(value: object) -> bool:
    # JMESPath's own truth: 0 is true, and only these are not.
    return value is not None and value is not False and value not in ("", [], {})
