"""The calls of tools in what a model writes: text goes on as text, of a call nothing is shown until it is whole."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Sequence

from chatapp import Message, Request, Tool, ToolCall
from chatapp_llama.call_grammar import MOST_CALLS, PLAIN, call_grammar
from chatapp_llama.form import Form
from chatapp_llama.prefix import common
from chatapp_llama.watch import Watch

MOST_REFUSED = 3
"""How often an answer is begun anew as text; then it ends."""
DECODER = json.JSONDecoder()


class Calls:
    """The calls in one answer, which goes on from `begun`.

    Where they are `forbidden`, what begins as a call is written anew as text. So is a call of a tool that there is not.
    One of the `spent` tools becomes a call of another, or text where there is no other: small models ask for the same
    over and over, with its result there to read.
    """

    def __init__(
        self,
        form: Form,
        tools: Sequence[Tool],
        begun: str = "",
        *,
        spent: Collection[str] = (),
        forbidden: bool = False,
    ) -> None:
        self.form = form
        self.inside = False
        self.forbidden = forbidden
        self._free = [tool for tool in tools if tool.name not in spent]
        self._refused = 0
        self._begun = begun
        self.made: list[ToolCall] = []
        self._tools = tools
        self._watch = Watch(form.marker, [tool.name for tool in tools], begun)
        self._written = ""
        self._looped = False

    @property
    def room(self) -> int:
        """Tokens of the context to keep free: the beginning of a call is longer than what it stands in place of."""
        return len(self.form.begin) if self._tools else 0

    @property
    def begins(self) -> bool:
        """Whether a call has just begun; `enter` is to follow."""
        return bool(self._watch.found) and not self.inside

    @property
    def cut(self) -> bool:
        """Whether the answer, were it to end here, would end within a call."""
        return self.inside and not (self.made and self.form.end.startswith(self._written)) and not self._looped

    @property
    def over(self) -> bool:
        """Whether nothing can follow that is wanted."""
        ended = bool(self.made) and self._written.startswith(self.form.end)
        more = self.form.between.startswith(self.form.end) and len(self.made) < MOST_CALLS
        return self._looped or (ended and not more) or self._refused > MOST_REFUSED

    def another(self) -> list[str]:
        """The texts that would now begin another call; a whole one was made, and the answer may as well end."""
        begins, written = self.form.between, self._written
        if not (self.inside and self.made and begins and begins.startswith(written)):
            return []
        shared = common(begins, self.form.end)
        return [begins[len(written) : end] for end in range(shared + 1, len(begins) + 1) if len(written) <= shared]

    def feed(self, text: str) -> str:
        """Take what the model wrote; what of it is text to be shown."""
        if self.inside:
            self._written += text
            return ""
        return self._watch.feed(text)

    def rest(self) -> str:
        """The text that was held back, at the end of the answer."""
        return "" if self.inside else self._watch.rest()

    def enter(self) -> tuple[str, str]:
        """Begin a call, or text where none is allowed: what the answer is to read so far, and a grammar of the rest."""
        if self.forbidden or self._watch.found == "unknown" or not self._free:
            self._refused += 1
            return self._watch.again(), PLAIN
        self.inside = True
        gap = self.form.gap if self._begun + self._watch.text else ""
        return self._watch.text + gap + self.form.begin, call_grammar(self._free, self.form)

    def ready(self) -> Iterator[ToolCall]:
        """The calls that are whole since the last time."""
        while self.inside and not self._looped and (call := self._next()) is not None:
            self._looped = _among(call, self.made)
            if not self._looped:
                self.made.append(call)
                yield call

    def _next(self) -> ToolCall | None:
        if self.made and self.form.between:
            if not self._written.startswith(self.form.between):
                return None
            text = self._written.removeprefix(self.form.between)
        else:
            text = "" if self.made else self._written
        name, middle, arguments = text.partition(self.form.middle)
        if not middle or "}" not in arguments:
            return None
        try:
            found, end = DECODER.raw_decode(arguments)
        except ValueError:
            return None
        self._written = arguments[end:]
        return ToolCall(secrets.token_hex(5)[:9], name, found)


def _among(call: ToolCall, others: Sequence[ToolCall]) -> bool:
    return any((call.name, call.arguments) == (each.name, each.arguments) for each in others)


def calls_of(form: Form, request: Request) -> Calls:
    """What looks for calls in the answer to a request.

    A grammar or schema of the request's own leaves no room for calls. The template variable `tool_choice` of "none"
    forbids them though tools are offered, so that the prompt need not be read again without them.
    """
    bound = request.sampling.grammar or request.sampling.json_schema is not None
    begun = request.messages[-1].text if request.continue_last else ""
    forbidden = request.template.get("tool_choice") == "none"
    return Calls(form, () if bound else request.tools, begun, spent=_spent(request.messages), forbidden=forbidden)


def _spent(messages: Sequence[Message]) -> set[str]:
    """The tools that were called twice with the same arguments since the user's last message."""
    last = max((place for place, each in enumerate(messages) if each.role == "user"), default=0)
    calls = [part for each in messages[last:] for part in each.parts if isinstance(part, ToolCall)]
    return {call.name for place, call in enumerate(calls) if _among(call, calls[:place])}
