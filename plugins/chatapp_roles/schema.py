"""What may stand in a role file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class RoleSampling(BaseModel):
    """How this role's answers are drawn; the names and bounds of the application's own values."""

    model_config = ConfigDict(extra="forbid")

    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(None, gt=0, le=3)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(None, ge=0, le=2**32 - 2)
    max_tokens: int | None = Field(None, ge=1)
    stop: list[str] = Field([], max_length=16)


class Example(BaseModel):
    """One exchange as it should go."""

    model_config = ConfigDict(extra="forbid")

    user: Filled
    assistant: Filled


class RoleFile(BaseModel):
    """The keys of a role file. `switch` introduces the instructions where the role is chosen in mid-conversation."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    title: str = ""
    description: Filled
    prompt: Filled
    switch: str = "From now on you are the {title}, and no role before it holds:"
    variables: dict[str, str | int | float | bool] = {}
    sampling: RoleSampling = RoleSampling()
    examples: list[Example] = []
    adapters: list[str] = []
    documents: list[str] = []
    tools: list[str] = []

    @classmethod
    def keys(cls, place: Sequence[int | str]) -> Iterable[str]:
        """The keys that may stand in the table at `place`."""
        tables: dict[int | str, type[BaseModel]] = {"sampling": RoleSampling, "examples": Example}
        return (tables.get(place[0], cls) if place else cls).model_fields
