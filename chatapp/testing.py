"""A pytest plugin for chatapp and for those who write plugins: a host, a session, a scripted engine, a recording UI.

It comes with the wheel and loads by itself. Everything lives in a temporary folder; nothing of the user's is touched.

    async def test_my_plugin(session):
        session.host.add("mine", my_plugin)
        script(session).says("Hello.")
        events = [event async for event in session.send("Hi")]
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatapp.consent import Ask, Decision
from chatapp.engine import Adapter, AdapterFacts, Engine, EngineConfig, EngineInfo, EngineSpec, Report, Request
from chatapp.events import Event, Finished, Level, Progress, TextDelta, Usage
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Message, Part, chat_text
from chatapp.paths import Paths
from chatapp.session import Session

MODEL = "scripted"


@dataclass(slots=True)
class ScriptedEngine:
    """An engine that answers as it was told, and remembers what it was asked.

    `answers` are taken one per request: text (streamed word by word), a list of events, or an exception to raise after
    the words before it. Without one it answers "OK.". `delay` is the pause before each event, in seconds. Tokens are
    words. `reused` in its Usage is counted as a real engine would: the leading words shared with the last prompt and
    answer. `configs` are those it was opened and tuned with; every adapter suits it, and is an ordinary one unless
    `invocation` says otherwise.
    """

    answers: list[str | Sequence[Event | Exception]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    configs: list[EngineConfig] = field(default_factory=list)
    delay: float = 0.0
    context_length: int = 4096
    stopped: int = 0
    closed: bool = False
    invocation: str = ""
    _held: list[str] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        """A model named "scripted" with every feature."""
        features = frozenset({"grammar", "json_schema", "logprobs", "tokenize", "tools", "adapters"})
        return EngineInfo(MODEL, MODEL, self.context_length, features)

    def says(self, *answers: str | Sequence[Event | Exception]) -> None:
        """Answer the next requests so."""
        self.answers += answers

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer the next answer, event by event."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else "OK."
        events = _words(answer) if isinstance(answer, str) else list(answer)
        said = ""
        complete = False
        try:
            for event in events:
                await asyncio.sleep(self.delay)
                if isinstance(event, Exception):
                    raise event
                said += event.text if isinstance(event, TextDelta) else ""
                yield event
            if not any(isinstance(event, Finished) for event in events):
                yield self._usage(request, said)
                yield Finished("stop")
            complete = True
        finally:
            self.stopped += not complete

    def _usage(self, request: Request, said: str) -> Usage:
        words, spans = _prompt(request)
        reused = 0
        for before, now in zip(self._held, words, strict=False):
            if before != now:
                break
            reused += 1
        self._held = [*words, "<assistant>", *said.split()]
        return Usage(len(words), reused, len(said.split()), 0.1, 1.0, self.context_length, tuple(spans))

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token is a word."""
        return [len(text.split()) for text in texts]

    async def tokenize(self, request: Request) -> list[str]:
        """The words of a prompt, each message's role before it."""
        return _prompt(request)[0]

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        self.configs.append(config)
        return True

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """An adapter of rank 8."""
        return AdapterFacts(8, 16.0, ("attn_q",), 0, MODEL, (1,) if self.invocation else (), self.invocation)

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True


def _prompt(request: Request) -> tuple[list[str], list[tuple[int, int]]]:
    spans: list[tuple[int, int]] = []
    words: list[str] = []
    for message in request.messages:
        begin = len(words)
        words += [f"<{message.role}>", *chat_text(message).split()]
        spans.append((begin, len(words)))
    return words, spans


def _words(text: str) -> list[Event | Exception]:
    words = text.split(" ")
    return [TextDelta(word if place == 0 else f" {word}") for place, word in enumerate(words)]


@dataclass(slots=True)
class RecordingUI:
    """A UI that answers as told and keeps what it was shown; `answers` are taken in turn by questions, then `None`."""

    answers: list[Any] = field(default_factory=list)
    notices: list[tuple[Level, str]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    progressed: list[Progress] = field(default_factory=list)
    shown: list[Part] = field(default_factory=list)

    def notify(self, text: str, level: Level = "information") -> None:
        """Keep the notice."""
        self.notices.append((level, text))

    async def confirm(self, question: str, detail: str = "") -> bool:
        """The next answer, as yes or no."""
        return bool(self._next(question))

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """The next answer."""
        answer: str | None = self._next(question)
        return answer

    async def prompt(self, question: str, default: str = "") -> str | None:
        """The next answer, or the default."""
        answer: str | None = self._next(question)
        return answer if answer is not None else default or None

    async def permit(self, ask: Ask) -> Decision:
        """The next answer: a Decision, a permission, or yes (once) and no; `asked` keeps what was asked."""
        self.asked.append(ask)
        answer = self._next(ask.question)
        if isinstance(answer, Decision):
            return answer
        return Decision(answer if isinstance(answer, str) else "once" if answer else "no")  # type: ignore[arg-type]

    def progress(self, progress: Progress) -> None:
        """Keep the progress."""
        self.progressed.append(progress)

    def show(self, part: Part) -> None:
        """Keep the part."""
        self.shown.append(part)

    def _next(self, question: str) -> Any:
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else None


@dataclass(slots=True)
class _ScriptedPlugin:
    """The plugin that offers the scripted engine."""

    engine: ScriptedEngine

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine, which takes the model "scripted" only."""

        async def open_engine(host: Host, config: EngineConfig, report: Report) -> Engine:
            self.engine.configs.append(config)
            return self.engine

        yield EngineSpec(MODEL, open_engine, accepts=lambda host, model: model == MODEL)


def make_host(
    folder: Path, ui: RecordingUI | None = None, scripted: ScriptedEngine | None = None, **settings: Any
) -> Host:
    """A host that keeps everything below `folder`, with the scripted engine and no other plugin."""
    paths = Paths(folder / "data", folder / "cache", folder / "config")
    paths.ensure()
    host = Host(paths, ui if ui is not None else RecordingUI(), **{"model": MODEL, "engine": MODEL, **settings})
    host.add("scripted", _ScriptedPlugin(scripted if scripted is not None else ScriptedEngine()))
    return host


def script(session: Session) -> ScriptedEngine:
    """The scripted engine behind a session, to tell it what to say."""
    engine: ScriptedEngine = session.host.plugins["scripted"].module.engine
    return engine


def sent_texts(messages: Iterable[Message]) -> list[tuple[str, str]]:
    """(role, what the model reads) of each message: compare it with a golden prompt."""
    return [(message.role, chat_text(message)) for message in messages]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host with the scripted engine; add your plugin with `host.add(name, module)`."""
    made = make_host(tmp_path)
    await made.startup()
    try:
        yield made
    finally:
        with suppress(asyncio.CancelledError):
            await made.shutdown()


@pytest.fixture
async def session(host: Host) -> Session:
    """A session on that host."""
    return Session(host)
