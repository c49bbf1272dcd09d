"""The bodies of requests, as far as they are understood; what is not known is left alone, as servers do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from chatapp import Conversation, Message, Text, Tool, ToolCall, ToolResult
from chatapp_serve.forcing import form
from chatapp_serve.refusing import Refused


class Content(BaseModel):
    """A part of a message; only text is read."""

    type: str
    text: str | None = ""


class Function(BaseModel):
    """A call's function: its name, and its arguments as JSON text."""

    name: str
    arguments: str = "{}"


class Call(BaseModel):
    """A call the model made in an earlier answer."""

    id: str
    function: Function


class Said(BaseModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Content] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str = ""

    def words(self) -> str:
        """Its text; Refused for parts that are no text."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        strange = [part.type for part in self.content if part.type != "text"]
        if strange:
            raise Refused(400, f"A message has a part of the type {strange[0]!r}; only text is read here.")
        return "\n".join(part.text or "" for part in self.content)


class Declared(BaseModel):
    """A function the client runs itself."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}


class Offered(BaseModel):
    """A tool."""

    type: Literal["function"]
    function: Declared


class Named(BaseModel):
    """A tool's name."""

    name: str


class Chosen(BaseModel):
    """`tool_choice` where it names one tool."""

    function: Named


class Form(BaseModel):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] = {}


class Chat(BaseModel):
    """The body of `/v1/chat/completions`."""

    messages: list[Said] = Field(min_length=1, max_length=10_000)
    model: str = ""
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = Field(1, ge=1)
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repeat_penalty: float | None = Field(None, gt=0, le=5)
    seed: int | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: Form | None = None
    tools: list[Offered] | None = None
    tool_choice: Literal["none", "auto", "required"] | Chosen | None = None
    user: str | None = None

    def sampling(self, choice: int) -> dict[str, Any]:
        """What the client says of how tokens are drawn, for its answer of this number."""
        plain = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "repeat_penalty")
        chosen = {name: value for name in plain if (value := getattr(self, name)) is not None}
        limit = self.max_completion_tokens or self.max_tokens
        chosen |= {"max_tokens": limit} if limit else {}
        chosen |= {"seed": (self.seed + choice) % 2**32} if self.seed is not None else {}
        chosen |= {"stop": [self.stop] if isinstance(self.stop, str) else self.stop} if self.stop else {}
        chosen |= {"logprobs": max(self.top_logprobs or 0, 1)} if self.logprobs else {}
        return chosen | self._form()

    def _form(self) -> dict[str, Any]:
        insisted = self.insisted()
        if insisted:
            return {"json_schema": form(insisted)}
        if self.response_format is None or self.response_format.type == "text":
            return {}
        schema = self.response_format.json_schema.get("schema")
        return {"json_schema": schema if isinstance(schema, dict) else {"type": "object"}}

    def offered(self) -> tuple[Tool, ...]:
        """The tools that the model is told of. "none" takes away none: the prompt would have to be read again."""
        return tuple(
            Tool(each.function.name, each.function.description, each.function.parameters) for each in self.tools or ()
        )

    def insisted(self) -> tuple[Tool, ...]:
        """The tools one of which must be called; none where the model may answer in words."""
        tools = self.offered()
        if isinstance(self.tool_choice, Chosen):
            named = self.tool_choice.function.name
            tools = tuple(tool for tool in tools if tool.name == named)
            if not tools:
                raise Refused(400, f"tool_choice names {named!r}, which is none of the tools.")
            return tools
        if self.tool_choice != "required":
            return ()
        if not tools:
            raise Refused(400, 'tool_choice is "required", and there are no tools.')
        return tools

    def conversation(self) -> tuple[str, Conversation]:
        """The instruction, and all other messages as a conversation."""
        made = Conversation()
        system = [each.words() for each in self.messages if each.role in ("system", "developer")]
        for message in _messages(self.messages):
            made.append(message)
        return "\n\n".join(system), made


def _messages(said: Sequence[Said]) -> Iterator[Message]:
    names: dict[str, str] = {}
    for each in said:
        if each.role == "tool":
            name = names.get(each.tool_call_id)
            if name is None:
                raise Refused(400, f"A tool's result answers the call {each.tool_call_id!r}, which nobody made.")
            yield Message("tool", (ToolResult(each.tool_call_id, name, each.words()),))
        elif each.role in ("user", "assistant"):
            calls = tuple(ToolCall(call.id, call.function.name, _arguments(call)) for call in each.tool_calls or ())
            names |= {call.id: call.name for call in calls}
            words = each.words()
            yield Message(each.role, (*((Text(words),) if words or not calls else ()), *calls))


def _arguments(call: Call) -> Mapping[str, Any]:
    try:
        found = json.loads(call.function.arguments or "{}")
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError as error:
        raise Refused(400, f"The arguments of the call {call.id!r} are not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Refused(400, f"The arguments of the call {call.id!r} are no JSON object.")
    return found


class Embed(BaseModel):
    """The body of `/v1/embeddings`."""

    input: str | list[str] = Field(min_length=1)
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class Paint(BaseModel):
    """The body of `/v1/images/generations`."""

    prompt: str = Field(min_length=1, max_length=20_000)
    model: str = ""
    n: int | None = Field(1, ge=1)
    size: str | None = Field(None, pattern=r"^(auto|\d{1,4}x\d{1,4})$")
    response_format: Literal["b64_json", "url"] | None = None
    seed: int | None = Field(None, ge=0)
