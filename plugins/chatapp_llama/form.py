"""How a model writes the calls of tools: learned from its chat template, which shows it calls it made before.

The template is asked to render a conversation with calls in it, and what it puts around them is what the model was
trained to write: `<tool_call>` in Qwen's and Hermes', `[TOOL_CALLS]` in Mistral's, bare JSON in Llama's. An answer
written in exactly that form is also what the next prompt repeats, so that none of it is read twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from chatapp import Tool
from chatapp_llama.prefix import common
from chatapp_llama.schemas import described

Render: TypeAlias = Callable[[list[dict[str, Any]], list[dict[str, Any]]], str | None]
"""Messages and tools to text; None where the template refuses them."""


@dataclass(frozen=True, slots=True)
class Form:
    """The text around calls: `begin` NAME `middle` ARGUMENTS, then `between` NAME `middle` ARGUMENTS ..., then `end`.

    `between` is empty where a model makes one call at a time. `gap` is what stands between an answer's text and its
    first call. `colon` and `comma` are those of the arguments' JSON. `as_text` templates want the arguments as text
    already. A form that is not `native` is none of the template's: calls and results are laid into messages of text,
    and the tools too unless it `offers` them.
    """

    begin: str
    middle: str
    between: str
    end: str
    gap: str = "\n"
    colon: str = ": "
    comma: str = ", "
    as_text: bool = False
    native: bool = True
    offers: bool = True

    @property
    def marker(self) -> str:
        """The tag that only a call begins with; empty where there is none."""
        found = re.match(r"\s*(<[^<>]+>|\[[A-Z_]+\])", self.begin)
        return found[1] if found else ""


HERMES = Form(
    '<tool_call>\n{"name": "',
    '", "arguments": ',
    '}\n</tool_call>\n<tool_call>\n{"name": "',
    "}\n</tool_call>",
    native=False,
    offers=False,
)
"""For templates without a place for tools: the form of Hermes and Qwen."""

TEXT, RESULT = "probe text", "probe result"
TOOL = Tool("probe_tool", "Probe.", {"type": "object", "properties": {"a": {"type": "integer"}}})
IDS = ("probe0001", "probe0002")
"""Of nine letters and digits, as Mistral's templates demand."""
NAMES = ("probe_first", "probe_second")
ARGUMENTS = {"probe_a": 1, "probe_b": 2}
WRITTEN = re.compile(r'\{"probe_a"(\s*:\s*)1(\s*,\s*)"probe_b"\s*:\s*2\}')


def learn(render: Render, controls: re.Pattern[str]) -> Form:
    """The form that a template writes calls in; that of HERMES where it shows none."""
    plain = render([_user()], [described(TOOL)])
    if plain is None or TOOL.name not in plain:
        return HERMES
    for as_text in (False, True):
        form = _probe(render, controls, plain, as_text)
        if form is not None:
            return form
    return replace(HERMES, offers=True)


def _probe(render: Render, controls: re.Pattern[str], plain: str, as_text: bool) -> Form | None:
    def rendered(text: str, count: int) -> str:
        conversation = [_user(), _calls(text, count, as_text), *(_result(place) for place in range(count))]
        return render(conversation, [described(TOOL)]) or ""

    one = rendered("", 1)
    place = one.find(NAMES[0])
    written = WRITTEN.search(one, max(place, 0))
    if place < 0 or written is None:
        return None
    header = common(plain, one[:place])
    end = _upto_end(one[written.end() :], _turn_end(render, controls), controls)
    form = Form(
        one[header:place].lstrip(), one[place + len(NAMES[0]) : written.start()], _between(rendered("", 2)), end
    )
    form = replace(form, colon=written[1], comma=written[2], as_text=as_text)
    return replace(form, gap=_gap(rendered(TEXT, 1), form.begin))


def _between(two: str) -> str:
    written = WRITTEN.search(two, max(two.find(NAMES[0]), 0))
    second = two.find(NAMES[1], written.end()) if written else -1
    return _without_id(two[written.end() : second]) if written and second >= 0 else ""


def _gap(text: str, begin: str) -> str:
    between = text[text.find(TEXT) + len(TEXT) : text.find(NAMES[0])] if TEXT in text else ""
    return between.removesuffix(begin) if between.endswith(begin) else HERMES.gap


def _turn_end(render: Render, controls: re.Pattern[str]) -> str:
    """What ends an answer of text."""
    said = render([_user(), {"role": "assistant", "content": TEXT}, _user()], []) or ""
    found = controls.search(said, said.find(TEXT)) if TEXT in said else None
    return found[0] if found else ""


def _upto_end(text: str, turn_end: str, controls: re.Pattern[str]) -> str:
    place = text.find(turn_end) if turn_end else -1
    if place < 0:
        found = controls.search(text)
        place = found.start() if found else text.find("\n")
    return _without_id(text[: max(place, 0)])


def _without_id(text: str) -> str:
    # Models leave out the identifiers that some templates repeat.
    return re.sub(rf',\s*"id":\s*"(?:{"|".join(IDS)})"', "", text)


def _user() -> dict[str, Any]:
    return {"role": "user", "content": "probe question"}


def _calls(text: str, count: int, as_text: bool) -> dict[str, Any]:
    arguments: Any = '{"probe_a": 1, "probe_b": 2}' if as_text else dict(ARGUMENTS)
    calls = [
        {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}
        for identifier, name in list(zip(IDS, NAMES, strict=True))[:count]
    ]
    return {"role": "assistant", "content": text, "tool_calls": calls}


def _result(place: int) -> dict[str, Any]:
    return {"role": "tool", "content": RESULT, "tool_call_id": IDS[place], "name": NAMES[place]}
