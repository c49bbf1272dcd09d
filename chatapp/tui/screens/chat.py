"""The chat: the conversation, the input, the status line, and the panel beside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import TextArea

from chatapp.errors import ChatappError
from chatapp.messages import Part
from chatapp.session import Session
from chatapp.text import one_line
from chatapp.tui.completer import Completer
from chatapp.tui.escape import Escape
from chatapp.tui.first_run import FirstRun
from chatapp.tui.hints import hints
from chatapp.tui.keys import key
from chatapp.tui.message_actions import MessageActions
from chatapp.tui.panels import Panels
from chatapp.tui.runner import Runner
from chatapp.tui.safe import safe
from chatapp.tui.screens.help import TextScreen
from chatapp.tui.warmup import Warmup
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.completion import Completion
from chatapp.tui.widgets.composer import Composer
from chatapp.tui.widgets.message import MessageView, shown_path
from chatapp.tui.widgets.parts import part_widget
from chatapp.tui.widgets.queue import Queue
from chatapp.tui.widgets.sent import SentPanel
from chatapp.tui.widgets.side import SidePanel
from chatapp.tui.widgets.status import StatusBar
from chatapp.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from chatapp.tui.app import ChatApp


class ChatScreen(Screen[None]):
    """Shows one session."""

    app: ChatApp
    AUTO_FOCUS = "#composer"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape", "stop", "stop", "Close or stop; twice: edit your last message.", "chat.stop", priority=True),
        key("pageup", "page(-1)", "page up", "Scroll the conversation a page up.", "chat.page_up"),
        key("pagedown", "page(1)", "page down", "Scroll the conversation a page down.", "chat.page_down"),
        key("ctrl+end", "to_end", "newest", "Back to the newest line, and stay there.", "chat.newest", priority=True),
        key("ctrl+r", "again", "again", "Answer the last message once more.", "chat.again"),
        key("ctrl+n", "new", "new", "Start a new conversation.", "chat.new"),
        key("f2,ctrl+o", "app.sessions", "conversations", "Open, search, export conversations.", "chat.sessions"),
        key("f3", "app.models", "models", "Download, choose and remove models.", "chat.models"),
        key("f4", "app.settings", "settings", "Change the settings.", "chat.settings"),
        key("f5,ctrl+b", "side", "what was sent", "Show or hide the panel of what the model was sent.", "chat.side"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.started = asyncio.Event()
        self.status = StatusBar()
        self.composer = Composer(self._steering)
        self.transcript = Transcript(self._render_part)
        self.side = SidePanel()
        self.runner = Runner(self)
        self.first_run = FirstRun(self)
        self.warmup = Warmup(self)
        self.completer = Completer(self)
        self.queue = Queue()
        self.escape = Escape(self)
        self.actions = MessageActions(self)
        self.editing: str | None = None
        self._conversation = session.conversation

    def compose(self) -> ComposeResult:
        """Conversation and panel, completions, what waits, input, status."""
        with Horizontal(id="body"):
            yield self.transcript
            yield self.side
        yield Completion()
        yield self.queue
        yield self.composer
        yield self.status

    def _steering(self) -> bool:
        return self.completer.opened or (self.first_run.needed and not self.composer.text)

    async def on_mount(self) -> None:
        """Take input at once; everything else starts behind."""
        self._remember_questions()
        await self.resync()
        self.run_worker(self._start(), group="start")

    def on_screen_resume(self) -> None:
        """Another screen may have changed the title, the model or a setting."""
        self.show_facts()

    async def _start(self) -> None:
        host = self.session.host
        await host.startup()
        await Panels(self).start()
        for problem in host.problems:
            host.ui.notify(problem, "warning")
        try:
            if not await self.first_run.check():
                self.warmup.start()
        except ChatappError as error:
            await self.fail(str(error))
        self.started.set()
        self.show_facts()

    async def resync(self, until: str | None = None) -> None:
        """Show the conversation as it is now, or as far as before the message `until`."""
        conversation = self.session.conversation
        if conversation is not self._conversation:
            self._conversation, self.editing = conversation, None
            await self.transcript.reset()
            self._remember_questions()
        path = shown_path(conversation)
        if self.session.busy and path and not path[-1].complete:
            # The answer on its way is in the conversation as far as it was saved, and shown by the live view.
            path.pop()
        ids = [shown.message.id for shown in path]
        await self.transcript.sync(path[: ids.index(until)] if until in ids else path)
        self.show_facts()

    def show_facts(self) -> None:
        """Bring the status line, the panel and the titles up to date."""
        if self.started.is_set():
            self.status.show_session(self.session)
        self.side.sent.show_turn(self.session.turn)
        self.show_hints()
        self.app.apply_settings()

    def show_queue(self) -> None:
        """Show what waits."""
        self.queue.show(self.runner.queue)

    def show_part(self, part: Part) -> None:
        """Show a part outside any answer."""
        self.run_worker(self.show_output(part), group="show")

    async def show_output(self, part: Any) -> None:
        """What a command shows."""
        widget = self._render_part(part) or part_widget(part, markdown=False)
        widget.add_class("output")
        await self.transcript.note(widget)

    async def fail(self, sentence: str, typed: str = "") -> None:
        """One line that says what went wrong; what was typed is not lost."""
        await self.transcript.say(sentence, "error")
        self.restore(typed)

    def blame(self, typed: str, error: Exception) -> None:
        """A plugin's command raised: name it."""
        owner = self.session.resolve(typed)[0].owner if typed.startswith("/") else "chatapp"
        self.session.host.report(owner, typed.split(maxsplit=1)[0] if typed else "the chat", error)

    def restore(self, text: str) -> None:
        """Put a text back into the input, before what is there."""
        if text:
            now = self.composer.text
            self.composer.put(f"{text}\n{now}" if now.strip() else text)

    def edit(self, message_id: str, text: str) -> None:
        """Let the user write a message anew."""
        self.editing = message_id
        self.composer.put(text)
        self.composer.focus()
        self.show_hints()

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text
        self.escape.forget()
        if self.first_run.needed and self.first_run.submitted(text):
            return
        if text and self.editing is not None:
            self._submitted_edit(self.editing, text)
        elif text:
            self.runner.submit(text)
        self.transcript.to_end()

    def _submitted_edit(self, message_id: str, text: str) -> None:
        if self.runner.busy:
            self.app.notify("Wait for the answer, or stop it with Esc.", markup=False)
            self.restore(text)
        else:
            self.editing = None
            self.runner.edit(message_id, text)

    @on(Composer.Steered)
    def _steered(self, event: Composer.Steered) -> None:
        if self.completer.opened:
            self.completer.steer(event.what)
        elif event.what in {"up", "down"}:
            self.first_run.move(-1 if event.what == "up" else 1)
        elif event.what == "take":
            self.composer.submit()
        elif self.completer.asking:
            self.completer.hurry()
        else:
            self.focus_next()

    @on(Composer.Left)
    def _left(self) -> None:
        self.actions.focus(None, -1)

    @on(TextArea.Changed, "#composer")
    def _typed(self) -> None:
        self.completer.look()

    @on(TextArea.SelectionChanged, "#composer")
    def _moved(self) -> None:
        self.completer.look()

    @on(Completion.Taken)
    def _taken(self, event: Completion.Taken) -> None:
        self.completer.take(event.candidate)

    @on(SentPanel.Opened)
    def _opened(self, event: SentPanel.Opened) -> None:
        self.app.push_screen(TextScreen(f"{event.piece.title} ({event.piece.plugin})", event.piece.text))

    @on(AnswerText.Followed)
    def _followed(self, event: AnswerText.Followed) -> None:
        self.run_worker(self.app.follow(event.address), group="link")

    @on(MessageView.Asked)
    def _asked(self, event: MessageView.Asked) -> None:
        self.run_worker(self.actions.do(event.view, event.what, event.number), group="message")

    @on(MessageView.Moved)
    def _moved_focus(self, event: MessageView.Moved) -> None:
        self.actions.focus(event.view, event.by)

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        self.show_hints(event.widget)

    def action_stop(self) -> None:
        """Escape: the nearest thing that can be closed or stopped."""
        self.escape.press()

    def action_page(self, by: int) -> None:
        """Scroll."""
        self.transcript.page(by)

    def action_to_end(self) -> None:
        """Back to the newest."""
        self.transcript.to_end()

    def action_again(self) -> None:
        """Answer the last message once more."""
        if not self.runner.busy and len(self.session.conversation):
            self.runner.again()

    def action_new(self) -> None:
        """Start a new conversation."""
        self.run_worker(self.app.open_conversation(None), group="open")

    def action_side(self) -> None:
        """Show or hide the panel; on a narrow screen it takes the conversation's place."""
        self.show_side(not self.side.display)

    def show_side(self, on: bool) -> None:
        """Show or hide the panel, and put the cursor there or back."""
        self.query_one("#body").set_class(on, "-side")
        if on:
            self.side.display = True
            self.show_facts()
            self.side.focus_inside()
        else:
            (self.side.close() or self.composer).focus()

    def _render_part(self, part: Part) -> Widget | None:
        """A plugin's own widget for a part; what is no widget is reported and ignored."""
        made = self.session.host.hooks.first("render_part", part=part)
        return made if isinstance(made, Widget) else None

    def _remember_questions(self) -> None:
        self.composer.remember(*(each.text for each in self.session.conversation.path() if each.role == "user"))

    def show_hints(self, focused: Widget | None = None) -> None:
        """Keys in the input's lower edge, the title in its upper one."""
        place = focused if focused is not None else self.focused
        first = self.first_run.needed and not self.first_run.busy
        self.composer.border_subtitle = safe(hints(self.app, place, first_run=first))
        title = "Editing an earlier message: Esc gives up" if self.editing else self.session.conversation.title
        self.composer.border_title = safe(one_line(title or "New conversation", 60))
