"""The chat template of a GGUF: from messages to the one text the model reads.

Rendered with llama-cpp-python's formatter, in Jinja's immutable sandbox, as a model file is somebody else's code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from chatapp import EngineError, Message, Request, ToolCall, ToolResult, chat_text, template_tags
from chatapp_llama.form import Form, learn
from chatapp_llama.offering import laid_out
from chatapp_llama.schemas import described

Messages: TypeAlias = list[dict[str, Any]]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For a GGUF without a template (ChatML, as llama.cpp falls back to)."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rendered text, and where in it (in bytes) each message of the request ends."""

    text: bytes
    ends: tuple[int, ...]


class Template:
    """Renders requests. `controls` are the texts of the model's control tokens."""

    def __init__(self, source: str | None, bos: str, eos: str, controls: Iterable[str]) -> None:
        import jinja2
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        # A template is code: it may fail in any way that code does.
        self._failures = (
            jinja2.TemplateError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError,
        )  # fmt: skip
        try:
            self._formatter = Jinja2ChatFormatter(template=source or CHATML, eos_token=eos, bos_token=bos)
        except self._failures as error:
            raise EngineError(f"The model's chat template does not parse ({error}): choose another model.") from error
        self._control_texts = [*filter(None, controls)]
        self._controls = _any_of(self._control_texts)

    def render(self, request: Request) -> Prompt:
        """The request's text; EngineError when the template refuses it."""
        messages = [self._message(message) for message in request.messages]
        # A template may cut what an answer begins with, or close it: what is to be continued is laid after the rest.
        begun = messages.pop() if request.continue_last else {}
        contents = [str(message.get("content") or "") for message in messages]
        tools = [self._harmless_in(described(tool)) for tool in request.tools]
        if not self.form.native and (tools or any(_of_tools(message) for message in messages)):
            messages = laid_out(messages, () if self.form.offers else tools)
        try:
            text = self._format(messages, tools, request.template)
        except self._failures as error:
            merged = _without_system(messages)
            if merged == messages:
                raise EngineError(f"The model's chat template refuses this conversation: {error}.") from error
            # Some templates know no system message: its text then opens the first message of the user.
            text = self._again(merged, tools, request.template)
        ends = _ends(text, contents)
        if request.continue_last:
            text = _joined(text, str(begun.get("content") or ""))
            ends.append(len(text))
        return Prompt(text.encode(), tuple(len(text[:end].encode()) for end in ends))

    def _again(self, messages: Messages, tools: Messages, variables: Mapping[str, Any]) -> str:
        try:
            return self._format(messages, tools, variables)
        except self._failures as error:
            raise EngineError(f"The model's chat template refuses this conversation: {error}.") from error

    def _format(self, messages: Messages, tools: Messages, variables: Mapping[str, Any]) -> str:
        return str(self._formatter(messages=messages, tools=tools or None, **dict(variables)).prompt)

    @cached_property
    def form(self) -> Form:
        """How this model writes calls of tools."""
        return learn(self._tried, self._controls)

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        """Control tokens, and the tags that the template itself puts around what people, documents and tools say.

        Not every model's are control tokens: `[INST]` is plain text in some, `<tool_response>` in Qwen's.
        """
        return _any_of({*self._control_texts, *template_tags(lambda messages: self._tried(messages, []))})

    def _tried(self, messages: Messages, tools: Messages) -> str | None:
        try:
            return self._format(messages, tools, {})
        except self._failures:
            return None

    def _message(self, message: Message) -> dict[str, Any]:
        # What the model wrote stays as it is, tags included: the next prompt must repeat it to be read only once.
        foreign = message.role in ("user", "tool")
        text = chat_text(message)
        content = _broken(self._marks, text) if foreign else self.harmless(text)
        form: dict[str, Any] = {"role": message.role, "content": content}
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            form["tool_calls"] = [self._call(call) for call in calls]
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if message.role == "tool" and results:
            # What a tool says cannot close the place it is said in.
            form["content"] = form["content"].replace("</tool_response", "<\\/tool_response")
            form |= {"tool_call_id": self.harmless(results[0].call_id), "name": self.harmless(results[0].name)}
        return form

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments = self._harmless_in(dict(call.arguments))
        arguments = json.dumps(arguments, ensure_ascii=False) if self.form.as_text else arguments
        function = {"name": self.harmless(call.name), "arguments": arguments}
        return {"id": self.harmless(call.id), "type": "function", "function": function}

    def _harmless_in(self, value: Any) -> Any:
        """A JSON value with every text in it made harmless: arguments repeat what people wrote."""
        if isinstance(value, str):
            return self.harmless(value)
        if isinstance(value, Mapping):
            return {self.harmless(key): self._harmless_in(each) for key, each in value.items()}
        return [self._harmless_in(each) for each in value] if isinstance(value, (list, tuple)) else value

    def harmless(self, text: str) -> str:
        """Text in which no control token can be read: what people and documents write must not end a turn."""
        return _broken(self._controls, text)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")


def _broken(marks: re.Pattern[str], text: str) -> str:
    return marks.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def _of_tools(message: Mapping[str, Any]) -> bool:
    return message["role"] == "tool" or "tool_calls" in message


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]


def _ends(text: str, contents: Sequence[str]) -> list[int]:
    """Where each message's content ends in the text; a template may trim it, so a stripped form will do."""
    ends, place = [], 0
    for content in contents:
        for form in (content, content.strip()):
            found = text.find(form, place)
            if found >= 0:
                place = found + len(form)
                break
        ends.append(place)
    return ends


def _joined(prompt: str, begun: str) -> str:
    """The prompt and the beginning of its answer; a tag that the prompt ends with is not said twice."""
    tail, head = prompt.rstrip(), begun.lstrip()
    opened = re.search(r"<[^<>\s]+>$", tail)
    return tail + head.removeprefix(opened[0]) if opened and head.startswith(opened[0]) else prompt + begun
