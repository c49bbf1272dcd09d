"""What may stand in an expert's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chatapp import SamplingSettings

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Scale = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


class ExpertSampling(SamplingSettings):
    """How its answers are drawn; what is left out is as usual, and what the user sets himself wins."""

    stop: list[str] = Field([], max_length=16)


class ExpertFile(BaseModel):
    """The keys of an expert's file.

    `adapters` are names of the adapters plugin with their scales (1.0: as trained); `role` is one of the roles plugin
    and `documents` a collection of the documents plugin, both for its answers only; `instruction` stands beside the
    message it answers.
    """

    model_config = ConfigDict(extra="forbid")

    description: Filled
    examples: list[Filled] = Field([], max_length=500)
    adapters: dict[str, Scale] = {}
    role: str = ""
    instruction: str = ""
    documents: str = ""
    sampling: ExpertSampling = ExpertSampling()
