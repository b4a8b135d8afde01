"""Items of another job, picked by what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

INAPPLICABLE = "where does not apply"


class TrackerQuery(BaseDiscovery):
    """
    Find the items of another job, for stages of this one.

    An item to which `where` cannot be applied, such as the length of a list that is missing, is refused.

    Key: the other item's key. Order: as the tracker gives them.
    Data: `{"from_job": str, "data": dict, "results": {stage: dict}}`: the other item's data and results.
    Example: {strategy: tracker_query, job: papers, stage: score, where: "results.score.relevance > `0.8`"}

    Source: the tracker; for `where`, the JMESPath specification, jmespath.org.
    """

    class Params(StrategyParams):
        """Which job, and which of its items."""

        job: str = Field(min_length=1, description="The name of the other job.")
        stage: str | None = Field(
            None, description="Look at the status of this stage, not of the whole item."
        )
        status: Status | None = Field(Status.DONE, description="Only items in this status; null for any.")
        where: str | None = Field(
            None, description="A JMESPath over {key, data, results}; only items for which it gives something."
        )
        limit: int = Field(1000, ge=1, le=100_000, description="How many items to look at, before `where`.")

        @field_validator("where")
        @classmethod
        def _compiles(cls, where: str | None) -> str | None:
            try:
                if where is not None:
                    jmespath.compile(where)
            except JMESPathError as error:
                raise ValueError(f"not a JMESPath: {error}") from error
            return where

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the other job's items."""
        asked = self.params
        read = self.access.read_items(asked.job, stage=asked.stage, status=asked.status, limit=asked.limit)
        return [
            FoundItem(item["key"], {"from_job": asked.job, "data": item["data"], "results": item["results"]})
            for item in read
            if self._is_wanted(item)
        ]

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        if self.params.where is None:
            return True
        view = {name: item[name] for name in ("key", "data", "results")}
        try:
            return _is_true(jmespath.search(self.params.where, view))
        except JMESPathError as error:
            self.refused[INAPPLICABLE] += 1
            if self.refused[INAPPLICABLE] == 1:  # one example is enough
                self.problems.append(f"where cannot be applied to {item['key']!r}: {error}")
            return False


def _is_true(value: object) -> bool:
    # JMESPath's own truth: 0 is true, and only these are not.
    return value is not None and value is not False and value not in ("", [], {})
