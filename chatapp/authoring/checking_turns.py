"""`plugin check`: a plugin in three turns of a conversation whose engine says always the same."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from chatapp import commands
from chatapp.authoring.checking import Finding, Target
from chatapp.authoring.checking_code import line_of_import
from chatapp.authoring.checking_declared import declared
from chatapp.authoring.checking_import import Imported, at, old_names
from chatapp.context import Piece
from chatapp.engine import EngineConfig, EngineInfo, EngineSpec, Report, Request
from chatapp.events import Event, Finished, TextDelta, Usage
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import chat_text, user
from chatapp.paths import paths
from chatapp.session import Session
from chatapp.turn import Turn
from chatapp.ui import PlainUI

ENGINE = "checking"
QUESTIONS = ("What is the capital of France?", "And of Italy?", "Thank you. Say that again, please.")
ANSWER = ("It ", "is ", "an ", "answer ", "of ", "seven ", "words.")
HELD_MS = 100
"""Milliseconds a hook may hold the event loop in a turn."""
GRACE = 5.0
"""Seconds within which what is cancelled must have ended."""
STEPS = 3
"""At how many of its first pauses a hook is cancelled."""


@dataclass(slots=True)
class Engine:
    """Answers ANSWER, word by word."""

    @property
    def info(self) -> EngineInfo:
        """A model with room for everything."""
        return EngineInfo(ENGINE, ENGINE, 32768)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The same answer always."""
        for word in ANSWER:
            await asyncio.sleep(0)
            yield TextDelta(word)
        yield Usage()
        yield Finished()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token is a word."""
        return [len(text.split()) for text in texts]

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        return True

    async def close(self) -> None:
        """There is nothing to give back."""

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """Itself, for its own model only."""

        async def opened(host: Host, config: EngineConfig, report: Report) -> Engine:
            return self

        yield EngineSpec(ENGINE, opened, accepts=lambda host, model: model == ENGINE)


async def turns(target: Target, made: Imported) -> list[Finding]:
    """What is wrong with what the plugin declares, and with what it does in three turns."""
    engine = Engine()
    host = Host(paths().ensure(), PlainUI(out=sys.stderr, quiet=True), model=ENGINE, engine=ENGINE, offline=True)
    host.add("chatapp", commands)
    host.add(ENGINE, engine)
    host.add(target.name, made.module)
    found = list(declared(host, made))
    async with _running(host):
        host.plugins[target.name].reported.clear()
        session = Session(host)
        said = [await _said(session, question) for question in QUESTIONS]
        found += [*_raised(host, made), *_prompts(session, said, made), *_held(host, made)]
        found += await _stopped(session, made)
    found += [*_raised(host, made), *_screen(made), *old_names(made)]
    return list(dict.fromkeys(found))


@asynccontextmanager
async def _running(host: Host) -> AsyncIterator[None]:
    await host.startup()
    try:
        yield
    finally:
        await host.shutdown()


async def _said(session: Session, question: str) -> Turn:
    async with aclosing(session.send(question)) as events:
        async for _ in events:
            pass  # what counts is what the plugin did meanwhile
    assert session.turn is not None
    return session.turn


def _hook(made: Imported, hook: str) -> str:
    """Where the plugin has its function for a hook."""
    function = getattr(made.module, hook, None)
    return at(function) if function is not None else made.home


def _raised(host: Host, made: Imported) -> Iterator[Finding]:
    for sentence in host.plugins[made.target.name].reported:
        hook = sentence.partition(" failed in ")[2].partition(":")[0]
        change = "It must work in an empty conversation, with its usual settings and without the network."
        yield made.finding("error", "turn", sentence, change, _hook(made, hook))


def _held(host: Host, made: Imported) -> Iterator[Finding]:
    """Hooks that hold the event loop, in each of the turns: the first may well import what it needs."""
    for turn in host.hooks.calls.ended[:1]:
        for name, hook in turn.hooks:
            each = [cost.longest for one in host.hooks.calls.ended if (cost := one.hooks.get((name, hook))) is not None]
            if name == made.target.name and len(each) > 1 and min(each) * 1e3 > HELD_MS:
                what = f"{hook}() held the chat for {min(each) * 1e3:,.0f} ms in every turn; {HELD_MS} ms are allowed."
                change = "Move the work to `await asyncio.to_thread(…)` or to a host.workers process."
                yield made.finding("warning", "blocking", what, change, _hook(made, hook))


def _prompts(session: Session, said: Sequence[Turn], made: Imported) -> Iterator[Finding]:
    """Prompts that do not begin with the one before, so that the model reads all of it again."""
    ours = set(session.conversation.nodes)
    for number, (before, now) in enumerate(pairwise(said), 1):
        start = _kept(before, ours)
        if _kept(now, ours)[: len(start)] == start:
            continue
        names = _changed(made.target.name, before.sent, now.sent)
        which = ", ".join(repr(name) for name in names) or "what it makes of the request"
        what = f"The prompt of turn {number + 1} does not begin with that of turn {number}: {which} changed."
        change = 'Give what changes stability="turn": it is laid beside the newest message.'
        yield made.finding("error", "prompt", what, change, _hook(made, "context" if names else "prepare_request"))
        return


def _kept(turn: Turn, ours: set[str]) -> list[tuple[str, str]]:
    """What must stay of a prompt: all but the examples that a block lays anew before the newest message."""
    messages = turn.request.messages if turn.request is not None else ()
    return [(each.role, chat_text(each)) for each in messages if each.id in ours or each.role == "system"]


def _changed(plugin: str, before: Iterable[Piece], now: Iterable[Piece]) -> list[str]:
    """The titles of the plugin's blocks in the system message that are not as they were."""
    texts, after = (
        {each.title: each.text for each in pieces if each.plugin == plugin and each.message == 0}
        for pieces in (before, now)
    )
    return sorted(title for title in texts.keys() | after.keys() if texts.get(title) != after.get(title))


