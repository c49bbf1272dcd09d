"""Plays what a session streams to the chat screen, one stream at a time; what is sent meanwhile waits its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widgets import Static
from textual.worker import Worker

from chatapp.attach import gather, mentioned
from chatapp.conversation import Conversation
from chatapp.errors import ChatappError
from chatapp.events import Event, Finished, Notice, Progress, ReasoningDelta, TextDelta, Usage
from chatapp.messages import Media, Message, Part, Text, ToolResult, user
from chatapp.tui.safe import safe
from chatapp.tui.widgets.message import Shown

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen

Stream = AsyncGenerator[Event, None]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to play. `start` makes the stream when its turn comes; `typed` goes back to the input if it fails.

    `beside` lets the conversation go on meanwhile. `command` says that parts are what a command shows, not pieces of an
    answer. `text` is the message to show before the session has it, in place of the message `cut` and what follows it.
    """

    start: Callable[[tuple[Part, ...]], Stream]
    doing: str
    typed: str = ""
    command: bool = False
    text: str = ""
    cut: str | None = None
    beside: bool = False


class Runner:
    """Owns the one task that reads a stream, the queue, and what goes on beside.

    `stale` says that the conversation got something that is not shown yet.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._worker: Worker[None] | None = None
        self._beside: list[Worker[None]] = []
        self.stale = False
        self.queue: list[str] = []
        self.stopping = False

    @property
    def busy(self) -> bool:
        """Whether something is being played that what is sent must wait for."""
        return self._worker is not None and not self._worker.is_finished

    @property
    def beside(self) -> bool:
        """Whether something is being played beside the conversation."""
        self._beside = [each for each in self._beside if not each.is_finished]
        return bool(self._beside)

    def submit(self, text: str) -> None:
        """Send what the user typed: now, or after what goes on."""
        if self.busy and self._is(text, "during"):
            self._screen.run_worker(self._aside(text), group="aside")
        elif self.busy:
            self.queue.append(text)
            self._screen.show_queue()
        else:
            self.play(self._job(text))

    def edit(self, message_id: str, text: str) -> None:
        """Ask again with another text; a command is given once more."""
        if text.startswith("/"):
            self.submit(text)
            return
        session = self._screen.session

        def start(parts: tuple[Part, ...]) -> Stream:
            kept = session.conversation.node(message_id).message.parts
            if any(part not in kept for part in parts):
                session.ui.notify("An edited message keeps the files it had; new ones need a new message.", "warning")
            return session.edit(message_id, text)

        self.play(Job(start, "Thinking", text, text=text, cut=message_id))

    def again(self, message_id: str | None = None) -> None:
        """Answer once more; what a command made is made once more."""
        question = question_of(self._screen.session.conversation, message_id)
        if question.startswith("/"):
            self.submit(question)
            return
        self.play(Job(lambda parts: self._screen.session.regenerate(message_id), "Thinking"))

    def play(self, job: Job) -> None:
        """Play this now; the caller has made sure that nothing else goes on."""
        if job.beside:
            self._beside.append(self._screen.run_worker(self._play_beside(job), group="beside"))
            self._screen.call_later(self.next)
            return
        self.stopping = False
        self._worker = self._screen.run_worker(self._play(job), group="turn")

    def stop(self) -> bool:
        """Stop what goes on, at once; whether anything did. What waits goes back to the input.

        What goes on beside the conversation is stopped when nothing else is left to stop, the oldest first.
        """
        if not self.busy or self._worker is None:
            if self.beside:
                self._beside.pop(0).cancel()
                return True
            return False
        self.take_back()
        if not self.stopping:
            self.stopping = True
            self._screen.status.begin("Stopping")
            self._worker.cancel()
        return True

    def take_back(self) -> bool:
        """Put what waits back into the input; whether anything did."""
        waiting, self.queue = self.queue, []
        self._screen.show_queue()
        self._screen.restore("\n".join(waiting))
        return bool(waiting)

    async def next(self) -> None:
        """Go on with what waits."""
        if self.stale and not self.busy and self._screen.is_attached:
            self.stale = False
            newest = self._screen.transcript.is_at_end
            await self._screen.resync()
            if newest:
                # What showed the work went away in the same moment: stay with what took its place.
                self._screen.call_after_refresh(self._screen.transcript.to_end)
        if self.queue and not self.busy:
            text = self.queue.pop(0)
            self._screen.show_queue()
            self.play(self._job(text))

    def _is(self, text: str, what: str) -> bool:
        """Whether a line is a command that is declared so."""
        try:
            return text.startswith("/") and bool(getattr(self._screen.session.resolve(text)[0], what))
        except ChatappError:
            return False

    async def _aside(self, text: str) -> None:
        """Run a command beside the answer that streams; what it says is a toast."""
        screen = self._screen
        try:
            async with aclosing(screen.session.run(text)) as events:
                async for event in events:
                    if isinstance(event, (Text, Notice)):
                        screen.session.ui.notify(event.text)
        except ChatappError as error:
            screen.session.ui.notify(str(error), "error")

    def _job(self, text: str) -> Job:
        session = self._screen.session
        if text.startswith("/"):
            doing = text.split(maxsplit=1)[0]
            return Job(lambda parts: session.run(text), doing, text, command=True, beside=self._is(text, "beside"))
        return Job(lambda parts: session.send(text, *parts), "Thinking", text, text=text)

    async def _play(self, job: Job) -> None:
        screen = self._screen
        try:
            async with self._telling(job):
                screen.status.begin(job.doing)
                await screen.started.wait()
                parts = await self._attached(job)
                await self._preview(job, parts)
                async with aclosing(job.start(parts)) as events:
                    async for event in events:
                        await self._show(event, job)
        finally:
            if screen.is_attached and screen.app.is_running:
                screen.status.end()
                await screen.resync()
        screen.call_later(self.next)

    async def _play_beside(self, job: Job) -> None:
        """Play a command while the conversation goes on; what it leaves there is shown when nothing else goes on."""
        screen = self._screen
        mark = object()
        try:
            async with self._telling(job):
                screen.status.beside(mark, Progress(job.doing))
                await screen.started.wait()
                await self._preview(job, ())
                async with aclosing(job.start(())) as events:
                    async for event in events:
                        if isinstance(event, Progress):
                            screen.status.beside(mark, event)
                        else:
                            await self._show(event, job)
        finally:
            screen.status.beside(mark, None)
            self.stale = True
            screen.call_later(self.next)

    @asynccontextmanager
    async def _telling(self, job: Job) -> AsyncIterator[None]:
        """Whatever is raised inside is told, and what was typed is not lost."""
        try:
            yield
        except ChatappError as error:
            await self._screen.fail(str(error), job.typed)
        except Exception as error:  # noqa: BLE001 - a plugin's command may raise anything; it is named, the chat goes on
            self._screen.blame(job.typed, error)

    async def _attached(self, job: Job) -> tuple[Part, ...]:
        """The files that the message mentions; stopped while they are read, the message goes back to the input."""
        try:
            files = await asyncio.to_thread(mentioned, job.text, Path.cwd()) if job.text else ()
            return await gather(self._screen.session, files, self._screen.status.report)
        except asyncio.CancelledError:
            self._screen.restore(job.typed)
            raise

    async def _preview(self, job: Job, parts: tuple[Part, ...]) -> None:
        """Show the user's message before the session has written it to the disk."""
        if job.command:
            await self._screen.transcript.note(Static(safe(job.typed), classes="echo"))
        if job.text:
            await self._screen.resync(until=job.cut)
            await self._screen.transcript.preview(Shown(user(job.text, *parts)))
            self._screen.transcript.to_end()

    async def _show(self, event: Event, job: Job) -> None:
        screen = self._screen
        if isinstance(event, Progress):
            screen.status.report(event)
        elif isinstance(event, Notice):
            await screen.transcript.say(event.text, event.level)
        elif isinstance(event, Usage):
            screen.show_facts()
        elif isinstance(event, Finished):
            if event.reason == "failed":
                await screen.fail(event.error)
        elif isinstance(event, ToolResult):
            await screen.resync()
        elif isinstance(event, Media) and stands_in(screen.session.conversation, event):
            self.stale = True
        elif job.beside or (
            job.command and not screen.session.busy and not isinstance(event, (TextDelta, ReasoningDelta))
        ):
            await screen.show_output(event)
        else:
            await self._stream(event)

    async def _stream(self, event: Event) -> None:
        screen = self._screen
        if screen.transcript.live is None:
            # The path may have changed: an answer that is given once more takes the old one's place.
            await screen.resync()
            screen.status.begin("Thinking" if isinstance(event, ReasoningDelta) else "Writing")
        await screen.transcript.stream(event)


def question_of(conversation: Conversation, message_id: str | None) -> str:
    """What the user wrote that this message (None: the last one) is or answers; empty when there is nothing."""
    path = list(conversation.path())
    place = next((i for i, each in enumerate(path) if each.id == message_id), len(path) - 1)
    question = last_of(path[: place + 1], "user")
    return question.text if question is not None else ""


def stands_in(conversation: Conversation, part: Part) -> bool:
    """Whether a part is among the last messages of a conversation, where it is shown anyway."""
    return any(part in message.parts for message in list(conversation.path())[-4:])


def last_of(messages: list[Message], role: str) -> Message | None:
    """The last message of that role."""
    return next((each for each in reversed(messages) if each.role == role), None)
