"""The text of a chat as the model reads it, cut into what is only read and what is to be learnt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from chatapp import EngineError, template_tags
from chatapp_lora.training.plan import Example

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For a GGUF without a template (ChatML, as llama.cpp falls back to)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a chat's text; `learnt` says that it is the assistant's, its end of turn included."""

    text: str
    learnt: bool


class Rendering:
    """A chat template, in Jinja's immutable sandbox: a model file is somebody else's code.

    `end` is the text of the token that ends an answer where the template writes none, `controls` are the texts of the
    model's control tokens: none of them can be read in what people wrote.
    """

    def __init__(self, source: str | None, bos: str, end: str, controls: Iterable[str]) -> None:
        import jinja2

        self._failures = (
            jinja2.TemplateError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError,
        )  # fmt: skip
        try:
            self._template = _environment().from_string(source or CHATML)
        except self._failures as error:
            raise EngineError(f"The model's chat template does not parse ({error}): choose another model.") from error
        self._variables = {"bos_token": bos, "eos_token": end, "raise_exception": _refuse, "strftime_now": _now}
        self._end = end
        texts = [*filter(None, controls)]
        self._controls = _any_of(texts)
        self._marks = _any_of({*texts, *template_tags(self._tried)})

    def pieces(self, example: Example, *, last_only: bool = False) -> list[list[Piece]]:
        """The chat as one or more texts to learn from.

        One is enough where the template writes a longer chat as a continuation of the shorter one. Where it does not,
        and with `last_only`, there is one for each answer, and only the last answer of each is learnt.
        """
        messages = [{"role": role, "content": self.harmless(content, role)} for role, content in example.messages]
        places = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        texts = [self._answered(messages, place) for place in places]
        if last_only or not _continuous(texts):
            return [[Piece(prompt, False), Piece(answer, True)] for prompt, answer in texts]
        joined, done = [], 0
        for prompt, answer in texts:
            joined += [Piece(prompt[done:], False), Piece(answer, True)]
            done = len(prompt) + len(answer)
        return [joined]

    def harmless(self, text: str, role: str = "system") -> str:
        """Text in which no control token can be read, and in what people write no tag of the template.

        So it is shown to the model when it answers.
        """
        marks = self._marks if role in ("user", "tool") else self._controls
        return marks.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _tried(self, messages: list[dict[str, Any]]) -> str | None:
        try:
            return self._formatted(messages, True)
        except self._failures:
            return None

    def _answered(self, messages: Sequence[dict[str, str]], place: int) -> tuple[str, str]:
        """The prompt before the answer at `place`, and the answer with its end of turn."""
        prompt = self._text(messages[:place], True)
        whole = self._text(messages[: place + 1], False)
        content = messages[place]["content"]
        if not whole.startswith(prompt):
            return prompt, content + self._end
        answer = whole[len(prompt) :]
        ended = self._controls.search(answer, min(len(content.strip()), len(answer)))
        return prompt, answer[: ended.end()] if ended else answer + self._end

    def _text(self, messages: Sequence[dict[str, str]], begun: bool) -> str:
        try:
            return self._formatted(messages, begun)
        except self._failures as error:
            merged = _without_system(messages)
            if merged == messages:
                raise EngineError(f"The model's chat template refuses this chat: {error}.") from error
        try:
            # Some templates know no system message: its text then opens the first message of the user.
            return self._formatted(merged, begun)
        except self._failures as error:
            raise EngineError(f"The model's chat template refuses this chat: {error}.") from error

    def _formatted(self, messages: Sequence[dict[str, Any]], begun: bool) -> str:
        values = {"messages": list(messages), "add_generation_prompt": begun, "tools": None, **self._variables}
        return str(self._template.render(values))


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")


def _environment() -> Any:
    """The environment that Hugging Face's and llama-cpp-python's renderers agree on."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks an answer for others; here it means nothing."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Any) -> Any:
            parser.stream.skip(1)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.BaseLoader(), trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _json
    return environment


def _json(value: Any, ensure_ascii: bool = False, **form: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **form)


def _refuse(message: str) -> None:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _continuous(texts: Sequence[tuple[str, str]]) -> bool:
    return all(after.startswith(before + answer) for (before, answer), (after, _) in pairwise(texts))


def _without_system(messages: Sequence[dict[str, str]]) -> Sequence[dict[str, str]]:
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]