async def _stopped(session: Session, made: Imported) -> list[Finding]:
    """Whether what the plugin does in a turn ends when the turn is stopped."""
    found = []
    for hook in ("context", "configure_engine", "prepare_request"):
        function = getattr(made.module, hook, None)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            found += [each for pauses in range(1, STEPS + 1) if (each := await _cancelled(session, made, hook, pauses))]
    found += await _closed(session, made)
    return found


async def _cancelled(session: Session, made: Imported, hook: str, pauses: int) -> Finding | None:
    """Cancel the hook at its so-manieth pause; None when it ends, as it should, or was done before."""
    turn = Turn(session, user(QUESTIONS[0]), budget=4096)
    handed = {"turn": turn, "session": session, "config": EngineConfig(ENGINE), "request": Request((turn.message,))}
    names = inspect.signature(getattr(made.module, hook)).parameters
    task = asyncio.ensure_future(_drawn(getattr(made.module, hook)(*(handed[name] for name in names))))
    for _ in range(pauses):
        await asyncio.sleep(0)
    if task.done():
        task.exception() if not task.cancelled() else None
        return None
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=GRACE)
    if done and (task.cancelled() or task.exception() is not None):
        return None
    what = f"{hook}() goes on when its turn is stopped." if not done else f"{hook}() ignores that its turn is stopped."
    change = "Let asyncio.CancelledError through: catch Exception at most, and clean up in `finally`."
    return made.finding("error", "cancel", what, change, _hook(made, hook))


async def _drawn(result: Any) -> None:
    if isinstance(result, AsyncIterator):
        async for _ in result:
            pass  # only how it ends is of interest
    else:
        await result


async def _closed(session: Session, made: Imported) -> list[Finding]:
    """Stop an answer after its first word."""
    if not hasattr(made.module, "transform_stream"):
        return []

    async def stop() -> None:
        async with aclosing(session.send(QUESTIONS[0])) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    return

    try:
        await asyncio.wait_for(stop(), GRACE)
    except TimeoutError:
        what = "An answer that passes through transform_stream() does not stop when it is stopped."
        change = "Let asyncio.CancelledError and GeneratorExit through."
        return [made.finding("error", "cancel", what, change, _hook(made, "transform_stream"))]
    return []


def _screen(made: Imported) -> Iterator[Finding]:
    """Whether Textual was imported, which only a screen needs: there was none."""
    if "textual" in sys.modules:
        inside = [path for path in made.files if path in _loaded()]
        what = "It imports Textual where there is no screen: in --plain, in `chatapp ask` and in the shell."
        change = "Import Textual, and modules with widgets, only in panels() and render_part()."
        yield made.finding("error", "plain", what, change, line_of_import("textual", inside))


def _loaded() -> set[Path]:
    return {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
