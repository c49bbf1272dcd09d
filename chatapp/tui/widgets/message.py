"""One message: who speaks, what was said part by part, how it came about, and which of its versions is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widget import Widget
from textual.widgets import Static

from chatapp.conversation import Conversation
from chatapp.events import Event, ReasoningDelta, TextDelta
from chatapp.messages import Message, Part, Reasoning, Source, Text
from chatapp.text import one_line
from chatapp.tui.keys import key
from chatapp.tui.safe import line, short_model
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.citations import Citations, Cited, numbered
from chatapp.tui.widgets.fold import Fold
from chatapp.tui.widgets.parts import part_widget
from chatapp.tui.widgets.thought import Thought

Render = Callable[[Part], Widget | None]
Growing = TypeVar("Growing", AnswerText, Thought)
LABELS = {"user": "You", "assistant": "Assistant", "system": "Instruction", "tool": "Tool"}
ENDINGS = {"stopped": "stopped", "failed": "failed", "length": "cut at its longest"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A message with what the conversation says of it: version `place` (from 1) of `versions`, pinned or not."""

    message: Message
    place: int = 1
    versions: int = 1
    pinned: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing more will come: an answer says how it ended."""
        return self.message.role != "assistant" or "finished" in self.message.meta


def shown_path(conversation: Conversation) -> list[Shown]:
    """The shown messages of a conversation."""
    found = []
    for message in conversation.path():
        versions = conversation.siblings(message.id)
        node = conversation.nodes[message.id]
        found.append(Shown(message, versions.index(message.id) + 1, len(versions), node.pinned))
    return found


def facts(shown: Shown) -> str:
    """The small print of a message: ``pinned · ‹ 2/3 › · 45.1 tokens/s · model``."""
    meta = shown.message.meta
    usage = meta.get("usage") or {}
    found = ["pinned"] if shown.pinned else []
    found += [f"‹ {shown.place}/{shown.versions} ›"] if shown.versions > 1 else []
    found += [ENDINGS[meta["finished"]]] if meta.get("finished") in ENDINGS else []
    seconds, tokens = usage.get("completion_seconds") or 0, usage.get("completion_tokens") or 0
    found += [f"{(tokens - 1) / seconds:.1f} tokens/s"] if seconds > 0 and tokens > 1 else []
    found += [one_line(short_model(str(meta["model"])), 32)] if meta.get("model") else []
    status = meta.get("status")
    found += [one_line(str(each), 24) for each in status.values()] if isinstance(status, dict) else []
    return " · ".join(found)


class MessageView(Vertical, can_focus=True):
    """A message that is shown, or an answer that is on its way (`live`, without a message yet)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("up,alt+up,ctrl+up", "move(-1)", "up", "Go to the message above.", "message.up"),
        key(
            "down,alt+down,ctrl+down",
            "move(1)",
            "down",
            "Go to the message below, at last to the input.",
            "message.down",
        ),
        key(
            "e",
            "ask('edit')",
            "edit",
            "Edit your message and ask again; the old one stays as a version.",
            "message.edit",
        ),
        key("r", "ask('again')", "again", "Answer once more; the old answer stays as a version.", "message.again"),
        key(
            "left,left_square_bracket", "ask('before')", "version", "Show the version before.", "message.version_before"
        ),
        key("right,right_square_bracket", "ask('after')", "version", "Show the next version.", "message.version_after"),
        key("c", "ask('copy')", "copy", "Copy the message.", "message.copy"),
        key(
            "y,C",
            "ask('code')",
            "copy code",
            "Copy a code block; asks which where there are several.",
            "message.copy_code",
        ),
        key("p", "ask('pin')", "pin", "Keep this message in every prompt, or let it go.", "message.pin"),
        key("i", "ask('sent')", "sent", "Show what the model was sent.", "message.sent"),
        key("enter,space", "unfold", "open", "Open or close what is folded in it.", "message.open"),
        key("o", "ask('cite')", "sources", "Open the first source it cites; 1 to 9 open that one.", "message.cite"),
        key("question_mark", "app.help", "help", "Show all keys.", "message.help"),
    ]

    class Asked(TextualMessage):
        """A key was pressed on a message: `what` is edit, again, before, after, copy, code, pin, sent or cite.

        `number` is the citation that is to be opened, 0 for the first.
        """

        def __init__(self, view: MessageView, what: str, number: int = 0) -> None:
            self.view, self.what, self.number = view, what, number
            super().__init__()

    class Moved(TextualMessage):
        """The focus should go `by` messages further."""

        def __init__(self, view: MessageView, by: int) -> None:
            self.view, self.by = view, by
            super().__init__()

    def __init__(self, shown: Shown | None, render: Render, *, live: bool = False) -> None:
        super().__init__()
        self.shown = shown
        self.role = shown.message.role if shown is not None else "assistant"
        self.live = live or shown is None
        self._render_part = render
        # One widget for each part; those of the sources are one and the same.
        self._parts: list[Widget] = []
        self._sources: list[Source] = []
        self._row: Citations | None = None
        self._texts: list[str] = []
        self._label = Static(classes="label")
        self.add_class(f"-{self.role}")
        self.set_class(self.live, "-live")

    def compose(self) -> ComposeResult:
        """The label, then the parts."""
        self._label.update(self._line())
        yield self._label
        if self.shown is not None:
            self._parts = [self._widget(part) for part in self.shown.message.parts]
            yield from (widget for widget in self._parts if widget is not self._row)
        if self._row is not None:
            yield self._row

    def say(self, state: str) -> None:
        """Put a word on what a live answer is doing beside its label."""
        self._label.update(self._line(state))

    async def absorb(self, event: Event) -> None:
        """Take in an event of a live answer; those that are no part of a message are left alone."""
        if isinstance(event, TextDelta):
            self._texts.append(event.text)
            await (await self._last(AnswerText)).write(event.text)
        elif isinstance(event, ReasoningDelta):
            (await self._last(Thought)).grow(event.text)
        else:
            await self._add(self._widget(event))  # type: ignore[arg-type]

    async def settle(self, shown: Shown | None = None) -> None:
        """The answer is complete (or its version, pin or label changed): show it as `shown`."""
        parts: Iterable[Part | None] = (
            shown.message.parts if shown is not None and self.live else [None] * len(self._parts)
        )
        for widget, part in zip(self._parts, parts, strict=False):
            if isinstance(widget, AnswerText):
                await widget.settle(part.text if isinstance(part, Text) else None, self._numbers(shown))
            elif isinstance(widget, Thought) and self.live:
                widget.settle(part if isinstance(part, Reasoning) else None)
        if shown is not None:
            self.shown = shown
        self.live = False
        self.remove_class("-live")
        self._label.update(self._line())

    def fits(self, shown: Shown) -> bool:
        """Whether this view can go on to show `shown`: the same message, or a live one that has become it."""
        if self.shown is not None and not self.live:
            same = self.shown.message
            return same.id == shown.message.id and same.parts == shown.message.parts
        if self.shown is not None:
            return self.role == shown.message.role and self.shown.message.parts == shown.message.parts
        return self.role == shown.message.role and len(self._parts) == len(shown.message.parts)

    @property
    def text(self) -> str:
        """What is copied: the message's text, of a live one what has come so far."""
        return self.shown.message.text if self.shown is not None else "".join(self._texts)

    @property
    def sources(self) -> Sequence[Source]:
        """What its citations stand for."""
        return self._sources if self.shown is None else self._cited(self.shown)

    def _cited(self, shown: Shown | None) -> list[Source]:
        return list(numbered(shown.message.parts)) if shown is not None and self.role != "user" else []

    def _numbers(self, shown: Shown | None) -> list[int]:
        return [source.number or 0 for source in self._cited(shown)]

    def folds(self) -> list[Fold]:
        """What can be opened in it."""
        return [widget for widget in self._parts if isinstance(widget, Fold)]

    async def action_unfold(self) -> None:
        """Open all folds, or close them when one is open."""
        opened = not any(fold.opened for fold in self.folds())
        for fold in self.folds():
            await fold.toggle(opened)

    def on_key(self, event: events.Key) -> None:
        """A digit opens that citation."""
        if event.key in "123456789" and self.sources:
            event.stop()
            self.post_message(self.Asked(self, "cite", int(event.key)))

    @on(Cited)
    def _follow(self, event: Cited) -> None:
        event.stop()
        self.post_message(self.Asked(self, "cite", event.number))

    def action_ask(self, what: str) -> None:
        """Hand the wish on to the screen."""
        self.post_message(self.Asked(self, what))

    def action_move(self, by: int) -> None:
        """Hand the wish on to the transcript."""
        self.post_message(self.Moved(self, by))

    def _line(self, state: str = "") -> Content:
        label = LABELS.get(self.role, self.role)
        small = state or (facts(self.shown) if self.shown is not None else "")
        return line((label, "bold"), (f"  {small}" if small else "", "dim"))

    def _widget(self, part: Part) -> Widget:
        own = self._render_part(part)
        if own is not None:
            return own
        if self.role != "user" and isinstance(part, Source) and part.number is not None:
            return self._cite(part)
        return part_widget(part, markdown=self.role != "user", numbers=self._numbers(self.shown))

    def _cite(self, source: Source) -> Citations:
        """The line of the sources, with this one in it."""
        self._sources.append(source)
        if self._row is None:
            self._row = Citations()
        self._row.add(source)
        return self._row

    async def _last(self, kind: type[Growing]) -> Growing:
        """The last part, where it is of that kind, else a new one of it."""
        last = self._parts[-1] if self._parts else None
        if isinstance(last, kind):
            return last
        made = kind()
        await self._add(made)
        return made

    async def _add(self, widget: Widget) -> None:
        self._parts.append(widget)
        if not widget.is_attached:
            await self.mount(widget, before=self._row if self._row in self.children else None)
