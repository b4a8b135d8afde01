"""What the parameters of a strategy are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrategyParams(BaseModel):
    """The parameters that jobs.yaml may give; others are refused. Describe each field: the docs show it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FreeParams(StrategyParams):
    """Whatever jobs.yaml gives, for a strategy that declares nothing and asks by `require_param`."""

    model_config = ConfigDict(extra="allow", frozen=True)
