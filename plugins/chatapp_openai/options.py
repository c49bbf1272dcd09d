"""The table `[openai]`: the servers by name, and which of their models embed and paint."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

Kind: TypeAlias = Literal["auto", "openai", "vllm", "llama-server", "llama-cpp-python"]
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
"""What is shown as a variable's name; anything else in its place may be the key itself."""


class Server(BaseModel):
    """One OpenAI-compatible server: `[openai.servers.NAME]`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field("", description="Its address, with the /v1 at the end: http://localhost:8000/v1.")
    key_env: str = Field(
        "", description="The environment variable that holds its key; empty looks in the system's keyring."
    )
    models: list[str] = Field([], description="Its models; empty asks the server.")
    kind: Kind = Field("auto", description="What software it is, where that cannot be told from its list of models.")
    context_length: int | None = Field(
        None, ge=256, description="Tokens its models read; empty is what the server says, else 8192."
    )
    images: bool = Field(True, description="Send pictures to its models; off for those that only read text.")
    first_token_seconds: float = Field(120.0, gt=0, description="How long the first token may take.")
    silent_seconds: float = Field(60.0, gt=0, description="How long it may say nothing in the middle of an answer.")
    retries: int = Field(3, ge=0, le=10, description="How often a busy or failing server is asked again.")
    text_tokens: int = Field(512, ge=16, description="Tokens of a text that its embedding model reads.")
    batch: int = Field(64, ge=1, le=2048, description="Texts that are embedded by one request.")

    _strange: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _without_secrets(cls, values: Any, handler: ModelWrapValidatorHandler[Server]) -> Server:
        # What does not fit is shown with its value, and a key in the wrong place must never be shown.
        if not isinstance(values, dict):
            return handler(values)
        strange = [str(name) for name in values if name not in cls.model_fields]
        known = {name: value for name, value in values.items() if name in cls.model_fields}
        variable = known.get("key_env", "")
        if not isinstance(variable, str) or (variable and not VARIABLE.fullmatch(variable)):
            del known["key_env"]
            strange.append("key_env")
        server = handler(known)
        server._strange = tuple(strange)
        return server

    @property
    def strange(self) -> tuple[str, ...]:
        """The names of settings that there are not, and "key_env" where it names no variable in capital letters."""
        return self._strange

    def __str__(self) -> str:
        return self.url.rpartition("@")[2]


class OpenaiSettings(BaseModel):
    """Models on other machines, through servers that speak OpenAI's interface."""

    model_config = ConfigDict(extra="forbid")

    servers: dict[str, Server] = Field(
        {}, description="The servers, each a table [openai.servers.NAME]; their models are called NAME/model."
    )
    embedding: str = Field(
        "", description="The model that embeds texts, as NAME/model; empty leaves that to this machine."
    )
    image: str = Field("", description="The model that paints, as NAME/model; empty leaves that to this machine.")
