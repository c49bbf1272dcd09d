"""A session: one turn from start to finish. The only module that knows the order of things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatapp import actions
from chatapp.actions import Action
from chatapp.context import Block, Draft, Layout, lay_out
from chatapp.conversation import Conversation
from chatapp.engine import Engine, EngineConfig, Kind, Request, Sampling, Tool
from chatapp.errors import ChatappError, UsageError
from chatapp.events import Event, Finished, Notice, Progress, Usage
from chatapp.messages import Message, Part, new_id, user
from chatapp.tooling import call_tool
from chatapp.turn import Answer, Turn, announced, budget, failure
from chatapp.ui import UI

if TYPE_CHECKING:
    from chatapp.host import Host

SAVE_SECONDS = 1.0
"""How often a growing answer is written to disk."""


class Session:
    """A conversation with an engine behind it; a host may have many.

    `turn` is the latest turn. With `keep` false nothing is written to the archive. `conversation` may be replaced
    between turns, when the user opens another one. `outside` are tools of whoever holds the session: the model is
    offered them, and a call of one ends the turn with "tool_calls"; `go_on` answers once its result is appended.
    """

    def __init__(
        self, host: Host, conversation: Conversation | None = None, *, ui: UI | None = None, keep: bool = True
    ) -> None:
        self.host = host
        self.conversation = conversation if conversation is not None else Conversation()
        self.ui: UI = ui if ui is not None else host.ui
        self.keep = keep
        self.turn: Turn | None = None
        self.outside: tuple[Tool, ...] = ()
        self._idle = asyncio.Event()
        self._idle.set()
        self._costs: dict[str, int] = {}
        self._costs_of = ""

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return not self._idle.is_set()

    @property
    def values(self) -> dict[str, Any]:
        """What is switched on in this conversation; JSON, saved with it."""
        return self.conversation.values

    @property
    def status(self) -> dict[str, str]:
        """What the status line shows as switched on, by plugin: ``status["role"] = "researcher"``."""
        shown: dict[str, str] = self.values.setdefault("status", {})
        return shown

    @property
    def sampling(self) -> Sampling:
        """The conversation's sampling, then the settings'."""
        return Sampling(**self.values.get("sampling", {})).over(
            Sampling(**self.host.settings.core.sampling.model_dump())
        )

    @property
    def model(self) -> str:
        """The name of the model that answers here."""
        return self.values.get("model") or self.host.settings.core.model or self.host.default_model

    def engine_config(self, kind: Kind = "chat") -> EngineConfig:
        """What this conversation wants opened, before plugins change it; "" is the engine's own default model."""
        return EngineConfig(self.model if kind == "chat" else "", kind=kind)

    async def open(self, conversation: Conversation) -> None:
        """Go on with another conversation; UsageError while an answer is under way."""
        if self.busy:
            raise UsageError("An answer is under way; stop it first.")
        await self.save()
        self.conversation, self.turn = conversation, None

    async def warm(self) -> AsyncGenerator[Progress, None]:
        """Open the engine ahead of the first message, telling how far it is."""
        async with aclosing(self.host.engines.ready(self)) as news:
            async for progress in news:
                yield progress

    def send(self, text: str, *parts: Part) -> AsyncGenerator[Event, None]:
        """Add the user's message after the last one shown, and stream the answer.

        Closing the iterator (or cancelling the task that reads it) stops the model within a token and keeps what came.
        A failure is the last event, `Finished("failed", error)`; UsageError when a turn is under way already.
        """
        return self._answer_to(user(text, *parts), self.conversation.head)

    async def add(self, *messages: Message, to: Conversation | None = None) -> None:
        """Append finished messages, such as a command and what it made, once no answer is under way.

        `to` is the conversation they belong to, when the user may have opened another one since.
        """
        await self._idle.wait()
        conversation = to if to is not None else self.conversation
        for message in messages:
            conversation.append(message)
            conversation.name_after(message)
        if self.keep:
            for message in messages:
                await asyncio.to_thread(self.host.archive.save_message, conversation, message.id)
            await asyncio.to_thread(self.host.archive.save_values, conversation)

    def edit(self, message_id: str, text: str) -> AsyncGenerator[Event, None]:
        """Ask again with another text in place of that message of the user; the old branch stays."""
        old = self.conversation.node(message_id)
        if old.message.role != "user":
            raise UsageError("Only your own messages can be edited.")
        kept = tuple(part for part in old.message.parts if part.kind != "text")
        return self._answer_to(user(text, *kept), old.parent)

    def go_on(self) -> AsyncGenerator[Event, None]:
        """Answer the conversation as it stands, a user's message or the results of tools being its last."""
        path = list(self.conversation.path())
        question = next((each for each in reversed(path) if each.role == "user"), None)
        if question is None or path[-1].role not in ("user", "tool"):
            raise UsageError("There is nothing to answer: a user's message or a tool's result must be the last.")
        return self._answer_to(question, None, here=True)

    def regenerate(self, message_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Answer the same message once more, beside the earlier answers; by default the last one."""
        path = list(self.conversation.path())
        place = next((i for i, each in enumerate(path) if each.id == message_id), len(path) - 1)
        question = next((each for each in reversed(path[: place + 1]) if each.role == "user"), None)
        if question is None:
            raise UsageError("There is no message to answer yet.")
        return self._answer_to(question, None)

    async def _answer_to(
        self, message: Message, parent: str | None, *, here: bool = False
    ) -> AsyncGenerator[Event, None]:
        if self.busy:
            raise UsageError("An answer is under way; stop it first.")
        self._idle.clear()
        turn = self.turn = Turn(self, message)
        try:
            if not here:
                self.conversation.ask(message, parent)
            await self._save(message.id)
            await self.host.begin(self)
            async with aclosing(self._rounds(turn)) as events:
                async for event in events:
                    yield event
        except ChatappError as error:
            turn.finished = Finished("failed", str(error))
            yield turn.finished
        finally:
            try:
                await self._conclude(turn)
            finally:
                self.host.busy.discard(self)
                self._idle.set()

    async def _rounds(self, turn: Turn) -> AsyncGenerator[Event, None]:
        async with aclosing(self.warm()) as news:
            async for progress in news:
                yield progress
        engine = self.host.engines.current()
        assert engine is not None
        turn.budget = budget(engine.info.context_length, self.sampling.max_tokens)
        blocks = await self._blocks(turn)
        for turn.round in range(1, self.host.settings.core.max_rounds + 1):
            layout = await self._lay_out(turn, blocks, engine)
            for notice in announced(layout, self.values):
                yield notice
            answer = Answer(new_id(), self._origin(engine))
            async with aclosing(self._ask(turn, engine, layout, answer)) as events:
                async for event in events:
                    yield event
            if not answer.calls or (turn.finished and turn.finished.reason == "failed"):
                return
            if any(call.name == tool.name for call in answer.calls for tool in self.outside):
                turn.finished = Finished("tool_calls")
                yield turn.finished
                return
            async with aclosing(self._use_tools(turn, answer)) as events:
                async for event in events:
                    yield event
        yield Notice(f"The model used tools {turn.round} times and was stopped.", "warning")
        yield turn.finished or Finished("tool_calls")

    async def _blocks(self, turn: Turn) -> list[Block]:
        results = await self.host.hooks.call("context", turn=turn)
        return [replace(block, plugin=plugin) for plugin, blocks in results for block in blocks if block.text]

    async def _lay_out(self, turn: Turn, blocks: list[Block], engine: Engine) -> Layout:
        if engine.info.model != self._costs_of:
            self._costs, self._costs_of = {}, engine.info.model
        pinned = frozenset(each for each, node in self.conversation.nodes.items() if node.pinned)
        path = list(self.conversation.path())
        draft = Draft(list(blocks), path, turn.message.id, pinned, self.values.get("first_kept"), self._costs)
        layout = await lay_out(draft, turn.budget, engine.count_tokens)
        turn.sent = layout.pieces
        turn.message = next(each for each in layout.messages if each.id == turn.message.id)
        self.conversation.update(turn.message)
        await self._save(turn.message.id)
        return layout

    def _origin(self, engine: Engine) -> dict[str, Any]:
        return {"model": engine.info.model, **({"status": dict(self.status)} if self.status else {})}

    async def _ask(self, turn: Turn, engine: Engine, layout: Layout, answer: Answer) -> AsyncGenerator[Event, None]:
        """One round: ask the engine, and keep the answer as it grows."""
        asked = Request(layout.messages, self.sampling, self.outside)
        turn.request = await self.host.hooks.fold("prepare_request", asked, turn=turn)
        parent = self.conversation.head
        saved = time.monotonic()
        finished: Finished | None = None
        try:
            async with aclosing(self.host.hooks.chain(engine.stream(turn.request), turn)) as events:
                async for event in events:
                    answer.absorb(event)
                    if isinstance(event, Usage):
                        turn.account(answer, event)
                    if isinstance(event, Finished):
                        finished = event
                        continue
                    if time.monotonic() - saved > SAVE_SECONDS:
                        await self._keep_answer(answer, parent)
                        saved = time.monotonic()
                    yield event
            finished = finished or Finished("failed", "The engine ended without saying why.")
        except Exception as error:  # noqa: BLE001 - an engine may raise anything; what came is kept and the chat goes on
            finished = failure(error)
        finally:
            turn.finished = finished or Finished("stopped")
            answer.meta |= {"finished": turn.finished.reason}
            if answer.parts or answer.id in self.conversation.nodes:
                turn.answers.append(await self._keep_answer(answer, parent))
        if not answer.calls or finished.reason == "failed":
            yield turn.finished

    async def _keep_answer(self, answer: Answer, parent: str | None) -> Message:
        message = answer.message()
        if message.id in self.conversation.nodes:
            self.conversation.update(message)
        else:
            self.conversation.add(message, parent)
        await self._save(message.id)
        return message

    async def _use_tools(self, turn: Turn, answer: Answer) -> AsyncGenerator[Event, None]:
        for call in answer.calls:
            result, shown, consent = await call_tool(self, call)
            kept = (part for part in shown if part.kind in ("media", "source", "data"))
            message = Message("tool", (result, *kept), meta={"consent": consent} if consent else {})
            self.conversation.append(message)
            turn.answers.append(message)
            await self._save(message.id)
            yield result
            for part in message.parts[1:]:
                yield part  # type: ignore[misc]

    async def _conclude(self, turn: Turn) -> None:
        turn.finished = turn.finished or Finished("stopped")
        # The hooks first: what they leave in the conversation's values is saved with it.
        await self.host.hooks.call("turn_finished", turn=turn)
        if self.keep:
            await asyncio.to_thread(self.host.archive.save_values, self.conversation)

    async def _save(self, message_id: str) -> None:
        if self.keep:
            await asyncio.to_thread(self.host.archive.save_message, self.conversation, message_id)

    async def save(self) -> None:
        """Write the title, the values and the shown path to the archive, once there is a message."""
        if self.keep and len(self.conversation):
            await asyncio.to_thread(self.host.archive.save, self.conversation)

    async def run(self, line: str) -> AsyncGenerator[Event, None]:
        """Run a slash line: the longest action name it begins with. UsageError for an unknown one."""
        await self.host.fresh()
        action, words = self.resolve(line)
        async with aclosing(actions.run(action, self, actions.parse(action, words))) as events:
            async for event in events:
                yield event

    def resolve(self, line: str) -> tuple[Action, list[str]]:
        """The action a slash line means, and the words after its name."""
        return actions.resolve(line, self.host.actions)
