"""Finding calls of tools in what a model writes: text goes on as text, of a call nothing is shown until it is whole."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence

from chatapp import Message, Request, Tool, ToolCall
from chatapp_llama.call_grammar import MOST_CALLS, PLAIN, call_grammar
from chatapp_llama.form import Form

THOUGHT = "<think>", "</think>"
MOST_REFUSED = 3
"""How often an answer is begun anew as text; then it ends."""
DECODER = json.JSONDecoder()


def _in_part(atoms: Sequence[str]) -> str:
    """A pattern of every beginning of these atoms in a row."""
    return "(?:" + "(?:".join(atoms) + ")?" * len(atoms)


def _heads() -> list[list[str]]:
    """What small models put before a call's name instead of what their template shows, as rows of patterns."""
    tag = ["<", r"[\w|]{1,20}", ">", r"\s*"]
    fence = ["`", "`", "`", r"\w{0,12}", r"\s*"]
    kind = ["{", r"\s*", *'"type"', r"\s*", ":", r"\s*", *'"function"', r"\s*", ",", r"\s*"]
    inner = [*'"function"', r"\s*", ":", r"\s*", "{", r"\s*"]
    opened = (["{", r"\s*"], ["\\[", r"\s*", "{", r"\s*"], kind, [*kind, *inner])
    keys = ("name", "function", "tool", "tool_name", "function_name")
    return [
        [r"\s*", *before, *wrapped, *opening, *f'"{key}"', r"\s*", ":", r"\s*", '"']
        for before in ([], tag)
        for wrapped in ([], fence)
        for opening in opened
        for key in keys
    ]


HEAD = re.compile("|".join("".join(atoms) for atoms in _heads()))
HEAD_IN_PART = re.compile("|".join(_in_part(atoms) for atoms in _heads()))


class Watch:
    """Text on its way to the reader; holds back what may be the beginning of a call.

    A call begins with the form's marker anywhere, or on a line of its own with JSON that names one of the tools.
    """

    def __init__(self, marker: str, names: Sequence[str], begun: str = "") -> None:
        self.text = ""
        self.found = False
        self._marker, self._names, self._begun = marker, names, begun
        self._held = ""

    def feed(self, text: str) -> str:
        """What may be shown now; `found` says that a call begins after it."""
        if not self._names:
            return text
        self._held += text
        if self._thinking():
            return self._give(len(self._held))
        places = range(len(self._held))
        begun = next((place for place in places if self._begins(place)), None)
        self.found = begun is not None
        if begun is None:
            begun = next((place for place in places if self._may_begin(place)), len(self._held))
        return self._give(len(self._held[:begun].rstrip()))

    def rest(self) -> str:
        """What was held back, when no more comes."""
        return self._give(len(self._held))

    def again(self) -> str:
        """Take what was held back for never written; what the answer is to go on from."""
        gap = "\n\n" if self.text.strip() else ""
        self._held, self.found = gap, False
        return self.text + gap

    def _give(self, count: int) -> str:
        given, self._held = self._held[:count], self._held[count:]
        self.text += given
        return given

    def _thinking(self) -> bool:
        opened, closed = ((self._begun + self.text + self._held).count(tag) for tag in THOUGHT)
        return opened > closed

    def _on_a_line(self, place: int) -> bool:
        before = (self.text + self._held[:place]).rstrip(" ")
        return not before or before.endswith("\n")

    def _begins(self, place: int) -> bool:
        tail = self._held[place:]
        if self._marker and tail.startswith(self._marker):
            return True
        head = HEAD.match(tail) if self._on_a_line(place) else None
        name, quote, _ = tail[head.end() :].partition('"') if head else ("", "", "")
        return bool(quote) and name in self._names

    def _may_begin(self, place: int) -> bool:
        tail = self._held[place:]
        if self._marker.startswith(tail):
            return True
        if not self._on_a_line(place):
            return False
        head = HEAD.match(tail)
        if head:
            return any(name.startswith(tail[head.end() :]) for name in self._names)
        return HEAD_IN_PART.fullmatch(tail) is not None


class Calls:
    """The calls in one answer, which goes on from `begun`.

    Where they are `forbidden`, what begins as a call is written anew as text, and so is a call that was made `before`,
    with its result there to read: small models ask for the same thing over and over.
    """

    def __init__(
        self,
        form: Form,
        tools: Sequence[Tool],
        begun: str = "",
        *,
        before: Sequence[ToolCall] = (),
        forbidden: bool = False,
    ) -> None:
        self.form = form
        self.inside = False
        self.forbidden = forbidden
        self._before = before
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
        return self._watch.found and not self.inside

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
        if self.forbidden:
            self._refused += 1
            return self._watch.again(), PLAIN
        self.inside = True
        gap = self.form.gap if self._begun + self._watch.text else ""
        return self._watch.text + gap + self.form.begin, call_grammar(self._tools, self.form)

    def ready(self) -> Iterator[ToolCall]:
        """The calls that are whole since the last time."""
        while self.inside and not self._looped and (call := self._next()) is not None:
            if not self.made and _among(call, self._before):
                self.inside, self.forbidden = False, True
                return
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
    return Calls(form, () if bound else request.tools, begun, before=_before(request.messages), forbidden=forbidden)


def _before(messages: Sequence[Message]) -> list[ToolCall]:
    """The calls made since the user's last message."""
    last = max((place for place, each in enumerate(messages) if each.role == "user"), default=0)
    return [part for each in messages[last:] for part in each.parts if isinstance(part, ToolCall)]
